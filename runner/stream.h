// SPDX-License-Identifier: Apache-2.0
// One request in progress: its tokens, its pages in the cache, and its decoded text.
#pragma once

#include <vector>

#include "runner/engine.h"
#include "runner/kv_cache.h"
#include "runner/stop_text.h"

namespace retort {

class Stream {
 public:
  // ends: ids that end the generation, in addition to the request's stop_ids. context: maximum
  // tokens including the prompt.
  Stream(Engine::RequestId id, GenerationRequest request, const Tokenizer& tokenizer,
         const std::vector<int32_t>& ends, int64_t context);

  Engine::RequestId id() const { return id_; }
  GenerationRequest& request() { return request_; }
  // The maximum number of tokens in the cache. Keys and values of the last token are never needed.
  int64_t cache_need() const { return limit_ - 1; }
  int64_t prompt_tokens() const { return prompt_tokens_; }

  // Tokens that the model has not processed yet; at least one until the stream ends.
  int64_t unread() const { return static_cast<int64_t>(tokens_.size()) - read_; }
  int64_t read() const { return read_; }
  // Appends the next `count` tokens to the batch, and their cache rows to `rows`.
  void AppendTo(int64_t count, Batch& batch, std::vector<int32_t>& rows);
  // Samples the next token from `logits` [V] and returns what happened. Requires unread() == 0.
  GenerationEvent Next(std::span<const float> logits, Sampler& sampler);

  PageTable pages;

 private:
  void Accept(int32_t id, GenerationEvent& event);
  bool IsEnd(int32_t id) const;

  Engine::RequestId id_;
  GenerationRequest request_;
  std::vector<int32_t> tokens_;  // the prompt and the sampled tokens
  std::vector<int32_t> ends_;
  int64_t prompt_tokens_, limit_;
  int64_t read_ = 0;
  StreamDecoder decoder_;
  StopText stop_;
};

}  // namespace retort
