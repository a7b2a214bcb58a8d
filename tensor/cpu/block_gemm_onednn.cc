// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <vector>

#include "tensor/cpu/block_gemm.h"

namespace retort {
namespace {

// oneDNN takes its number of threads from OpenMP. Sets it to one on the calling thread.
class OneOpenMpThread {
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_;
};

constexpr int64_t kRowStep = 16;   // rows are padded to multiples of this
constexpr int64_t kMostRows = 64;  // maximal rows per call

// An inner product with weights in the blocked layout of oneDNN's batch-reduce kernels. For a panel
// of 64 outputs this is BlockGemm's layout, for any block size of the depth.
struct Primitive {
  dnnl::inner_product_forward run;
  dnnl::memory::desc a, b, c, scratchpad;
};

bool IsPanelLayout(const dnnl_memory_desc_t& d, int64_t depth) {
  const auto& blocking = d.format_desc.blocking;
  if (d.padded_dims[0] != kPanel || d.padded_dims[1] != depth) return false;
  if (blocking.inner_nblks != 3) return false;
  return blocking.inner_idxs[0] == 1 && blocking.inner_idxs[1] == 0 &&
         blocking.inner_blks[1] == kPanel &&
         blocking.strides[1] == blocking.inner_blks[0] * 2 * kPanel &&
         blocking.inner_idxs[2] == 1 && blocking.inner_blks[2] == 2;
}

class OneDnnGemm : public BlockGemm {
 public:
  OneDnnGemm(int workers, Memory& memory)
      : engine_(dnnl::engine::kind::cpu, 0),
        memory_(memory),
        blocks_(Tensor::Make(memory, {workers, kMostRows * kPanel}, DType::kF32)),
        scratchpads_(static_cast<size_t>(workers)) {
    for (int i = 0; i < workers; ++i) streams_.emplace_back(engine_);
  }

  DType type() const override { return DType::kBF16; }
  int64_t depth_step() const override { return kDepthStep; }
  int64_t row_step() const override { return kRowStep; }

  bool Usable() {
    const OneOpenMpThread one;
    try {
      Make(kMostRows, kDepthStep);
      Make(kMostRows, 1024);
    } catch (const dnnl::error&) {
      return false;
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  void Prepare(int64_t depth) override {
    if (primitives_.contains(depth)) return;
    const OneOpenMpThread one;
    auto& heights = primitives_[depth];
    size_t scratch = 0;
    for (int64_t i = 0; i < std::ssize(heights); ++i) {
      heights[static_cast<size_t>(i)] = Make((i + 1) * kRowStep, depth);
      scratch = std::max(scratch, heights[static_cast<size_t>(i)].scratchpad.get_size());
    }
    for (auto& pad : scratchpads_) {
      if (!pad || pad->bytes() < static_cast<int64_t>(scratch)) {
        pad = memory_.Allocate(static_cast<int64_t>(scratch));
      }
    }
  }

  void Multiply(int worker, const BlockProduct& p) override {
    const OneOpenMpThread one;
    float* block = blocks_.data<float>() + worker * blocks_.cols();
    for (int64_t t = 0; t < p.rows; t += kMostRows) {
      const int64_t rows = std::min(kMostRows, p.rows - t);
      const int64_t whole = (rows + kRowStep - 1) / kRowStep * kRowStep;
      Run(worker, p.a + t * p.a_row * SizeOf(DType::kBF16), p.b, whole, p.depth, block);
      StoreBlock(block, p, t, rows);
    }
  }

 private:
  // c [rows,64] = a [rows,depth] b, all dense.
  void Run(int worker, const std::byte* a, const std::byte* b, int64_t rows, int64_t depth,
           float* c) {
    const auto w = static_cast<size_t>(worker);
    const Primitive& p = primitives_.at(depth)[static_cast<size_t>(rows / kRowStep - 1)];
    const auto view = [&](const dnnl::memory::desc& desc, const void* data) {
      return dnnl::memory(desc, engine_, const_cast<void*>(data));
    };
    p.run.execute(streams_[w],
                  {{DNNL_ARG_SRC, view(p.a, a)},
                   {DNNL_ARG_WEIGHTS, view(p.b, b)},
                   {DNNL_ARG_DST, view(p.c, c)},
                   {DNNL_ARG_SCRATCHPAD, view(p.scratchpad, scratchpads_[w]->data())}});
  }

  Primitive Make(int64_t rows, int64_t depth) const {
    using Tag = dnnl::memory::format_tag;
    const auto bf16 = dnnl::memory::data_type::bf16, f32 = dnnl::memory::data_type::f32;
    const dnnl::memory::desc a({rows, depth}, bf16, Tag::ab), c({rows, kPanel}, f32, Tag::ab);
    const dnnl::memory::desc any({kPanel, depth}, bf16, Tag::any);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::inner_product_forward::primitive_desc made(
        {dnnl::prop_kind::forward_inference, a, any, c}, attributes, engine_);
    const dnnl::memory::desc b = made.weights_desc();
    RETORT_CHECK(std::string_view(made.impl_info_str()).starts_with("brgemm") &&
                     IsPanelLayout(b.data, depth),
                 "oneDNN offers ", made.impl_info_str(), " for depth ", depth);
    return {dnnl::inner_product_forward(made), a, b, c, made.scratchpad_desc()};
  }

  dnnl::engine engine_;
  Memory& memory_;
  Tensor blocks_;                                                              // one per worker
  std::vector<dnnl::stream> streams_;                                          // one per worker
  std::vector<std::shared_ptr<Buffer>> scratchpads_;                           // one per worker
  std::map<int64_t, std::array<Primitive, kMostRows / kRowStep>> primitives_;  // by depth
};

}  // namespace

bool OneDnnHasAmx() {
  constexpr auto kAmx = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_amx);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kAmx) == kAmx;
}

std::unique_ptr<BlockGemm> MakeOneDnnGemm(int workers, Memory& memory) {
  auto gemm = std::make_unique<OneDnnGemm>(workers, memory);
  if (!gemm->Usable()) return nullptr;
  return gemm;
}

}  // namespace retort
