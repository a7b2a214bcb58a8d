// SPDX-License-Identifier: Apache-2.0
// One request on its way: its tokens, its place in the cache, and the text made of what it says.
#pragma once

#include <vector>

#include "runner/engine.h"
#include "runner/kv_cache.h"
#include "runner/stop_text.h"

namespace retort {

class Stream {
 public:
  // ends: ids that end the generation beside the request's own. context: most tokens, the prompt's
  // included.
  Stream(Engine::RequestId id, GenerationRequest request, const Tokenizer& tokenizer,
         const std::vector<int32_t>& ends, int64_t context);

  Engine::RequestId id() const { return id_; }
  GenerationRequest& request() { return request_; }
  // Tokens whose keys and values the cache will hold at most: the last one's are never needed.
  int64_t cache_need() const { return limit_ - 1; }
  int64_t prompt_tokens() const { return prompt_tokens_; }

  // Tokens that the model has not read yet; one of them at least until the stream has ended.
  int64_t unread() const { return static_cast<int64_t>(tokens_.size()) - read_; }
  int64_t read() const { return read_; }
  // Lays the next `count` tokens at the batch's end, their places in the cache into `rows`.
  void AppendTo(int64_t count, Batch& batch, std::vector<int32_t>& rows);
  // Samples the token after all that was read and says what came of it. Only when nothing is
  // unread.
  GenerationEvent Next(std::span<const float> logits, Sampler& sampler);

  PageTable pages;

 private:
  void Accept(int32_t id, GenerationEvent& event);
  bool IsEnd(int32_t id) const;

  Engine::RequestId id_;
  GenerationRequest request_;
  std::vector<int32_t> tokens_;  // the prompt and what was sampled
  std::vector<int32_t> ends_;
  int64_t prompt_tokens_, limit_;
  int64_t read_ = 0;
  StreamDecoder decoder_;
  StopText stop_;
};

}  // namespace retort
