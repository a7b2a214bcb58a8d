// SPDX-License-Identifier: Apache-2.0
// Distillation over the head's logits, chunk by chunk:
//   loss_i = ce_weight_i CE(z_i) + kd_weight_i divergence(teacher_i, z_i)
// The step's scale is included, so the kernel overwrites the logits with the objective's gradient
// (head_loss.cc). The teacher has no gradient.
#include "autograd/ops.h"

namespace retort::ops {
namespace {

// Runs kernel(tokens), which fills the chunk's values and gradient, and adds to the sums.
class Chunks {
 public:
  Chunks(DistillObjective objective, float scale, DistillSums sums)
      : objective_(std::move(objective)), scale_(scale), sums_(std::move(sums)) {
    const int64_t n = objective_.targets.elements();
    RETORT_CHECK(objective_.ce_weight.elements() == n && objective_.kd_weight.elements() == n,
                 objective_.ce_weight.elements(), " weights for ", n, " targets");
  }
  const DistillSettings& settings() const { return objective_.settings; }

  template <class Kernel>
  void Run(Backend& k, int64_t begin, const Tensor& losses, const Kernel& kernel) const {
    const int64_t n = losses.elements();
    const Tensor ce = k.New({n}, DType::kF64), kd = k.New({n}, DType::kF64);
    kernel(DistillTokens{objective_.targets.Part(begin, n), objective_.ce_weight.Part(begin, n),
                         objective_.kd_weight.Part(begin, n), scale_, ce, kd, losses});
    AddTo(k, ce, sums_.ce);
    AddTo(k, kd, sums_.kd);
  }

 private:
  static void AddTo(Backend& k, const Tensor& values, Tensor sum) {
    if (sum) k.AddSum(values, 1, sum);
  }

  DistillObjective objective_;
  float scale_;
  DistillSums sums_;
};

}  // namespace

LogitsLoss Distill(DistillObjective objective, float scale, TeacherLogits teacher,
                   DistillSums sums) {
  return
      [chunks = Chunks(std::move(objective), scale, std::move(sums)), teacher = std::move(teacher)](
          Backend& k, int64_t begin, Tensor& logits, Tensor& losses, bool gradient) {
        Tensor theirs = teacher(begin, logits.rows());
        chunks.Run(k, begin, losses, [&](const DistillTokens& tokens) {
          k.Distill(chunks.settings(), tokens, gradient, logits, theirs);
        });
      };
}

LogitsLoss DistillTop(DistillObjective objective, float scale, TopOutcomes teacher,
                      DistillSums sums) {
  return
      [chunks = Chunks(std::move(objective), scale, std::move(sums)), teacher = std::move(teacher)](
          Backend& k, int64_t begin, Tensor& logits, Tensor& losses, bool gradient) {
        const TopOutcomes part = teacher.Rows(begin, logits.rows());
        chunks.Run(k, begin, losses, [&](const DistillTokens& tokens) {
          k.DistillTop(chunks.settings(), tokens, gradient, logits, part);
        });
      };
}

}  // namespace retort::ops
