// SPDX-License-Identifier: Apache-2.0
// One request in progress: its tokens, its pages in the cache, and its decoded text.
#pragma once

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

#include "runner/engine/constrained_answer.h"
#include "runner/engine/draft/draft_length.h"
#include "runner/engine/draft/drafter.h"
#include "runner/engine/engine.h"
#include "runner/engine/kv_cache.h"
#include "runner/engine/sampling/logits_processor.h"
#include "runner/engine/stop_text.h"

namespace retort {

class Stream {
 public:
  // ends: ids that end the generation, in addition to those of the request's options. context:
  // maximum tokens including the prompt.
  Stream(Engine::RequestId id, GenerationRequest request, const Tokenizer& tokenizer,
         const std::vector<int32_t>& ends, int64_t context);

  Engine::RequestId id() const { return id_; }
  GenerationRequest& request() { return request_; }
  const Adapter* adapter() const { return request_.adapter.get(); }
  int32_t adapter_number() const { return adapter() ? adapter()->number() : 0; }
  int64_t prompt_tokens() const { return prompt_tokens_; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  // prompt and generated

  // Tokens that the model has not processed yet; at least one until the stream ends.
  int64_t unread() const { return size() - read_; }
  int64_t read() const { return read_; }
  bool begun() const { return read_ > 0; }
  // It ends when its prompt is read.
  bool reads_only() const { return request_.pooling != Pooling::kNone || !request_.scores.empty(); }
  // How many tokens a step should read that may read about `share` (at least 1) of them. A prompt
  // is cut so that no piece is a single token: a run of one query is computed in another order of
  // sums than a longer one, and which cuts are made must not show in the results.
  int64_t PieceOf(int64_t share) const;
  // Appends the next `count` tokens to the batch, and their cache rows to `rows`. Tokens of the
  // prompt form one run. Generated tokens that are read again, after the stream lost its pages, are
  // runs of one query each, as they were the first time. The guesses follow, likewise, where all
  // else is read; they stay unread.
  void AppendTo(int64_t count, Batch& batch, std::vector<int32_t>& rows);
  // All tokens are unread again: the stream has lost its pages.
  void Forget() {
    read_ = reused_ = 0;
    pooled_.clear();
  }

  // The tokens whose pages other prompts may use, and this one theirs. At least two of the prompt
  // are left to read, for what PieceOf says. Generated tokens are not among them: they are computed
  // in another order of sums than those of a prompt.
  std::span<const int32_t> prefix() const;
  // Takes what the cache has of the prefix, if the stream has read whole pages only.
  void Adopt(KvCache& cache);
  KvCache::Match MatchOf(const KvCache& cache) const;
  // Lets others use the pages of the prefix that are read.
  void Share(KvCache& cache) {
    cache.Share(pages, prefix().first(static_cast<size_t>(std::min(read_, prefix_))));
  }
  // True if this stream reads the page that the other would begin to read when it has adopted what
  // matches.
  bool ReadsNextPageOf(const Stream& other, const KvCache::Match& match) const;
  int64_t reused() const { return reused_; }  // tokens of the prompt that were adopted
  // Whether it is to be told how far the prompt is read. first: only before any step has read it.
  bool TellsReading(bool first) const {
    return request_.progress && size() == prompt_tokens_ && !(first && began_);
  }
  GenerationEvent Reading() const;
  // Samples the next of the tokenizer's tokens from `logits` [V] and returns what happened.
  // Requires unread() == 0. It is 0 again if the token had been guessed, and so is read: then the
  // logits of that are the next call's.
  // The logits are overwritten by what the request's options and grammar make of them.
  GenerationEvent Next(std::span<float> logits, Sampler& sampler);

  // Guesses at the next tokens (runner/engine/draft/speculation.h). A stream that generates may
  // have some; AskForGuesses counts as the one time that a step does so.
  bool MayGuess() const {
    return !guesses_end_ && generates && !reads_only() && read_ >= prompt_tokens_;
  }
  DraftRequest AskForGuesses();
  // Takes them up to the first that cannot be chosen. If finding that out costs the grammar too
  // much, the stream has no guesses from then on.
  void Guess(std::span<const int32_t> ids);
  std::span<const int32_t> guesses() const { return guesses_; }
  // They are not read: there is no room. All the same they cost their drafter's time in vain.
  void LeaveGuesses() { guesses_.clear(); }
  void EndGuesses() { guesses_end_ = true; }
  // Behind the step that read them: those that were not said are gone, and their pages are free.
  void DropGuesses(KvCache& cache);

  // Positions of the prompt for whose next token the model's logits are wanted, and what becomes
  // of them.
  bool WantsLogits(int64_t position) const {
    return position + 1 < prompt_tokens_ && (request_.prompt_logprobs || WantsScore(position));
  }
  void Score(int64_t position, std::span<const float> logits);
  // The same for hidden states, if the prompt's embedding is wanted.
  bool WantsHidden(int64_t position) const {
    return request_.pooling == Pooling::kMean ||
           (request_.pooling == Pooling::kLast && position + 1 == prompt_tokens_);
  }
  void Pool(std::span<const float> hidden);

  PageTable pages;
  bool generates = false;  // it has one of the engine's places, and reads a token at each step

 private:
  bool WantsScore(int64_t position) const {
    return std::ranges::find(request_.scores, position, &WantedScore::position) !=
           request_.scores.end();
  }
  GenerationEvent ChooseNext(std::span<float> logits, Sampler& sampler);
  // The tokens at the positions from `first` on.
  void AppendRun(std::span<const int32_t> ids, int64_t first, int32_t first_block, Batch& batch,
                 std::vector<int32_t>& rows) const;
  void Accept(int32_t id, GenerationEvent& event);
  // The same with what the grammar says of it, and the tokens that it forces.
  void AcceptConstrained(int32_t id, GenerationEvent& event);
  bool IsEnd(int32_t id) const;
  // Tokens that had been guessed are read.
  void ReadGuessed();
  double SecondsSinceBegin() const;
  size_t generated() const { return tokens_.size() - static_cast<size_t>(prompt_tokens_); }

  Engine::RequestId id_;
  GenerationRequest request_;
  std::vector<int32_t> tokens_;        // the prompt and the sampled tokens
  std::vector<int32_t> ends_, marks_;  // marks_: those that stand for the end of a grammar's text
  int64_t prompt_tokens_, prefix_, limit_;
  size_t watched_next_ = 0;  // how many tokens are to come before the next one that is watched
  size_t ids_;  // those that the tokenizer has; the model's further rows are never sampled
  int64_t read_ = 0, reused_ = 0;
  std::vector<int32_t> guesses_;
  int64_t guessed_from_ = 0;  // the position of the first
  int64_t proposed_ = 0;      // guesses of this step, with those that the stream did not take
  bool guesses_end_ = false;
  int64_t drafted_ = 0, accepted_ = 0;
  DraftLength draft_length_;
  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  ForcedBeginning forced_;
  std::optional<ConstrainedAnswer> constrained_;
  std::optional<LogitsProcessor> processor_;
  std::optional<Mirostat> mirostat_;
  StopText stop_;
  std::optional<std::chrono::steady_clock::time_point> began_;
  std::vector<float> unchanged_;                // logits, if their log-probabilities are asked for
  std::vector<TokenLogprobs> prompt_logprobs_;  // by position, without the first
  std::vector<double> pooled_, scores_;
};

}  // namespace retort
