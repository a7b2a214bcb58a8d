// SPDX-License-Identifier: Apache-2.0
#include "eval/input_squares.h"

#include <cmath>

#include "base/error.h"

namespace retort {

std::vector<InputSquares> SumInputSquares(const Model& model, const Adapter* adapter,
                                          const Examples& examples, const ObserveOptions& options) {
  const std::vector<LinearSpec>& linears = model.layout.linears;
  std::vector<InputSquares> all(linears.size());
  for (size_t id = 0; id < linears.size(); ++id) {
    if (linears[id].in_block()) all[id].sums.resize(static_cast<size_t>(linears[id].cols));
  }
  Observer observer;
  observer.linear_input = [&](LinearId id, const Tensor& x) {
    InputSquares& of = all[static_cast<size_t>(id)];
    const std::vector<float> values = model.backend.ToFloats(x);
    const size_t cols = of.sums.size();
    for (size_t at = 0; at < values.size(); at += cols) {
      for (size_t c = 0; c < cols; ++c) of.sums[c] += double{values[at + c]} * values[at + c];
    }
    of.tokens += static_cast<int64_t>(values.size() / cols);
  };
  Observe(model, adapter, examples, observer, options);
  for (size_t id = 0; id < all.size(); ++id) {
    for (const double sum : all[id].sums) {
      if (!std::isfinite(sum))
        throw Failure(linears[id].name,
                      ": its inputs are not finite numbers: the activations overflow; try "
                      "--compute f32");
    }
  }
  return all;
}

}  // namespace retort
