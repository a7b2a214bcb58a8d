// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/engine.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/error.h"
#include "runner/engine/draft/model_drafter.h"
#include "runner/engine/draft/ngram_drafter.h"
#include "runner/engine/draft/speculation.h"
#include "runner/engine/prompt_states.h"
#include "runner/engine/scheduler.h"

namespace retort {
namespace {

constexpr int64_t kMostCacheTokens = 65536;  // default; a single stream's context may exceed it
constexpr int64_t kMostParallel = 1 << 16;

EngineOptions Resolved(EngineOptions options, const Architecture& config) {
  if (options.parallel < 1 || options.parallel > kMostParallel) {
    throw InputError("parallel must be from 1 to ", kMostParallel, ", not ", options.parallel);
  }
  if (options.prefill_tokens < 1)
    throw InputError("prefill_tokens must be at least 1, not ", options.prefill_tokens);
  if (options.context < 0 || options.cache_tokens < 0)
    throw InputError("context and cache sizes must not be negative");
  if (options.context > config.max_positions) {
    throw InputError("a context of ", options.context, " tokens is more than the model's ",
                     config.max_positions);
  }
  if (options.context == 0) options.context = config.max_positions;
  if (options.cache_tokens == 0) {
    const int64_t streams = std::min(options.parallel, kMostCacheTokens / options.context + 1);
    options.cache_tokens =
        std::max(options.context, std::min(kMostCacheTokens, streams * options.context));
  }
  if (options.cache_tokens > INT32_MAX / 2)
    throw InputError("a cache of ", options.cache_tokens, " tokens is too large");
  options.context = std::min(options.context, options.cache_tokens);
  if (options.draft.tokens < 1)
    throw InputError("draft tokens must be at least 1, not ", options.draft.tokens);
  return options;
}

// Keys of a rope whose frequencies depend on how long a request may grow are no other request's.
int64_t KeptTokens(const EngineOptions& options, const Architecture& config) {
  const bool by_length = std::ranges::any_of(
      config.ropes, [](const RopeSpec& rope) { return rope.scaling.by_length(); });
  return by_length ? 0 : options.kept_tokens;
}

// The model's end tokens, or the tokenizer's if the model names none.
std::vector<int32_t> EndsOf(const Model& model, const Tokenizer& tokenizer) {
  std::vector<int32_t> ends = model.config.ends;
  if (ends.empty() && tokenizer.spec().eos >= 0) ends.push_back(tokenizer.spec().eos);
  return ends;
}

std::unique_ptr<Drafter> DrafterFor(const EngineOptions& options, const Tokenizer& tokenizer,
                                    int64_t vocab) {
  const DraftOptions& draft = options.draft;
  RETORT_CHECK(!draft.ngram || !draft.model, "two ways to guess");
  if (draft.ngram) return std::make_unique<NgramDrafter>();
  const Architecture& config = draft.model->config;
  const int64_t kept = KeptTokens(options, config);
  const int64_t live = options.parallel * KvCache::PagesFor(config.max_positions) * kPageTokens;
  return std::make_unique<ModelDrafter>(
      *draft.model, draft.adapter, std::min<int64_t>(tokenizer.used_ids(), vocab),
      options.cache_type, std::min(options.cache_tokens, live + std::max<int64_t>(0, kept)), kept);
}

GenerationEvent FailedWith(std::exception_ptr error) {
  GenerationEvent event;
  event.finish = FinishReason::kFailed;
  event.error = std::move(error);
  return event;
}

}  // namespace

struct Engine::State {
  State(const Model& m, const Adapter* a, const Tokenizer& t, const EngineOptions& o)
      : model(m),
        adapter(std::shared_ptr<void>(), a),
        tokenizer(t),
        options(Resolved(o, m.config)),
        ends(EndsOf(m, t)),
        cache(m.backend, m.planes(), options.cache_type, options.cache_tokens,
              KeptTokens(options, m.config)),
        scheduler(cache, options.parallel, options.prefill_tokens, options.paced) {
    if (options.draft.any())
      speculation.emplace(DrafterFor(options, tokenizer, m.config.vocab), options.draft.tokens);
  }

