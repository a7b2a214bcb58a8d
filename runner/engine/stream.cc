// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/stream.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"

namespace retort {
namespace {

constexpr size_t kWatchedEvery = 8;  // tokens

// True if the generated text starts a text, so that the space of a dummy prefix must be dropped.
bool BeginsText(const std::vector<int32_t>& prompt, const Tokenizer& tokenizer) {
  return prompt.size() == 1 && prompt[0] == tokenizer.spec().bos;
}

// How many ids a token may have. A tokenizer without any (a benchmark's) limits nothing.
size_t IdsOf(const Tokenizer& tokenizer) {
  return tokenizer.vocab_size() == 0 ? std::numeric_limits<size_t>::max()
                                     : static_cast<size_t>(tokenizer.used_ids());
}

// As a vector of length 1.
std::vector<float> Normalised(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  std::vector<float> out;
  out.reserve(values.size());
  for (const double value : values) out.push_back(static_cast<float>(value * scale));
  return out;
}

}  // namespace

Stream::Stream(Engine::RequestId id, GenerationRequest request, const Tokenizer& tokenizer,
               const std::vector<int32_t>& ends, int64_t context)
    : pages(request.adapter ? request.adapter->number() : 0),
      id_(id),
      request_(std::move(request)),
      tokens_(request_.prompt),
      ends_(ends),
      prompt_tokens_(static_cast<int64_t>(tokens_.size())),
      prefix_(std::max<int64_t>(0, prompt_tokens_ - 2) / kPageTokens * kPageTokens),
      limit_(prompt_tokens_ + std::min(request_.sampling.max_tokens, context - prompt_tokens_)),
      ids_(IdsOf(tokenizer)),
      tokenizer_(tokenizer),
      decoder_(tokenizer, BeginsText(tokens_, tokenizer), request_.shown_ids),
      forced_(request_.forced),
      stop_(request_.sampling.stop) {
  const SamplingOptions& options = request_.sampling;
  if (LogitsProcessor::Needed(options)) processor_.emplace(options, ends, tokenizer);
  if (options.mirostat) mirostat_.emplace(options.mirostat_tau, options.mirostat_eta);
  ends_.insert(ends_.end(), options.stop_ids.begin(), options.stop_ids.end());
  marks_ = ends_;
  // Where a client asks to stop at a token with a text, a grammar says where that may stand.
  std::ranges::copy_if(options.stop_token_ids, std::back_inserter(marks_), [&](int32_t id) {
    return id < tokenizer.vocab_size() && tokenizer.Bytes(id).empty();
  });
  ends_.insert(ends_.end(), options.stop_token_ids.begin(), options.stop_token_ids.end());
  if (request_.constraint.grammar) constrained_.emplace(request_.constraint);
  // What others have read of it is of no use here.
  if (request_.prompt_logprobs || request_.pooling == Pooling::kMean) prefix_ = 0;
  if (!request_.scores.empty())
    prefix_ = std::min(prefix_, request_.scores.front().position / kPageTokens * kPageTokens);
  scores_.assign(request_.scores.size(), std::numeric_limits<double>::quiet_NaN());
  if (request_.prompt_logprobs) prompt_logprobs_.resize(tokens_.size() - 1);
  tokens_.reserve(static_cast<size_t>(limit_));
  pages.pages.reserve(static_cast<size_t>(KvCache::PagesFor(limit_)));
}

int64_t Stream::PieceOf(int64_t share) const {
  const int64_t prompt = prompt_tokens_ - read_;  // what is left of it
  if (prompt <= 0) return std::min(share, unread());
  int64_t piece = std::min(prompt, std::max<int64_t>(share, 2));
  if (prompt - piece == 1) piece += piece > 2 ? -1 : 1;
  if (piece == prompt)
    piece += std::clamp<int64_t>(share - piece, 0, unread() - prompt);  // then generated tokens
  return piece;
}

std::span<const int32_t> Stream::prefix() const {
  return std::span(tokens_).first(static_cast<size_t>(prefix_));
}

void Stream::Adopt(KvCache& cache) {
  if (read_ != pages.shared * kPageTokens || pages.capacity() != read_) return;
  const int64_t tokens = cache.Adopt(pages, prefix());
  read_ += tokens;
  if (size() == prompt_tokens_) reused_ += tokens;
}

KvCache::Match Stream::MatchOf(const KvCache& cache) const {
  return cache.MatchOf(pages, prefix());
}

bool Stream::ReadsNextPageOf(const Stream& other, const KvCache::Match& match) const {
  if (pages.prefix != match.node || other.read_ != other.pages.shared * kPageTokens) return false;
  const int64_t page = other.pages.shared + match.pages;
  const int64_t end = (page + 1) * kPageTokens;
  if (end > prefix_ || end > other.prefix_) return false;
  const auto tokens = [page](const Stream& stream) {
    return stream.prefix().subspan(static_cast<size_t>(page * kPageTokens), kPageTokens);
  };
  return std::ranges::equal(tokens(*this), tokens(other));
}

void Stream::AppendTo(int64_t count, Batch& batch, std::vector<int32_t>& rows) {
  RETORT_CHECK(count > 0 && count <= unread() && read_ + count <= pages.capacity(), "reading ",
               count, " tokens");
  if (!began_) began_ = std::chrono::steady_clock::now();
  std::vector<int32_t>& blocks = batch.layout.block_rows;
  const auto first_block = static_cast<int32_t>(blocks.size());
  for (const int32_t page : pages.pages) blocks.push_back(page * static_cast<int32_t>(kPageTokens));
  const auto next = std::span(tokens_).subspan(static_cast<size_t>(read_));
  const auto prompt = static_cast<size_t>(std::clamp<int64_t>(prompt_tokens_ - read_, 0, count));
  if (prompt > 0) AppendRun(next.first(prompt), read_, first_block, batch, rows);
  read_ += static_cast<int64_t>(prompt);
  for (const int32_t& id : next.subspan(prompt, static_cast<size_t>(count) - prompt))
    AppendRun({&id, 1}, read_++, first_block, batch, rows);
  if (unread() > 0) return;
  drafted_ += std::ssize(guesses_);
  for (int64_t position = read_; const int32_t& id : guesses_)
    AppendRun({&id, 1}, position++, first_block, batch, rows);
}

void Stream::AppendRun(std::span<const int32_t> ids, int64_t first, int32_t first_block,
                       Batch& batch, std::vector<int32_t>& rows) const {
  batch.layout.runs.push_back({static_cast<int32_t>(batch.tokens()),
                               static_cast<int32_t>(ids.size()), static_cast<int32_t>(first),
                               first_block});
  batch.lengths.push_back(static_cast<int32_t>(limit_));
  for (int64_t p = first; const int32_t id : ids) {
    batch.ids.push_back(id);
    batch.positions.push_back(static_cast<int32_t>(p));
    rows.push_back(pages.RowOf(p++));
  }
}

DraftRequest Stream::AskForGuesses() {
  return {id_,
          tokens_,
          prompt_tokens_,
          limit_,
          &request_.sampling,
          std::min(draft_length_.Next(), limit_ - size() - 1)};
}

void Stream::Guess(std::span<const int32_t> ids) {
  const auto cannot = [this](int32_t id) {
    return id < 0 || std::cmp_greater_equal(id, ids_) || IsEnd(id);
  };
  const auto end = std::ranges::find_if(ids, cannot);
  guesses_.assign(ids.begin(), end);
  if (constrained_) {
    const std::optional<size_t> allowed = constrained_->CountAllowed(guesses_);
    guesses_end_ = !allowed;
    guesses_.resize(allowed.value_or(0));
  }
  guessed_from_ = size();
  proposed_ = std::ssize(ids);
}

void Stream::ReadGuessed() {
  const auto guess = [this] { return static_cast<size_t>(read_ - guessed_from_); };
  for (; unread() > 0 && guess() < guesses_.size(); ++read_, ++accepted_) {
    if (tokens_[static_cast<size_t>(read_)] != guesses_[guess()]) return;
  }
}

void Stream::DropGuesses(KvCache& cache) {
  if (proposed_ == 0) return;
  // Those that were not taken or not read could not come true either.
  draft_length_.Observe(std::exchange(proposed_, 0), read_ - guessed_from_);
  guesses_.clear();
  cache.Shrink(pages, size());
}

GenerationEvent Stream::Next(std::span<float> logits, Sampler& sampler) {
  RETORT_CHECK(unread() == 0, "sampling before the prompt is read");
  GenerationEvent event;
  if (request_.pooling != Pooling::kNone) {
    event.finish = FinishReason::kStop;
    event.embedding = Normalised(pooled_);
  } else if (!scores_.empty()) {
    Score(prompt_tokens_ - 1, logits);
    event.finish = FinishReason::kStop;
    event.scores = scores_;
  } else if (size() >= limit_) {  // only the prompt was to be read
    event.finish = FinishReason::kLength;
  } else {
    event = ChooseNext(logits, sampler);
    ReadGuessed();
  }
  event.prompt_logprobs = std::exchange(prompt_logprobs_, {});
  event.reused_tokens = reused_;
  event.drafted_tokens = drafted_;
  event.accepted_tokens = accepted_;
  event.seconds = SecondsSinceBegin();
  return event;
}

GenerationEvent Stream::Reading() const {
  GenerationEvent event;
  event.read_tokens = read_;
  event.reused_tokens = reused_;
  event.seconds = SecondsSinceBegin();
  return event;
}

double Stream::SecondsSinceBegin() const {
  if (!began_) return 0;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - *began_).count();
}

