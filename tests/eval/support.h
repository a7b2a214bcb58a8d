// SPDX-License-Identifier: Apache-2.0
// A small model over bytes, and scores computed in the simplest way.
#pragma once

#include <cmath>

#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {

struct SmallWorld {
  explicit SmallWorld(uint64_t seed = 4, int64_t window = 0) {
    DenseConfig config = SmallConfig(tokenizer.vocab_size());
    config.window = window;
    config.ends = {ByteTokenizer::kEos};
    model = RandomModel(config, seed, *backend, 2);
  }

  std::vector<double> NextLogits(const std::vector<int32_t>& ids) const {
    Batch batch;
    batch.AddRow(ids, 0);
    Context context{*backend};
    const Var hidden = model->Hidden(context, {batch});
    return backend->ToDoubles(
        model->Logits(context, nullptr, hidden, {static_cast<int32_t>(ids.size()) - 1}));
  }
  // log p(rest | ids), a whole forward pass a token.
  double LogProbability(std::vector<int32_t> ids, const std::vector<int32_t>& rest) const {
    double sum = 0;
    for (const int32_t next : rest) {
      const std::vector<double> logits = NextLogits(ids);
      double total = 0;
      for (const double l : logits) total += std::exp(l);
      sum += logits[static_cast<size_t>(next)] - std::log(total);
      ids.push_back(next);
    }
    return sum;
  }
  std::vector<int32_t> Greedy(std::vector<int32_t> ids, int64_t tokens) const {
    std::vector<int32_t> out;
    for (int64_t i = 0; i < tokens; ++i) {
      const std::vector<double> logits = NextLogits(ids);
      out.push_back(
          static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      if (out.back() == ByteTokenizer::kEos) break;
      ids.push_back(out.back());
    }
    return out;
  }

  ByteTokenizer tokenizer;
  std::unique_ptr<Backend> backend = MakeReferenceBackend();
  std::unique_ptr<Model> model;
};

}  // namespace retort