  void Check(const GenerationRequest& request) const;
  const std::vector<Scheduler::Piece>& Plan();
  // The pieces, those of each adapter together.
  const std::vector<Scheduler::Piece>& ByAdapter(const std::vector<Scheduler::Piece>& pieces);
  // Fills `batch` with the pieces' tokens.
  void BuildBatch(const std::vector<Scheduler::Piece>& pieces);
  // One forward pass over `batch`; fills `logits` for the tokens `last`.
  void Forward();
  // How far the pieces' prompts are read, for those who want to know; first: before a first step.
  void TellReading(const std::vector<Scheduler::Piece>& pieces, bool first);
  // Computes the pieces and fills `events`.
  void Compute(const std::vector<Scheduler::Piece>& pieces);
  // Chooses the stream's next tokens: one, and further ones as long as they had been guessed.
  void SampleAll(Stream& stream, size_t row);
  GenerationEvent Sample(Stream& stream, size_t row);
  void Deliver(RequestId id, const GenerationEvent& event);
  std::unique_ptr<Stream> Remove(RequestId id);

  const Model& model;
  const std::shared_ptr<const Adapter> adapter;  // not owned
  const Tokenizer& tokenizer;
  const EngineOptions options;
  const std::vector<int32_t> ends;
  KvCache cache;
  Scheduler scheduler;
  Scheduler::Streams streams;
  std::optional<Speculation> speculation;