void Stream::Score(int64_t position, std::span<const float> logits) {
  const auto at = static_cast<size_t>(position);
  if (at < prompt_logprobs_.size())
    prompt_logprobs_[at] =
        LogprobsOf(logits, tokens_[at + 1], std::max<int64_t>(0, request_.logprobs));
  if (!WantsScore(position)) return;
  const double log_sum = LogSumExp(logits);
  for (size_t i = 0; i < scores_.size(); ++i) {
    const auto& [where, token] = request_.scores[i];
    if (where == position) scores_[i] = logits[static_cast<size_t>(token)] - log_sum;
  }
}

void Stream::Pool(std::span<const float> hidden) {
  pooled_.resize(hidden.size());
  for (size_t i = 0; i < hidden.size(); ++i) pooled_[i] += hidden[i];
}

GenerationEvent Stream::ChooseNext(std::span<float> logits, Sampler& sampler) {
  GenerationEvent event;
  if (request_.logprobs >= 0 && !request_.drawn_logprobs)
    unchanged_.assign(logits.begin(), logits.end());
  // Forced tokens come several at a time, and go beyond the next one.
  const bool watched = request_.watched && generated() >= watched_next_;
  if (watched) {
    sampler.Remember(logits);
    watched_next_ = (generated() / kWatchedEvery + 1) * kWatchedEvery;
  }
  const std::span<float> known = logits.first(std::min(logits.size(), ids_));
  if (processor_) processor_->Apply(tokens_, generated(), known);
  if (constrained_) constrained_->Mask(known, marks_);
  const int32_t drawn =
      sampler.Sample(known, request_.sampling, tokens_.size(), mirostat_ ? &*mirostat_ : nullptr);
  const int32_t id = forced_.Instead(drawn, IsEnd(drawn), tokenizer_);
  if (IsEnd(id)) {
    event.finish = FinishReason::kStop;
    event.end_id = id;
  } else if (constrained_) {
    AcceptConstrained(id, event);
  } else {
    Accept(id, event);
  }
  if (request_.logprobs >= 0 && !event.ids.empty()) {
    const int32_t first = event.ids.front();
    event.logprobs.push_back(request_.drawn_logprobs
                                 ? sampler.DrawnLogprobs(first, request_.logprobs)
                                 : LogprobsOf(unchanged_, first, request_.logprobs));
  }
  if (watched)
    event.watched = {1, sampler.RememberedLogprob(event.ids.empty() ? id : event.ids.front())};
  if (event.finish == FinishReason::kNone) return event;
  // At the end, the text that was held back is output too.
  event.text += stop_.Push(decoder_.Flush());
  if (!stop_.found()) event.text += stop_.Flush();
  event.stop_text = stop_.stop();
  return event;
}

