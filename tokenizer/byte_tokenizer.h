// SPDX-License-Identifier: Apache-2.0
// A byte-level tokenizer for a model without one.
#pragma once

#include <cstdint>

#include "base/file.h"

namespace retort {

// Writes tokenizer.json and tokenizer_config.json of a byte-level BPE with exactly `vocab` ids: the
// 256 bytes, "<|endoftext|>" (the end token; no BOS is added), pairs of a space and a letter, and
// unused pieces up to vocab. Throws Error{kInput} if vocab < 283, where these do not fit.
void WriteByteTokenizer(const Path& folder, int64_t vocab);

}  // namespace retort
