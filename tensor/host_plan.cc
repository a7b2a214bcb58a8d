// SPDX-License-Identifier: Apache-2.0
#include "tensor/host_plan.h"

#include <algorithm>

#include "tensor/kernels/attention.h"

namespace retort {

void HostPlan::Set(const AttentionLayout& layout) {
  RETORT_CHECK(layout.block_size > 0, "blocks of ", layout.block_size);
  layout_ = layout;
  query_rows_ = key_rows_ = 0;
  aligned_ = true;
  for (const int32_t row : layout_.block_rows) {
    RETORT_CHECK(row >= 0, "block at row ", row);
    key_rows_ = std::max<int64_t>(key_rows_, int64_t{row} + 1);
    aligned_ = aligned_ && row % layout_.block_size == 0;
  }
  for (const AttentionRun& run : layout_.runs) {
    RETORT_CHECK(run.queries >= 0 && run.first_query >= 0 && run.first_position >= 0 &&
                 run.first_block >= 0);
    query_rows_ = std::max(query_rows_, int64_t{run.first_query} + run.queries);
    if (run.queries == 0) continue;
    const int64_t last = int64_t{run.first_position} + run.queries - 1;
    const int64_t blocks = last / layout_.block_size + 1, end = run.first_block + blocks;
    RETORT_CHECK(end <= std::ssize(layout_.block_rows), "run needs ", blocks, " blocks");
    for (int64_t b = run.first_block; b < end; ++b) {
      const int64_t used = b + 1 < end ? layout_.block_size - 1 : last % layout_.block_size;
      key_rows_ = std::max(key_rows_, layout_.block_rows[static_cast<size_t>(b)] + used + 1);
    }
  }
}

void HostPlan::Check(const AttentionShape& shape, const Tensor& q, const Tensor& keys,
                     const Tensor& values) const {
  RETORT_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 && shape.head_dim > 0 &&
                   shape.window >= 0 && shape.soft_cap >= 0,
               shape.heads, " heads on ", shape.kv_heads, ", window ", shape.window);
  const int64_t width = int64_t{shape.kv_heads} * shape.head_dim, rows = keys.elements() / width;
  RETORT_CHECK(q.cols() == int64_t{shape.heads} * shape.head_dim && q.rows() >= query_rows_,
               q.shape().text(), " for ", query_rows_, " queries");
  const Shape pages{rows / layout_.block_size, shape.kv_heads, layout_.block_size, shape.head_dim};
  RETORT_CHECK(keys.shape().rank() == 4 ? aligned_ && keys.shape() == pages : keys.cols() == width,
               keys.shape().text(), " in blocks of ", layout_.block_size);
  RETORT_CHECK(key_rows_ <= rows, "blocks up to row ", key_rows_, " of ", rows);
  RETORT_CHECK(values.shape() == keys.shape() && values.dtype() == keys.dtype(),
               values.shape().text());
}

const HostPlan& HostPlan::Of(const AttentionPlan& plan) {
  const auto* host = dynamic_cast<const HostPlan*>(&plan);
  RETORT_CHECK(host, "a plan of another device");
  return *host;
}

std::shared_ptr<const AttentionPlan> HostPlanner::Plan(const AttentionLayout& layout) {
  if (!last_ || last_.use_count() > 1) last_ = std::make_shared<HostPlan>();
  last_->Set(layout);
  return last_;
}

}  // namespace retort
