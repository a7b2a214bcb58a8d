// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/support/stage.h"

namespace retort {
namespace {

OpCase EmbedCase(WeightFormat format, int64_t vocabulary, int64_t cols, int64_t tokens,
                 bool double_quant) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const PreparedWeight table =
        b.Prepare(MakeWeight(*stage, format, vocabulary, cols, false, double_quant),
                  {.purpose = WeightUse::Purpose::kTable});
    std::vector<int32_t> ids = stage->Below(tokens, vocabulary);
    ids.front() = static_cast<int32_t>(vocabulary - 1);
    ids.back() = 0;
    const Tensor rows = stage->Indices(ids);
    Tensor out = stage->Output("out", {tokens, cols});
    return RunOn(stage, [=, &b]() mutable { b.EmbedRows(table, rows, out); });
  };
  return {"embed",
          Cat(TraitsOf(format).name, double_quant ? "_dq" : "", "_v", vocabulary, "_c", cols, "_t",
              tokens),
          0,
          Compute::kF32,
          0,
          4.0 * tokens * cols,
          prepare};
}

OpCase GatherCase(int64_t rows, int64_t cols, int64_t taken) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, cols});
    const Tensor ids = stage->Indices(stage->Below(taken, rows));
    Tensor out = stage->Output("out", {taken, cols});
    return RunOn(stage, [=, &b]() mutable { b.GatherRows(x, ids, out); });
  };
  return {
      "gather", Cat("n", rows, "_c", cols, "_t", taken), 0, Compute::kF32, 0, 8.0 * taken * cols,
      prepare};
}

// More rows than places, so that several are added to the same place.
OpCase ScatterCase(int64_t rows, int64_t cols, int64_t places) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, cols});
    const Tensor ids = stage->Indices(stage->Below(rows, places));
    Tensor out = stage->InOut("out", {places, cols});
    return RunOn(stage, [=, &b]() mutable { b.ScatterAddRows(x, ids, out); });
  };
  return {"scatter_add",
          Cat("n", rows, "_c", cols, "_p", places),
          1e-6,
          Compute::kF32,
          1.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

OpCase CopyColumnsCase(int64_t rows, int64_t cols, int64_t begin) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, 2 * cols + 1});
    Tensor y = stage->Output("y", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.CopyColumns(x, begin, y); });
  };
  return {"copy_columns",
          Cat("n", rows, "_c", cols, "_at", begin),
          0,
          Compute::kF32,
          0,
          8.0 * rows * cols,
          prepare};
}

OpCase AddColumnsCase(int64_t rows, int64_t cols, int64_t begin) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor dy = stage->Input("dy", {rows, cols});
    Tensor dx = stage->InOut("dx", {rows, 2 * cols + 1});
    return RunOn(stage, [=, &b]() mutable { b.AddColumns(dy, begin, dx); });
  };
  return {"add_columns",
          Cat("n", rows, "_c", cols, "_at", begin),
          2e-7,
          Compute::kF32,
          1.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

// Stores rows into a cache that already has other rows, and reads all of it through Attention, as
// the runner does. Query i attends only to key row i, so its output is that row's values.
OpCase StoreCase(DType type, int64_t tokens, int heads) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    constexpr int32_t kPage = 4;
    const int64_t pages = tokens / 2 + 1, rows = pages * kPage, cols = 8 * heads;
    const Tensor x = stage->Input("x", {tokens, cols});
    Tensor cache = stage->Pages({pages, heads, kPage, 8}, type, stage->Normal(rows * cols));
    std::vector<int32_t> to;
    AttentionLayout each{{}, {}, kPage};
    for (int64_t row : Permutation(rows, MakeKey(3, RandomUse::kData))) {
      const auto i = static_cast<int32_t>(each.runs.size());
      each.runs.push_back({i, 1, i % kPage, i / kPage});
      if (i % kPage == 0) each.block_rows.push_back(i);
      to.push_back(static_cast<int32_t>(row));
    }
    to.resize(static_cast<size_t>(tokens));
    const Tensor stored = stage->Indices(to);
    const auto plan = b.Plan(each);
    const Tensor q = stage->Input("q", {rows, cols});
    Tensor out = stage->Output("cache", {rows, cols});
    Tensor log_sum = b.New({rows, heads});
    return RunOn(stage, [=, &b]() mutable {
      b.StoreRows(x, stored, cache);
      b.Attention({.heads = heads, .kv_heads = heads, .head_dim = 8, .scale = 1, .window = 1},
                  *plan, q, cache, cache, out, log_sum);
    });
  };
  return {"store_rows", Cat(NameOf(type), "_t", tokens, "_h", heads), 0, Compute::kF32, 0, 0,
          prepare};
}

}  // namespace

std::vector<OpCase> RowCases() {
  std::vector<OpCase> cases;
  for (const WeightFormat format : AllFormats()) {
    const int64_t step = TraitsOf(format).row_step();
    cases.push_back(EmbedCase(format, 512, step > 1 ? 2 * step : 65, 17, false));
    cases.push_back(EmbedCase(format, 105, 18 * std::max<int64_t>(32, step), 2, false));
    cases.push_back(EmbedCase(format, 7, step, 3, false));
  }
  cases.push_back(EmbedCase(WeightFormat::kNF4, 512, 172, 64, true));
  cases.push_back(EmbedCase(WeightFormat::kBF16, 32000, 64, 129, false));
  for (const auto& make : {GatherCase, ScatterCase}) {
    cases.push_back(make(1, 1, 1));
    cases.push_back(make(17, 65, 5));
    cases.push_back(make(129, 172, 64));
    cases.push_back(make(64, 576, 2));
  }
  for (const auto& make : {CopyColumnsCase, AddColumnsCase}) {
    cases.push_back(make(1, 1, 0));
    cases.push_back(make(17, 65, 66));
    cases.push_back(make(129, 172, 3));
    cases.push_back(make(64, 576, 0));
  }
  for (DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    cases.push_back(StoreCase(type, 1, 1));
    cases.push_back(StoreCase(type, 17, 9));
    cases.push_back(StoreCase(type, 64, 24));
  }
  return cases;
}

}  // namespace retort
