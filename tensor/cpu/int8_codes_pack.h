// SPDX-License-Identifier: Apache-2.0
// How CodeTiles packs a block of a strip.
#pragma once

#include "tensor/quant/strips.h"

namespace retort {

// Of the first and the second 16 values of each row of a strip, as in SuperCodes. It follows the
// bytes of the codes, [8, kStripRows, 4].
struct CodeScales {
  float scale[2][kStripRows], minimum[2][kStripRows];
};
inline constexpr int64_t kCodeBytes = kStripRows * kBlockValues;
inline constexpr int64_t kPackedCodeBytes = kCodeBytes + int64_t{sizeof(CodeScales)};

inline const CodeScales& CodeScalesAt(const std::byte* block) {
  return *reinterpret_cast<const CodeScales*>(block + kCodeBytes);
}

}  // namespace retort
