// SPDX-License-Identifier: Apache-2.0
// From a weight's format to the code that decodes it.
#pragma once

#include <string_view>

#include "tensor/cuda/decode/iq_blocks.h"
#include "tensor/cuda/decode/k_blocks.h"
#include "tensor/cuda/decode/rows.h"
#include "tensor/cuda/decode/small_blocks.h"

namespace retort::cuda {

// Calls call.template operator()<Format>() with the struct of a format of blocks (bytes.h); false
// if it is of another kind.
template <class Call>
bool WithBlockFormat(WeightFormat format, const Call& call) {
  const std::string_view name = TraitsOf(format).name;
  bool found = false;
  const auto offer = [&]<class Format>(std::string_view of) {
    if (name != of) return;
    const BlockFormat& f = TraitsOf(format);
    RETORT_CHECK(f.block_elements == Format::kElements && f.block_bytes == Format::kBytes, name);
    found = true;
    call.template operator()<Format>();
  };
  offer.template operator()<Q8_0>("q8_0");
  offer.template operator()<Q4_0>("q4_0");
  offer.template operator()<Q4_1>("q4_1");
  offer.template operator()<Q5_0>("q5_0");
  offer.template operator()<Q5_1>("q5_1");
  offer.template operator()<Q2K>("q2_k");
  offer.template operator()<Q3K>("q3_k");
  offer.template operator()<Q4K>("q4_k");
  offer.template operator()<Q5K>("q5_k");
  offer.template operator()<Q6K>("q6_k");
  offer.template operator()<Q8K>("q8_k");
  offer.template operator()<Iq4Nl>("iq4_nl");
  offer.template operator()<Iq4Xs>("iq4_xs");
  offer.template operator()<Mxfp4>("mxfp4");
  offer.template operator()<Tq1>("tq1_0");
  offer.template operator()<Tq2>("tq2_0");
  offer.template operator()<Iq1S>("iq1_s");
  offer.template operator()<Iq1M>("iq1_m");
  offer.template operator()<Iq2Xxs>("iq2_xxs");
  offer.template operator()<Iq2Xs>("iq2_xs");
  offer.template operator()<Iq2S>("iq2_s");
  offer.template operator()<Iq3Xxs>("iq3_xxs");
  offer.template operator()<Iq3S>("iq3_s");
  return found;
}

// Calls call(decoder) with the decoder of the weight's rows (rows.h). Throws Error{kBug} if its
// format has none.
template <class Call>
void WithRowDecoder(const DeviceWeight& w, const Call& call) {
  const std::string_view name = TraitsOf(w.format).name;
  if (name == "f32") return call(PlainRows<float>(w));
  if (name == "f16") return call(PlainRows<F16>(w));
  if (name == "bf16") return call(PlainRows<BF16>(w));
  if (name == "nf4") return call(FourBitRows<true>(w));
  if (name == "fp4") return call(FourBitRows<false>(w));
  const bool found = WithBlockFormat(w.format, [&]<class Format>() { call(BlockRows<Format>(w)); });
  RETORT_CHECK(found, "the CUDA backend does not decode ", name);
}

}  // namespace retort::cuda
