// SPDX-License-Identifier: Apache-2.0
// FP4: 4 bits a value, a sign and seven magnitudes (bitsandbytes).
#include "tensor/quant/four_bit.h"
#include "tensor/quant/levels.h"

namespace retort {
namespace {

struct Fp4Values {
  static constexpr std::array<float, 16> kCodes = std::to_array(kFp4Levels);
  static constexpr std::array<uint8_t, 16> kOrder = {11, 10, 13, 12, 15, 14, 9, 0,
                                                     8,  1,  6,  7,  4,  5,  2, 3};
};

}  // namespace

std::span<const float, 16> Fp4Codes() { return Fp4Values::kCodes; }

extern const BlockFormat kFp4Format = {
    .name = "fp4",
    .block_elements = kFourBitValues,
    .block_bytes = kFourBitBytes,
    .alignment = 1,
    .kl_limit = 1.0,
    .flattened = true,
    .decode = DecodeFourBit<Fp4Values>,
    .columns = DecodeFourBitColumns<Fp4Values>,
    .convert = [](const Weight& source, bool double_quant, Memory& memory, ThreadPool& pool) {
      return EncodedFourBit<Fp4Values>(FormatNamed("fp4"), source, double_quant, memory, pool);
    }};

}  // namespace retort