void Stream::Accept(int32_t id, GenerationEvent& event) {
  tokens_.push_back(id);
  event.ids.push_back(id);
  const std::string text = decoder_.Push(id);
  const bool early = std::cmp_less_equal(generated(), request_.sampling.min_tokens);
  event.text += early ? text : stop_.Push(text);
  if (stop_.found())
    event.finish = FinishReason::kStop;
  else if (static_cast<int64_t>(tokens_.size()) >= limit_)
    event.finish = FinishReason::kLength;
}

void Stream::AcceptConstrained(int32_t id, GenerationEvent& event) {
  constrained_->Accept(id);
  // Each token is chosen by itself where its log-probability is asked for.
  const std::vector<int32_t> forced =
      request_.logprobs >= 0 ? std::vector<int32_t>() : constrained_->Force(id, tokenizer_);
  if (forced.empty()) Accept(id, event);
  for (const int32_t next : forced) {
    if (event.finish == FinishReason::kNone) Accept(next, event);
  }
  // The whole text is there: it ends as if the model had said so, whatever the limit.
  if (constrained_->complete() && std::ssize(event.ids) >= std::ssize(forced))
    event.finish = FinishReason::kStop;
}

bool Stream::IsEnd(int32_t id) const {
  return std::find(ends_.begin(), ends_.end(), id) != ends_.end();
}

}  // namespace retort
