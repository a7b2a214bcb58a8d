// SPDX-License-Identifier: Apache-2.0
// The attention plan of a device whose kernels read host memory: a copy of the layout, checked
// once.
#pragma once

#include <memory>

#include "tensor/plan.h"
#include "tensor/tensor.h"

namespace retort {

struct AttentionShape;

class HostPlan : public AttentionPlan {
 public:
  // Copies the layout and reuses the memory of the previous one. Throws Error{kBug} when a run has
  // a negative field, or needs more blocks than the layout has.
  void Set(const AttentionLayout& layout);

  const AttentionLayout& layout() const { return layout_; }
  // Throws Error{kBug} when heads, queries, keys and values do not fit each other or the layout.
  void Check(const AttentionShape& shape, const Tensor& q, const Tensor& keys,
             const Tensor& values) const;

  // Throws Error{kBug} when another device made the plan.
  static const HostPlan& Of(const AttentionPlan& plan);

 private:
  AttentionLayout layout_;
  int64_t query_rows_ = 0;  // rows of q that the runs reach
  int64_t key_rows_ = 0;    // rows of keys that the blocks reach
  bool aligned_ = true;     // every block begins at a multiple of block_size
};

// Makes plans one after the other. The last plan is reused when no other reference to it is left,
// so that a loop of equal steps allocates nothing.
class HostPlanner {
 public:
  std::shared_ptr<const AttentionPlan> Plan(const AttentionLayout& layout);

 private:
  std::shared_ptr<HostPlan> last_;
};

}  // namespace retort
