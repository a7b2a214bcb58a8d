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

TopOutcomes TopOutcomes::Rows(int64_t begin, int64_t count) const {
  return {kept, vocab, ids.Part(begin * kept, count * kept),
          log_probs.Part(begin * kept, count * kept), tail.Part(begin, count)};
}

void CheckDistill(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows) {
  for (const Tensor* t : {&tokens.targets, &tokens.ce_weight, &tokens.kd_weight, &tokens.ce,
                          &tokens.kd, &tokens.losses}) {
    RETORT_CHECK(t->elements() == rows, t->shape().text(), " for ", rows, " rows");
  }
  RETORT_CHECK(settings.temperature > 0, "a temperature of ", settings.temperature);
  RETORT_CHECK(settings.divergence != Divergence::kJsd || (settings.beta > 0 && settings.beta < 1),
               "a beta of ", settings.beta);
}

}  // namespace retort
