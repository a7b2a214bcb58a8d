// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/plan.h"

#include <algorithm>

#include "tensor/cuda/cuda_backend.h"

namespace retort::cuda {
namespace {

struct TileItem {
  int32_t run, first;
  int64_t keys;  // that its last query sees
  bool few;      // of a run with few queries
};

// Tiles of runs with many queries, then the others; in both, those with the most keys first.
std::vector<TileItem> TilesOf(const std::vector<AttentionRun>& runs) {
  std::vector<TileItem> tiles;
  for (int32_t r = 0; r < std::ssize(runs); ++r) {
    const AttentionRun& run = runs[static_cast<size_t>(r)];
    for (int32_t first = 0; first < run.queries; first += kTile) {
      const int64_t end = std::min(int64_t{first} + kTile, int64_t{run.queries});
      tiles.push_back({r, first, run.first_position + end, run.queries <= kFewQueries});
    }
  }
  std::ranges::stable_sort(tiles, [](const TileItem& a, const TileItem& b) {
    return a.few != b.few ? b.few : a.keys > b.keys;
  });
  return tiles;
}

}  // namespace

void CudaPlan::Set(Device& device, const AttentionLayout& layout) {
  host_.Set(layout);
  numbers_.clear();
  tiles_ = most_keys_ = few_queries_ = 0;
  const auto here = [&] { return std::ssize(numbers_); };
  runs_ = {here(), std::ssize(layout.runs)};
  for (const AttentionRun& run : layout.runs) {
    numbers_.insert(numbers_.end(),
                    {run.first_query, run.queries, run.first_position, run.first_block});
    if (run.queries > 0) {
      most_keys_ = std::max(most_keys_, int64_t{run.first_position} + run.queries);
    }
  }
  block_rows_ = {here(), std::ssize(layout.block_rows)};
  numbers_.insert(numbers_.end(), layout.block_rows.begin(), layout.block_rows.end());

  const std::vector<TileItem> tiles = TilesOf(layout.runs);
  all_tiles_ = {here(), std::ssize(tiles)};
  for (const TileItem& tile : tiles) {
    numbers_.insert(numbers_.end(), {tile.run, tile.first});
    tiles_ += tile.few ? 0 : 1;
  }

  std::vector<int32_t> few;
  parts_ = {here(), 0};
  for (int32_t r = 0; r < std::ssize(layout.runs); ++r) {
    const AttentionRun& run = layout.runs[static_cast<size_t>(r)];
    if (run.queries == 0 || run.queries > kFewQueries) continue;
    few_queries_ = std::max(few_queries_, run.queries);
    few.insert(few.end(), {r, static_cast<int32_t>(parts_.count)});
    for (int32_t first = 0; first < run.first_position + run.queries; first += kPartKeys) {
      numbers_.insert(numbers_.end(), {r, first});
      ++parts_.count;
    }
  }
  few_ = {here(), std::ssize(few) / 2};
  numbers_.insert(numbers_.end(), few.begin(), few.end());

  if (data_.elements() != here()) {
    data_ = Tensor::Make(device.memory(), {here()}, DType::kI32);
  }
  device.Upload(std::span<const int32_t>(numbers_), data_);
}

const CudaPlan& CudaPlan::Of(const AttentionPlan& plan) {
  const auto* made = dynamic_cast<const CudaPlan*>(&plan);
  RETORT_CHECK(made, "a plan of another device");
  return *made;
}

std::shared_ptr<const AttentionPlan> CudaBackend::Plan(const AttentionLayout& layout) {
  if (!plan_ || plan_.use_count() > 1) plan_ = std::make_shared<CudaPlan>();
  plan_->Set(*this, layout);
  return plan_;
}

}  // namespace retort::cuda
