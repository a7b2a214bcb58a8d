// SPDX-License-Identifier: Apache-2.0
// The own forms of llama.cpp's server: /completion and /infill.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct LlamaCppRequest {
  ApiRequest request;
  bool several = false;        // prompts, or answers to one: the whole answer is a list
  bool return_tokens = false;  // the answer's ids, which a stream has always
  // What of the whole answer is told, as paths: {"timings", "prompt_n"}. None: all of it.
  std::vector<std::vector<std::string>> fields;
};

// tokenizer: finds the tokens of texts among the ids of a prompt, and of logit biases. A prompt of
// more than most_tokens is not tokenised to its end. Throws ApiError, naming what is not supported.
LlamaCppRequest ReadLlamaCppRequest(const std::string& body, uint64_t random_seed,
                                    const Tokenizer& tokenizer, size_t most_tokens);
LlamaCppRequest ReadLlamaCppObject(const Json& object, uint64_t random_seed,
                                   const Tokenizer& tokenizer, size_t most_tokens);
// The same of /infill: what stands between 'input_prefix', followed by 'prompt', and
// 'input_suffix', in view of the files of 'input_extra'. 501 if the tokenizer has no marks for it.
LlamaCppRequest ReadInfillRequest(const std::string& body, uint64_t random_seed,
                                  const Tokenizer& tokenizer, size_t most_tokens);

// A prompt as llama.cpp tells it: its text, behind BOS if the model's files want one and it has
// none.
std::string ShownPrompt(const ApiPrompt& prompt, const Tokenizer& tokenizer);

// tokenizer must outlive the writer.
std::unique_ptr<AnswerWriter> LlamaCppWriter(const ApiAnswerHead& head, const LlamaCppRequest& read,
                                             const Tokenizer& tokenizer);

}  // namespace retort