  // Of the current step. Kept between steps, so that a step of the same size allocates nothing.
  Batch batch;
  std::vector<Scheduler::Piece> ordered;
  std::vector<AdapterRows> adapter_rows;  // of the batch
  std::vector<int32_t> last;  // tokens of the batch, behind which there may be something to say
  std::vector<std::pair<Stream*, size_t>> ready;  // those without unread tokens; the last in `last`
  PromptStates prompt_states;
  std::vector<float> logits;  // [last, V]
  Sampler sampler;
  std::vector<std::pair<RequestId, GenerationEvent>> events;
  RequestId last_id = 0;
  EngineCounts totals;
};

void Engine::State::Check(const GenerationRequest& request) const {
  CheckSampling(request.sampling);
  if (request.prompt.empty()) throw InputError("the prompt is empty");
  const auto check = [&](const char* whose, std::span<const int32_t> ids) {
    for (const int32_t id : ids) {
      if (id >= 0 && id < model.config.vocab) continue;
      throw InputError("the ", whose, " token ", id, " is not within the vocabulary of ",
                       model.config.vocab);
    }
  };
  check("prompt's", request.prompt);
  for (const WantedScore& score : request.scores) {
    check("scored", {&score.token, 1});
    if (score.position < 0 || score.position >= std::ssize(request.prompt))
      throw InputError("the position ", score.position, " of a score is not within the prompt");
  }
  check("forced", request.forced.ids);
  check("forced", request.forced.after_thought);
  check("forced", request.forced.end_of_thought);
  check("stop_token_ids'", request.sampling.stop_token_ids);
  for (const auto& [id, bias] : request.sampling.logit_bias) check("logit_bias's", {&id, 1});
  if (request.constraint.grammar &&
      (request.sampling.min_tokens > 0 || request.sampling.ignore_eos))
    throw InputError(
        "min_tokens and ignore_eos cannot go with a grammar, which says where an answer ends");
  const auto size = static_cast<int64_t>(request.prompt.size());
  if (size >= options.context) {
    throw InputError("the prompt's ", size, " tokens leave no room in the context of ",
                     options.context);
  }
}

const std::vector<Scheduler::Piece>& Engine::State::Plan() {
  const int64_t preempted = scheduler.preempted();
  const std::vector<Scheduler::Piece>& pieces = scheduler.Plan(streams);
  if (speculation && scheduler.preempted() > preempted) {
    // The drafter's pages of those that wait again are of more use to others.
    for (const auto& stream : streams) {
      if (!stream->generates) speculation->Forget(*stream);
    }
  }
  return pieces;
}

const std::vector<Scheduler::Piece>& Engine::State::ByAdapter(
    const std::vector<Scheduler::Piece>& pieces) {
  const auto number = [](const Scheduler::Piece& piece) { return piece.stream->adapter_number(); };
  if (std::ranges::is_sorted(pieces, {}, number)) return pieces;
  ordered = pieces;
  std::ranges::stable_sort(ordered, {}, number);
  return ordered;
}

void Engine::State::BuildBatch(const std::vector<Scheduler::Piece>& pieces) {
  batch.Clear();
  batch.layout.block_size = static_cast<int32_t>(kPageTokens);
  std::vector<int32_t>& cache_rows = cache.view().rows;
  cache_rows.clear(), ready.clear(), last.clear(), prompt_states.Clear(), adapter_rows.clear();
  for (const auto& [stream, tokens] : ByAdapter(pieces)) {
    const int64_t first = stream->read(), row = batch.tokens();
    stream->AppendTo(tokens, batch, cache_rows);
    prompt_states.Add(*stream, first, tokens, row);
    if (adapter_rows.empty() || adapter_rows.back().adapter != stream->adapter())
      adapter_rows.push_back({stream->adapter(), row, 0});
    adapter_rows.back().count += batch.tokens() - row;
    if (stream->unread() > 0) continue;
    ready.emplace_back(stream, last.size());
    for (int64_t i = std::ssize(stream->guesses()); i >= 0; --i)
      last.push_back(static_cast<int32_t>(batch.tokens() - 1 - i));
  }
}

void Engine::State::Forward() {
  Context context{model.backend};
  const RowAdapters adapters(adapter_rows);
  const Var hidden = model.Hidden(context, {batch, adapters, &cache.view()});
  prompt_states.Give(model, context, adapters, hidden);
  if (last.empty()) return;
  logits.resize(last.size() * static_cast<size_t>(model.config.vocab));
  model.backend.CopyFloats(model.Logits(context, adapters, hidden, last), logits);
}

void Engine::State::SampleAll(Stream& stream, size_t row) {
  const int64_t first = stream.read();
  do {
    const auto guessed = static_cast<size_t>(stream.read() - first);
    events.emplace_back(stream.id(), Sample(stream, row + guessed));
  } while (events.back().second.finish == FinishReason::kNone && stream.unread() == 0);
  totals.drafts += stream.guesses().empty() ? 0 : 1;
  totals.drafted_tokens += std::ssize(stream.guesses());
  totals.accepted_tokens += stream.read() - first;
  stream.DropGuesses(cache);
}

GenerationEvent Engine::State::Sample(Stream& stream, size_t row) {
  const auto vocab = static_cast<size_t>(model.config.vocab);
  if (stream.size() == stream.prompt_tokens()) {
    totals.prompt_tokens += stream.size();
    totals.reused_tokens += stream.reused();
  }
  try {
    GenerationEvent event = stream.Next(std::span(logits).subspan(row * vocab, vocab), sampler);
    totals.generated_tokens += std::ssize(event.ids) + (event.end_id >= 0 ? 1 : 0);
    return event;
  } catch (...) {
    return FailedWith(std::current_exception());
  }
}

void Engine::State::TellReading(const std::vector<Scheduler::Piece>& pieces, bool first) {
  for (const auto& [stream, tokens] : pieces) {
    if (stream->TellsReading(first)) events.emplace_back(stream->id(), stream->Reading());
  }
}

void Engine::State::Compute(const std::vector<Scheduler::Piece>& pieces) {
  try {
    if (speculation) speculation->Plan(pieces, cache);
    TellReading(pieces, true);
    BuildBatch(pieces);
    Forward();
    for (const Scheduler::Piece& piece : pieces) piece.stream->Share(cache);
    TellReading(pieces, false);
  } catch (...) {
    const GenerationEvent failed = FailedWith(std::current_exception());
    for (const Scheduler::Piece& piece : pieces) events.emplace_back(piece.stream->id(), failed);
    return;
  }
  for (const auto& [stream, row] : ready) SampleAll(*stream, row);
}

std::unique_ptr<Stream> Engine::State::Remove(RequestId id) {
  const auto at = std::ranges::find(streams, id, [](const auto& s) { return s->id(); });
  if (at == streams.end()) return nullptr;
  std::unique_ptr<Stream> stream = std::move(*at);
  streams.erase(at);
  cache.Release(stream->pages);
  if (speculation) speculation->Forget(*stream);
  return stream;
}

void Engine::State::Deliver(RequestId id, const GenerationEvent& event) {
  const auto at = std::ranges::find(streams, id, [](const auto& s) { return s->id(); });
  if (at == streams.end()) return;  // cancelled by another stream's on_event
  if (event.finish == FinishReason::kNone) {
    // A copy: on_event may cancel its own stream, which destroys the stream's on_event.
    const auto on_event = (*at)->request().on_event;
    if (on_event && !on_event(event)) Remove(id);
    return;
  }
  const std::unique_ptr<Stream> ended = Remove(id);
  if (ended->request().on_event) ended->request().on_event(event);
}

Engine::Engine(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
               const EngineOptions& options)
    : state_(std::make_unique<State>(model, adapter, tokenizer, options)) {}
Engine::~Engine() = default;

Engine::RequestId Engine::Submit(GenerationRequest request) {
  state_->Check(request);
  if (!request.adapter) request.adapter = state_->adapter;
  const RequestId id = ++state_->last_id;
  state_->streams.push_back(std::make_unique<Stream>(id, std::move(request), state_->tokenizer,
                                                     state_->ends, state_->options.context));
  return id;
}

void Engine::Cancel(RequestId id) { state_->Remove(id); }

bool Engine::Step() {
  State& s = *state_;
  if (s.streams.empty()) return false;
  const auto begin = std::chrono::steady_clock::now();
  // All streams sample before the first on_event call, which may submit and cancel.
  s.events.clear();
  const std::vector<Scheduler::Piece>& pieces = s.Plan();
  s.totals.stream_steps += std::ssize(pieces);
  s.Compute(pieces);
  ++s.totals.steps;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  s.scheduler.Observe(seconds.count());
  for (const auto& [id, event] : s.events) s.Deliver(id, event);
  return true;
}

void Engine::ForgetPrefixes() {
  RETORT_CHECK(state_->streams.empty(), "the model changes while streams are live");
  state_->cache.ForgetPrefixes();
}

EngineCounts Engine::counts() const {
  EngineCounts counts = state_->totals;
  for (const auto& stream : state_->streams) {
    ++(stream->begun() ? counts.live : counts.queued);
    counts.cached_tokens += stream->read();
  }
  counts.preempted = state_->scheduler.preempted();
  counts.cache_capacity = state_->cache.pages() * kPageTokens;
  counts.cache_bytes = state_->cache.bytes();
  if (state_->speculation) counts.cache_bytes += state_->speculation->cache_bytes();
  return counts;
}

EngineCounts& EngineCounts::operator+=(const EngineCounts& other) {
  for (const auto member :
       {&EngineCounts::live, &EngineCounts::queued, &EngineCounts::cached_tokens,
        &EngineCounts::cache_capacity, &EngineCounts::cache_bytes, &EngineCounts::prompt_tokens,
        &EngineCounts::generated_tokens, &EngineCounts::reused_tokens,
        &EngineCounts::drafted_tokens, &EngineCounts::accepted_tokens, &EngineCounts::drafts,
        &EngineCounts::steps, &EngineCounts::stream_steps, &EngineCounts::preempted})
    this->*member += other.*member;
  return *this;
}

EngineCounts EngineCounts::Done() const {
  EngineCounts done = *this;
  done.live = done.queued = done.cached_tokens = done.cache_capacity = done.cache_bytes = 0;
  return done;
}

int64_t Engine::context() const { return state_->options.context; }

bool Engine::keeps_prefixes() const {
  return KeptTokens(state_->options, state_->model.config) != 0;
}

}  // namespace retort
