// SPDX-License-Identifier: Apache-2.0
// NF4: 4 bits a value, by the quantiles of a normal distribution (QLoRA, bitsandbytes).
#include "tensor/quant/four_bit.h"

namespace retort {
namespace {

struct Nf4Values {
  // QLoRA (arXiv 2305.14314), appendix E.
  static constexpr std::array<float, 16> kCodes = {-1.0f,
                                                   -0.6961928009986877f,
                                                   -0.5250730514526367f,
                                                   -0.39491748809814453f,
                                                   -0.28444138169288635f,
                                                   -0.18477343022823334f,
                                                   -0.09105003625154495f,
                                                   0.0f,
                                                   0.07958029955625534f,
                                                   0.16093020141124725f,
                                                   0.24611230194568634f,
                                                   0.33791524171829224f,
                                                   0.44070982933044434f,
                                                   0.5626170039176941f,
                                                   0.7229568362236023f,
                                                   1.0f};
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
