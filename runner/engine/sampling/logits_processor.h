// SPDX-License-Identifier: Apache-2.0
// What a request's options say of the next token whatever its probability: biases, penalties, and
// where a text may end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runner/engine/sampling/dry.h"
#include "runner/engine/sampling/penalties.h"

namespace retort {

// Of one stream.
class LogitsProcessor {
 public:
  static bool Needed(const SamplingOptions& options);
  // ends: the model's end tokens. The options and the tokenizer must outlive it.
  LogitsProcessor(const SamplingOptions& options, std::span<const int32_t> ends,
                  const Tokenizer& tokenizer);

  // Changes the logits in place. tokens: the prompt and the answer, which is the last `answer` of
  // them. Throws Error{kInput} if no token is left.
  void Apply(std::span<const int32_t> tokens, size_t answer, std::span<float> logits);

 private:
  const SamplingOptions& options_;
  std::vector<int32_t> ends_;  // the model's and the template's
  Penalties penalties_;
  std::optional<Dry> dry_;
};

}  // namespace retort
