// SPDX-License-Identifier: Apache-2.0
// Guesses what a smaller model says: a distilled student drafts for its teacher.
#pragma once

#include <map>
#include <vector>

#include "runner/engine/draft/drafter.h"
#include "runner/engine/kv_cache.h"
#include "runner/engine/sampler.h"

namespace retort {

// Reads each stream's text with the smaller model, in a cache of its own, and draws from what that
// says with the stream's options and the very random numbers that its tokens are drawn with: where
// both models agree, so do the draws, at any temperature.
//
// A long prompt is read in several steps, during which there are no guesses for it. Neither are
// there for a stream that the cache has no room for. A stream that is longer than the model's
// positions, that has tokens which the model lacks, or for which its logits are no numbers, has no
// guesses any more, and takes no room in the cache.
class ModelDrafter : public Drafter {
 public:
  // most_ids: ids from there on are never guessed. The cache has room for so many tokens, and keeps
  // so many of earlier prompts (KvCache).
  ModelDrafter(const Model& model, const Adapter* adapter, int64_t most_ids, DType cache_type,
               int64_t cache_tokens, int64_t kept_tokens);

  void Propose(std::span<DraftRequest> requests) override;
  void Forget(uint64_t stream) override;
  int64_t cache_bytes() const override { return cache_.bytes(); }

 private:
  static constexpr int64_t kReadAtOnce = 256;  // tokens of texts in a step, guesses aside

  // What the model has read of a stream.
  struct Reader {
    PageTable pages;
    std::vector<int32_t> read;
    bool given_up = false;  // there are no guesses for it any more
  };

  Reader& ReaderOf(const DraftRequest& request);
  void GiveUp(Reader& reader);
  // Reads what the stream has said since, at most `share` tokens of it, and returns how many.
  int64_t CatchUp(DraftRequest& request, int64_t share);
  void Append(Reader& reader, std::span<const int32_t> ids, int64_t limit);
  // One pass over `batch_`. Each of the requests in `asked_` gets a guess.
  void Step();
  void Guess(DraftRequest& request, std::span<const float> logits);

  const Model& model_;
  const Adapter* adapter_;
  const size_t ids_;
  KvCache cache_;
  std::map<uint64_t, Reader> readers_;

  // Of the current step.
  Batch batch_;
  std::vector<DraftRequest*> asked_;
  std::vector<int32_t> rows_;  // of the batch, their last tokens
  std::vector<float> logits_;  // [rows_, V]
  Sampler sampler_;
};

}  // namespace retort
