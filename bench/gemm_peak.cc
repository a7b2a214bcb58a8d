// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "bench/machine.h"
#include "bench/timing.h"

namespace retort {
namespace {

constexpr int64_t kRows = 512, kDepth = 2048, kCols = 2048;
constexpr double kOperations = 2.0 * kRows * kDepth * kCols;
constexpr int kWindows = 8;
constexpr double kWindowSeconds = 0.05;

using DataType = dnnl::memory::data_type;

// Sets the number of OpenMP threads of the calling thread, which oneDNN reads when a primitive is
// created and when it is executed.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~OpenMpThreads() { omp_set_num_threads(before_); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  int before_;
};

// One product in oneDNN, with its weights in the layout that the library prefers.
class OneDnnProduct {
 public:
  OneDnnProduct(Compute compute, int threads)
      : threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Tag = dnnl::memory::format_tag;
    const OpenMpThreads scope(threads_);
    const DataType a = compute == Compute::kInt8   ? DataType::u8
                       : compute == Compute::kBF16 ? DataType::bf16
                                                   : DataType::f32;
    const DataType b = compute == Compute::kInt8 ? DataType::s8 : a;
    const DataType c = compute == Compute::kInt8 ? DataType::s32 : DataType::f32;
    const dnnl::matmul::primitive_desc made({{{kRows, kDepth}, a, Tag::ab},
                                             {{kDepth, kCols}, b, Tag::any},
                                             {{kRows, kCols}, c, Tag::ab}},
                                            engine_);
    run_ = dnnl::matmul(made);
    // Small integers, to avoid overflow and denormals. (bf16 0x3f80 is 1.)
    arguments_ = {{DNNL_ARG_SRC, Filled(made.src_desc(), a)},
                  {DNNL_ARG_WEIGHTS, Filled(made.weights_desc(), b)},
                  {DNNL_ARG_DST, dnnl::memory(made.dst_desc(), engine_)}};
  }

  void operator()() {
    const OpenMpThreads scope(threads_);
    run_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::memory Filled(const dnnl::memory::desc& desc, DataType type) const {
    dnnl::memory memory(desc, engine_);
    auto* bytes = static_cast<uint8_t*>(memory.get_data_handle());
    const size_t size = desc.get_size();
    switch (type) {
      case DataType::f32:
        std::fill_n(reinterpret_cast<float*>(bytes), size / sizeof(float), 1.0f);
        break;
      case DataType::bf16:
        std::fill_n(reinterpret_cast<uint16_t*>(bytes), size / sizeof(uint16_t), uint16_t{0x3f80});
        break;
      default:
        std::fill_n(bytes, size, uint8_t{1});
    }
    return memory;
  }

  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul run_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

// One product in OpenBLAS, on the calling thread.
class OpenBlasProduct {
 public:
  void operator()() {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kRows, kCols, kDepth, 1, a_.data(),
                kDepth, b_.data(), kCols, 0, c_.data(), kCols);
  }

 private:
  std::vector<float> a_ = std::vector<float>(kRows * kDepth, 1.0f);
  std::vector<float> b_ = std::vector<float>(kDepth * kCols, 1.0f);
  std::vector<float> c_ = std::vector<float>(kRows * kCols);
};

// Operations per second of the best series of calls.
double BestRate(double operations, const std::function<void()>& call) {
  call();  // warm-up
  double best = 0;
  for (int i = 0; i < kWindows; ++i) {
    const Stopwatch watch;
    int64_t calls = 0;
    do {
      call();
      ++calls;
    } while (watch.seconds() < kWindowSeconds);
    best = std::max(best, operations * static_cast<double>(calls) / watch.seconds());
  }
  return best;
}

// The total rate when every thread of the pool runs its own product.
template <class Product>
double RateOfEach(ThreadPool& pool, std::vector<Product>& products) {
  return BestRate(kOperations * pool.threads(), [&] {
    pool.For(pool.threads(), [&](int64_t piece, int) { products[static_cast<size_t>(piece)](); });
  });
}

}  // namespace

GemmPeak MeasureGemmPeak(Compute compute, int threads) {
  GemmPeak best;
  const auto offer = [&](double rate, const char* by) {
    if (rate > best.per_second) best = {rate, by};
  };
  ThreadPool pool(threads);
  const auto count = static_cast<size_t>(threads);
  try {
    OneDnnProduct together(compute, threads);
    offer(BestRate(kOperations, std::ref(together)), "onednn, its own threads");
    if (threads > 1) {
      std::vector<OneDnnProduct> apart;
      for (size_t i = 0; i < count; ++i) apart.emplace_back(compute, 1);
      offer(RateOfEach(pool, apart), "onednn, a product a thread");
    }
  } catch (const dnnl::error& e) {
    if (compute != Compute::kF32)
      throw Failure("oneDNN multiplies no ", NameOf(compute), " on this processor: ", e.what());
  }
  if (compute == Compute::kF32) {
    openblas_set_num_threads(1);  // as in the backend
    std::vector<OpenBlasProduct> apart(count);
    offer(RateOfEach(pool, apart), "openblas, a product a thread");
  }
  return best;
}

}  // namespace retort
