// SPDX-License-Identifier: Apache-2.0
#include "tensor/distillation.h"

#include "base/error.h"
#include "base/strings.h"

namespace retort {

Divergence DivergenceNamed(std::string_view name) {
  if (name == "forward_kl") return Divergence::kForwardKl;
  if (name == "reverse_kl") return Divergence::kReverseKl;
  if (name == "jsd") return Divergence::kJsd;
  if (name == "total_variation") return Divergence::kTotalVariation;
  if (name == "sorted") return Divergence::kSorted;
  throw InputError("divergence '", name,
                   "' is not known; use forward_kl, reverse_kl, jsd, total_variation or sorted");
}

}  // namespace retort
