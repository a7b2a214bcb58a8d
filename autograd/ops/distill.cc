// SPDX-License-Identifier: Apache-2.0
// Distillation over the head's logits, a chunk at a time:
//   loss_i = ce_weight_i CE(z_i) + kd_weight_i divergence(teacher_i, z_i)
// It knows the step's scale, so the kernel leaves the objective's gradient where the logits were
// (head_loss.cc). The teacher has no gradient.
#include <algorithm>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

std::span<const float> Part(const std::vector<float>& values, int64_t begin, size_t count) {
  return std::span(values).subspan(static_cast<size_t>(begin), count);
}

// kernel(tokens): the chunk's values and gradient; the weights that it is given hold the scale.
class Chunks {
 public:
  Chunks(DistillObjective objective, float scale, DistillSums* sums)
      : objective_(std::move(objective)), sums_(sums) {
    const size_t n = objective_.targets.size();
    RETORT_CHECK(objective_.ce_weight.size() == n && objective_.kd_weight.size() == n,
                 objective_.ce_weight.size(), " weights for ", n, " targets");
    for (float w : objective_.ce_weight) scaled_ce_.push_back(scale * w);
    for (float w : objective_.kd_weight) scaled_kd_.push_back(scale * w);
  }
  const DistillSettings& settings() const { return objective_.settings; }

  template <class Kernel>
  void Run(int64_t begin, std::span<double> losses, const Kernel& kernel) const {
    const size_t n = losses.size();
    std::vector<double> ce(n), kd(n);
    kernel(DistillTokens{std::span(objective_.targets).subspan(static_cast<size_t>(begin), n),
                         Part(scaled_ce_, begin, n), Part(scaled_kd_, begin, n), ce, kd});
    const auto ce_weight = Part(objective_.ce_weight, begin, n);
    const auto kd_weight = Part(objective_.kd_weight, begin, n);
    for (size_t i = 0; i < n; ++i) {
      // A weight of 0 takes its term out, whatever that is.
      losses[i] = (ce_weight[i] != 0 ? ce_weight[i] * ce[i] : 0) +
                  (kd_weight[i] != 0 ? kd_weight[i] * kd[i] : 0);
      if (sums_) sums_->ce += ce[i], sums_->kd += kd[i];
    }
  }

 private:
  DistillObjective objective_;
  std::vector<float> scaled_ce_, scaled_kd_;
  DistillSums* sums_;
};

}  // namespace

LogitsLoss Distill(DistillObjective objective, float scale, TeacherLogits teacher,
                   DistillSums* sums) {
  return [chunks = Chunks(std::move(objective), scale, sums), teacher = std::move(teacher)](
             Backend& k, int64_t begin, Tensor& logits, std::span<double> losses, bool gradient) {
    Tensor theirs = teacher(begin, logits.rows());
    chunks.Run(begin, losses, [&](const DistillTokens& tokens) {
      k.Distill(chunks.settings(), tokens, gradient, logits, theirs);
    });
  };
}

LogitsLoss DistillTop(DistillObjective objective, float scale, const TopOutcomes& teacher,
                      DistillSums* sums) {
  return [chunks = Chunks(std::move(objective), scale, sums), teacher](
             Backend& k, int64_t begin, Tensor& logits, std::span<double> losses, bool gradient) {
    const auto from = static_cast<size_t>(begin), n = losses.size(),
               kept = static_cast<size_t>(teacher.kept);
    const TopOutcomes part{teacher.kept, teacher.vocab, teacher.ids.subspan(from * kept, n * kept),
                           teacher.log_probs.subspan(from * kept, n * kept),
                           teacher.tail.subspan(from, n)};
    chunks.Run(begin, losses, [&](const DistillTokens& tokens) {
      k.DistillTop(chunks.settings(), tokens, gradient, logits, part);
    });
  };
}

}  // namespace retort::ops
