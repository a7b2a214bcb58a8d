// SPDX-License-Identifier: Apache-2.0
// Attention over the keys that a plan selects. Conventions as in tensor/backend.h.
#pragma once

#include <memory>

#include "tensor/plan.h"
#include "tensor/tensor.h"

namespace retort {

// One layer's attention. With a window W, a query attends to the last W keys of its run up to and
// including its own position. A score is s = scale * q.k. With a soft cap c > 0 it becomes
// c * tanh(s / c) before masking (Gemma 2, arXiv 2408.00118).
struct AttentionShape {
  int heads, kv_heads, head_dim;  // H, K, D; H is a multiple of K
  float scale;                    // 1 / sqrt(D) in most families
  float soft_cap = 0;             // 0: none
  int window = 0;                 // 0: none
};

class AttentionKernels {
 public:
  // Copies the layout as needed. Throws Error{kBug} when a run does not fit its blocks.
  virtual std::shared_ptr<const AttentionPlan> Plan(const AttentionLayout& layout) = 0;
  // q, out [T,H*D]; keys, values [rows,K*D] or pages, in A, f16 or bf16; log_sum [T,H]: natural log
  // of the sum of exp(score), an input of AttentionGrad. Query head h uses key head h / (H/K).
  // Outputs of tokens that no run covers are left unchanged.
  virtual void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                         const Tensor& keys, const Tensor& values, Tensor& out,
                         Tensor& log_sum) = 0;
  // dq, dkeys, dvalues +=. Keys and values [rows,K*D] in A. No T x T matrix is stored.
  virtual void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan,
                             const Tensor& dout, const Tensor& q, const Tensor& keys,
                             const Tensor& values, const Tensor& out, const Tensor& log_sum,
                             Tensor& dq, Tensor& dkeys, Tensor& dvalues) = 0;

 protected:
  ~AttentionKernels() = default;
};

}  // namespace retort
