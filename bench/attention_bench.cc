// SPDX-License-Identifier: Apache-2.0
#include "bench/attention_bench.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/random.h"
#include "bench/machine.h"
#include "bench/timing.h"
#include "tensor/backend.h"

namespace retort {
namespace {

// The tensors of one row.
class AttentionRow {
 public:
  AttentionRow(Backend& backend, const AttentionSpec& c, int64_t tokens)
      : backend_(backend),
        shape_{static_cast<int>(c.heads), static_cast<int>(c.kv_heads),
               static_cast<int>(c.head_dim), static_cast<float>(c.scale)} {
    const auto length = static_cast<int32_t>(tokens);
    plan_ = backend.Plan({{{0, length, 0, 0}}, {0}, length});
    const Shape queries{tokens, c.heads * c.head_dim}, keys{tokens, c.kv_heads * c.head_dim};
    q_ = Random(queries), out_ = Random(queries), dout_ = Random(queries);
    keys_ = Random(keys), values_ = Random(keys);
    log_sum_ = backend.New({tokens, c.heads});
    dq_ = backend.Zeros(queries), dkeys_ = backend.Zeros(keys), dvalues_ = backend.Zeros(keys);
  }

  void Forward() { backend_.Attention(shape_, *plan_, q_, keys_, values_, out_, log_sum_); }
  void Gradient() {
    backend_.AttentionGrad(shape_, *plan_, dout_, q_, keys_, values_, out_, log_sum_, dq_, dkeys_,
                           dvalues_);
  }

 private:
  Tensor Random(Shape shape) {
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    for (float& v : values) v = static_cast<float>(random_.Normal());
    return backend_.FromFloats(values, shape);
  }

  Backend& backend_;
  AttentionShape shape_;
  std::shared_ptr<const AttentionPlan> plan_;
  RandomStream random_{MakeKey(1, RandomUse::kData)};
  Tensor q_, keys_, values_, out_, log_sum_, dout_, dq_, dkeys_, dvalues_;
};

}  // namespace

void BenchAttention(const AttentionBench& options,
                    const std::function<void(const AttentionResult&)>& on_result) {
  const auto backend = MakeBackend({options.device, options.threads, Compute::kF32});
  const double peak = MeasureGemmPeak(Compute::kF32, backend->threads()).per_second;
  const int64_t first = options.tokens > 0 ? options.tokens : 512;
  const int64_t last = options.tokens > 0 ? options.tokens : 16384;
  for (int64_t tokens = first; tokens <= last; tokens *= 2) {
    AttentionRow row(*backend, options.attention, tokens);
    backend->memory().ResetPeak();
    const int64_t held = backend->memory().live_bytes();
    const double forward = MedianSeconds([&] { row.Forward(); }, options.repeat);
    const double gradient = MedianSeconds([&] { row.Gradient(); }, options.repeat);
    const auto pairs = 0.5 * static_cast<double>(tokens) * static_cast<double>(tokens + 1);
    const double product = 2 * pairs * static_cast<double>(options.attention.q_width());
    on_result({.tokens = tokens,
               .tokens_per_second = static_cast<double>(tokens) / (forward + gradient),
               .forward_flops_per_second = 2 * product / forward,
               .gradient_flops_per_second = 5 * product / gradient,
               .fraction_of_peak = 7 * product / (forward + gradient) / peak,
               .workspace_bytes = backend->memory().peak_bytes() - held,
               .device = backend->name(),
               .threads = backend->threads()});
  }
}

}  // namespace retort
