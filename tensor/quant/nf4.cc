// SPDX-License-Identifier: Apache-2.0
// NF4: 4 bits a value, by the quantiles of a normal distribution (QLoRA, bitsandbytes).
#include "tensor/quant/four_bit.h"
#include "tensor/quant/levels.h"

namespace retort {
namespace {

struct Nf4Values {
  static constexpr std::array<float, 16> kCodes = std::to_array(kNf4Levels);
  static constexpr std::array<uint8_t, 16> kOrder = {0, 1, 2,  3,  4,  5,  6,  7,
                                                     8, 9, 10, 11, 12, 13, 14, 15};
};

}  // namespace

std::span<const float, 16> Nf4Codes() { return Nf4Values::kCodes; }

extern const BlockFormat kNf4Format = {
    .name = "nf4",
    .block_elements = kFourBitValues,
    .block_bytes = kFourBitBytes,
    .alignment = 1,
    .kl_limit = 1.0,
    .flattened = true,
    .decode = DecodeFourBit<Nf4Values>,
    .columns = DecodeFourBitColumns<Nf4Values>,
    .convert = [](const Weight& source, bool double_quant, Memory& memory, ThreadPool& pool) {
      return EncodedFourBit<Nf4Values>(WeightFormat::kNF4, source, double_quant, memory, pool);
    }};

}  // namespace retort
