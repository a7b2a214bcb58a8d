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

// oneDNN asks OpenMP how many threads it may use; here always one, on whichever thread calls.
class OneOpenMpThread {
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_;
};

// An inner product whose weights stay in the blocked layout of the batch-reduce kernels. For a
// panel of 64 outputs that layout is what BlockGemm promises, whatever the block of depth.
struct Primitive {
  dnnl::inner_product_forward run;
  dnnl::memory::desc a, b, c, scratchpad;
};

dnnl::memory::data_type TypeOf(DType type) {
  return type == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

bool IsPanelLayout(const dnnl_memory_desc_t& d, int64_t depth, DType type) {
  const auto& blocking = d.format_desc.blocking;
  const int64_t pair = type == DType::kBF16 ? 2 : 1;
  if (d.padded_dims[0] != kPanel || d.padded_dims[1] != depth) return false;
  if (blocking.inner_nblks != (pair == 2 ? 3 : 2)) return false;
  const int64_t block = blocking.inner_blks[0] * pair;
  return blocking.inner_idxs[0] == 1 && blocking.inner_idxs[1] == 0 &&
         blocking.inner_blks[1] == kPanel && blocking.strides[1] == block * kPanel &&
         (pair == 1 || (blocking.inner_idxs[2] == 1 && blocking.inner_blks[2] == 2));
}

class OneDnnGemm : public BlockGemm {
 public:
  OneDnnGemm(DType type, int workers, Memory& memory)
      : type_(type),
        engine_(dnnl::engine::kind::cpu, 0),
        memory_(memory),
        scratchpads_(static_cast<size_t>(workers)) {
    for (int i = 0; i < workers; ++i) streams_.emplace_back(engine_);
  }

  DType type() const override { return type_; }

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

  void Multiply(int worker, const std::byte* a, const std::byte* b, int64_t rows, int64_t depth,
                float* c) override {
    const OneOpenMpThread one;
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

 private:
  Primitive Make(int64_t rows, int64_t depth) const {
    using Tag = dnnl::memory::format_tag;
    const auto type = TypeOf(type_), f32 = dnnl::memory::data_type::f32;
    const dnnl::memory::desc a({rows, depth}, type, Tag::ab), c({rows, kPanel}, f32, Tag::ab);
    const dnnl::memory::desc any({kPanel, depth}, type, Tag::any);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::inner_product_forward::primitive_desc made(
        {dnnl::prop_kind::forward_inference, a, any, c}, attributes, engine_);
    const dnnl::memory::desc b = made.weights_desc();
    RETORT_CHECK(std::string_view(made.impl_info_str()).starts_with("brgemm") &&
                     IsPanelLayout(b.data, depth, type_),
                 "oneDNN offers ", made.impl_info_str(), " for depth ", depth);
    return {dnnl::inner_product_forward(made), a, b, c, made.scratchpad_desc()};
  }

  DType type_;
  dnnl::engine engine_;
  Memory& memory_;
  std::vector<dnnl::stream> streams_;                                          // one a worker
  std::vector<std::shared_ptr<Buffer>> scratchpads_;                           // one a worker
  std::map<int64_t, std::array<Primitive, kMostRows / kRowStep>> primitives_;  // by depth
};

}  // namespace

std::unique_ptr<BlockGemm> MakeOneDnnGemm(DType type, int workers, Memory& memory) {
  auto gemm = std::make_unique<OneDnnGemm>(type, workers, memory);
  if (!gemm->Usable()) return nullptr;
  return gemm;
}

}  // namespace retort
