// SPDX-License-Identifier: Apache-2.0
#include "bench/gemm_bench.h"

#include <algorithm>

#include "base/error.h"
#include "bench/random_model.h"
#include "bench/timing.h"

namespace retort {
namespace {

constexpr int64_t kMostHeadTokens = 512;  // training also computes the head in chunks

int64_t ColdBytes() { return std::max(int64_t{128} << 20, 3 * LastCacheBytes()); }

struct NamedLayer {
  const char* name;
  int64_t outputs, inputs;
};

std::vector<NamedLayer> LayersOf(const Architecture& a) {
  const BlockSpec& block = a.blocks.front();
  return {{"q", block.attention.q_width(), a.width},
          {"kv", block.attention.kv_width(), a.width},
          {"gate_up", block.mlp.width, a.width},
          {"down", a.width, block.mlp.width},
          {"head", a.vocab, a.width}};
}

// One kind of product with weights of a format.
struct Mode {
  bool gradient;
  Compute compute;
};

std::vector<Mode> ModesOf(const GemmBench& options, WeightFormat format) {
  const auto backend = MakeBackend({options.device, 1, ComputeNamed(options.compute)});
  const Weight some = RandomWeight(format, 64, kMostBlockElements, 1, backend->host_memory());
  const Compute training =
      backend->Prepare(some, {.purpose = WeightUse::Purpose::kTraining}).compute();
  const Compute running =
      backend->Prepare(some, {.purpose = WeightUse::Purpose::kRunning}).compute();
  std::vector<Mode> modes;
  if (running != training) modes.push_back({false, running});
  modes.push_back({false, training});
  if (training != Compute::kInt8) modes.push_back({true, training});  // int8 has no gradient
  return modes;
}

// Copies of one prepared weight, used in turn; too many to fit in the caches.
class ColdWeights {
 public:
  ColdWeights(WeightFormat format, int64_t rows, int64_t cols, Backend& backend) {
    const Weight one = RandomWeight(format, rows, cols, 1, *memory_);
    const WeightUse use{.purpose = WeightUse::Purpose::kRunning, .lasting = true};
    do {
      all_.push_back(backend.Prepare(one, use));
    } while (std::ssize(all_) < ColdBytes() / all_[0].bytes());
  }

  const PreparedWeight& Next() { return all_[next_++ % all_.size()]; }
  int64_t bytes() const { return all_[0].bytes(); }

 private:
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  std::vector<PreparedWeight> all_;
  size_t next_ = 0;
};

// Median seconds of one product.
double Time(Backend& backend, ColdWeights& weights, const GemmResult& what, int64_t repeat) {
  Tensor x = backend.New({what.tokens, what.inputs}), y = backend.New({what.tokens, what.outputs});
  backend.Fill(x, 0.5f);
  backend.Fill(y, 0.5f);
  const auto product = [&] {
    if (what.gradient) {
      backend.LinearInputGrad(y, weights.Next(), x);
    } else {
      backend.LinearForward(x, weights.Next(), y);
    }
  };
  return MedianSeconds(product, repeat, [&] {
    if (what.gradient) backend.Fill(x, 0);  // the gradient is added to x
  });
}

}  // namespace

double Limits::Gemm(Compute compute) {
  if (!gemm_.contains(compute)) gemm_[compute] = MeasureGemmPeak(compute, threads_).per_second;
  return gemm_[compute];
}

double Limits::Bandwidth() {
  if (bandwidth_ == 0) bandwidth_ = MeasureReadBandwidth(threads_);
  return bandwidth_;
}

void BenchGemm(const GemmBench& options, const std::function<void(const GemmResult&)>& on_result) {
  const std::vector<std::string> formats =
      options.weights.empty() ? FormatNames() : std::vector<std::string>{options.weights};
  const std::vector<int64_t> counts = options.tokens > 0 ? std::vector<int64_t>{options.tokens}
                                                         : std::vector<int64_t>{1, 16, 512, 2048};
  Limits limits(MakeBackend({options.device, options.threads, Compute::kF32})->threads());
  for (const std::string& name : formats) {
    const WeightFormat format = FormatNamed(name);
    for (const NamedLayer& layer : LayersOf(options.config)) {
      if (options.weights.empty() && layer.inputs % TraitsOf(format).row_step() != 0) continue;
      for (const Mode& mode : ModesOf(options, format)) {
        const auto backend = MakeBackend({options.device, options.threads, mode.compute});
        ColdWeights weights(format, layer.outputs, layer.inputs, *backend);
        for (const int64_t tokens : counts) {
          if (layer.name == std::string_view("head") && tokens > kMostHeadTokens) continue;
          GemmResult r{layer.name, format,        mode.gradient, mode.compute,
                       tokens,     layer.outputs, layer.inputs};
          const double seconds = Time(*backend, weights, r, options.repeat);
          r.device = backend->name();
          r.threads = backend->threads();
          r.tokens_per_second = static_cast<double>(tokens) / seconds;
          r.flops_per_second =
              2.0 * static_cast<double>(layer.outputs * layer.inputs) * r.tokens_per_second;
          r.fraction_of_peak = r.flops_per_second / limits.Gemm(mode.compute);
          r.fraction_of_bandwidth =
              static_cast<double>(weights.bytes()) / seconds / limits.Bandwidth();
          on_result(r);
        }
      }
    }
  }
}

}  // namespace retort
