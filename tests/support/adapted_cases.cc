// SPDX-License-Identifier: Apache-2.0
// Norms of weights with adapters, columns brought to another norm, and rows and columns replaced.
#include "tests/support/stage.h"

namespace retort {
namespace {

OpCase NormsCase(WeightFormat format, int64_t rows, int64_t cols, int64_t rank) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const PreparedWeight w = b.Prepare(MakeWeight(*stage, format, rows, cols, false));
    const Tensor a = stage->Input("a", {rank, cols}, 0.3), low = stage->Input("b", {rows, rank});
    Tensor norms = stage->Output("norms", {rows});
    return RunOn(stage, [=, &b]() mutable { b.AdaptedNorms(w, a, low, 0.4f, norms); });
  };
  return {"adapted_norms",
          Cat(TraitsOf(format).name, "_n", rows, "_c", cols, "_r", rank),
          1e-6,
          Compute::kF32,
          2.0 * rows * cols * (rank + 1),
          4.0 * rows * cols,
          prepare};
}

// A column in seven has none.
std::vector<float> WithZeros(std::vector<float> norms) {
  for (size_t i = 0; i < norms.size(); i += 7) norms[i] = 0;
  return norms;
}

OpCase ResizeCase(int64_t tokens, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {tokens, cols}), size = stage->Input("size", {cols}),
                 norms = stage->Input("norms", {cols}, WithZeros(stage->Normal(cols, 0.1)));
    Tensor y = stage->Output("y", {tokens, cols});
    return RunOn(stage, [=, &b]() mutable { b.ResizeColumns(x, size, norms, y); });
  };
  return {"resize_columns",    Cat("n", tokens, "_c", cols), 1e-6,   Compute::kF32,
          2.0 * tokens * cols, 8.0 * tokens * cols,          prepare};
}

OpCase ResizeGradCase(int64_t tokens, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor dy = stage->Input("dy", {tokens, cols}), x = stage->Input("x", {tokens, cols}),
                 norms = stage->Input("norms", {cols},
                                      WithZeros(std::vector<float>(size_t(cols), 1.75f)));
    Tensor dsize = stage->InOut("dsize", {cols});
    return RunOn(stage, [=, &b]() mutable { b.ResizeColumnsGrad(dy, x, norms, dsize); });
  };
  return {"resize_columns_grad", Cat("n", tokens, "_c", cols), 2e-6,   Compute::kF32,
          3.0 * tokens * cols,   8.0 * tokens * cols,          prepare};
}

// Some of `count` numbers, in no order, the last and the first among them.
std::vector<int32_t> SomeOf(int64_t count) {
  std::vector<int32_t> out;
  for (int64_t i = count - 1; i >= 0; i -= 3) out.push_back(static_cast<int32_t>(i));
  if (out.back() != 0) out.insert(out.begin(), 0);
  return out;
}

enum class Place { kPutRows, kPutColumns, kTakeColumns };

OpCase PlaceCase(Place place, int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const std::vector<int32_t> numbers = SomeOf(place == Place::kPutRows ? rows : cols);
    const Tensor at = stage->Indices(numbers);
    const auto n = std::ssize(numbers);
    const Shape part = place == Place::kPutRows ? Shape{n, cols} : Shape{rows, n};
    Tensor whole = stage->InOut("whole", {rows, cols});
    Tensor x = place == Place::kTakeColumns ? stage->Output("x", part) : stage->Input("x", part);
    return RunOn(stage, [=, &b]() mutable {
      if (place == Place::kPutRows) b.PutRows(x, at, whole);
      if (place == Place::kPutColumns) b.PutColumns(x, at, whole);
      if (place == Place::kTakeColumns) b.TakeColumns(whole, at, x);
    });
  };
  const char* name = place == Place::kPutRows      ? "put_rows"
                     : place == Place::kPutColumns ? "put_columns"
                                                   : "take_columns";
  return {name, Cat("n", rows, "_c", cols), 0, Compute::kF32, 0, 8.0 * rows * cols, prepare};
}

}  // namespace

std::vector<OpCase> AdaptedCases() {
  std::vector<OpCase> cases;
  for (const WeightFormat format : AllFormats()) {
    const int64_t step = TraitsOf(format).row_step();
    cases.push_back(NormsCase(format, 65, step > 1 ? 3 * step : 97, 7));
    cases.push_back(NormsCase(format, 1, step, 1));
  }
  cases.push_back(NormsCase(WeightFormat::kBF16, 600, 576, 16));
  for (const auto& make : {ResizeCase, ResizeGradCase}) {
    cases.push_back(make(1, 1));
    cases.push_back(make(17, 65));
    cases.push_back(make(129, 576));
  }
  for (const Place place : {Place::kPutRows, Place::kPutColumns, Place::kTakeColumns}) {
    cases.push_back(PlaceCase(place, 1, 1));
    cases.push_back(PlaceCase(place, 17, 65));
    cases.push_back(PlaceCase(place, 64, 129));
  }
  return cases;
}

}  // namespace retort
