// SPDX-License-Identifier: Apache-2.0
// Tokens and their log-probabilities, as OpenAI's API writes them.
#pragma once

#include <span>

#include "base/json.h"
#include "runner/engine/logprobs.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Of a chat: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
Json ChatLogprobs(std::span<const TokenLogprobs> tokens, const Tokenizer& tokenizer);

// Of a completion: {"tokens", "token_logprobs", "text_offset", "top_logprobs"}, the last only if
// `top` is above 0. offset: characters of the text before these tokens; it is moved behind them. A
// token without a log-probability (the first one of a prompt) has null.
Json CompletionLogprobs(std::span<const TokenLogprobs> tokens, int64_t top,
                        const Tokenizer& tokenizer, int64_t& offset);

}  // namespace retort
