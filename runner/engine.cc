// SPDX-License-Identifier: Apache-2.0
#include "runner/engine.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "runner/stream.h"

namespace retort {
namespace {

constexpr int64_t kMostCacheTokens = 65536;  // default; a single stream's context may exceed it

EngineOptions Resolved(EngineOptions options, const Architecture& config) {
  if (options.parallel < 1) throw InputError("parallel must be at least 1, not ", options.parallel);
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
    options.cache_tokens =
        std::max(options.context, std::min(kMostCacheTokens, options.parallel * options.context));
  }
  if (options.cache_tokens > INT32_MAX / 2)
    throw InputError("a cache of ", options.cache_tokens, " tokens is too large");
  options.context = std::min(options.context, options.cache_tokens);
  return options;
}

// The model's end tokens, or the tokenizer's if the model names none.
std::vector<int32_t> EndsOf(const Model& model, const Tokenizer& tokenizer) {
  std::vector<int32_t> ends = model.config.ends;
  if (ends.empty() && tokenizer.spec().eos >= 0) ends.push_back(tokenizer.spec().eos);
  return ends;
}

}  // namespace

struct Engine::State {
  State(const Model& m, const Adapter* a, const Tokenizer& t, const EngineOptions& o)
      : model(m),
        adapter(a),
        tokenizer(t),
        options(Resolved(o, m.config)),
        ends(EndsOf(m, t)),
        cache(m.backend, m.planes(), options.cache_type, options.cache_tokens) {}

  using Streams = std::deque<std::unique_ptr<Stream>>;

  void Check(const GenerationRequest& request) const;
  void Admit();
  // Fills `batch` with every live stream's next tokens, with at most prefill_tokens of prompts.
  void BuildBatch();
  // One forward pass over `batch`; fills `logits` for the tokens `last`.
  void Forward();
  void Deliver(RequestId id, const GenerationEvent& event);
  std::unique_ptr<Stream> Remove(RequestId id);

  const Model& model;
  const Adapter* adapter;
  const Tokenizer& tokenizer;
  const EngineOptions options;
  const std::vector<int32_t> ends;
  KvCache cache;
  Streams live, queue;

  // Of the current step. Kept between steps, so that a step of the same size allocates nothing.
  Batch batch;
  std::vector<Stream*> ready;  // streams without unread tokens
  std::vector<int32_t> last;   // their last tokens in the batch
  std::vector<float> logits;   // [last, V]
  Sampler sampler;
  std::vector<std::pair<RequestId, GenerationEvent>> events;
  RequestId last_id = 0;
  EngineCounts totals;
};

void Engine::State::Check(const GenerationRequest& request) const {
  CheckSampling(request.sampling);
  if (request.prompt.empty()) throw InputError("the prompt is empty");
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= model.config.vocab) {
      throw InputError("the prompt's token ", id, " is not within the vocabulary of ",
                       model.config.vocab);
    }
  }
  const auto size = static_cast<int64_t>(request.prompt.size());
  if (size >= options.context) {
    throw InputError("the prompt's ", size, " tokens leave no room in the context of ",
                     options.context);
  }
}

void Engine::State::Admit() {
  while (!queue.empty() && static_cast<int64_t>(live.size()) < options.parallel) {
    Stream& first = *queue.front();
    first.pages = cache.Allocate(first.cache_need());
    if (first.pages.pages.empty()) return;  // FIFO: a large request blocks smaller ones behind it
    totals.prompt_tokens += first.prompt_tokens();
    live.push_back(std::move(queue.front()));
    queue.pop_front();
  }
}

void Engine::State::BuildBatch() {
  batch.Clear();
  batch.layout.block_size = static_cast<int32_t>(kPageTokens);
  std::vector<int32_t>& cache_rows = cache.view().rows;
  cache_rows.clear(), ready.clear(), last.clear();
  int64_t budget = options.prefill_tokens;
  for (const auto& stream : live) {
    const bool prompt = stream->read() < stream->prompt_tokens();
    const int64_t count = prompt ? std::min(budget, stream->unread()) : 1;
    if (count == 0) continue;
    if (prompt) budget -= count;
    stream->AppendTo(count, batch, cache_rows);
    if (stream->unread() > 0) continue;
    ready.push_back(stream.get());
    last.push_back(static_cast<int32_t>(batch.tokens()) - 1);
  }
}

void Engine::State::Forward() {
  Context context{model.backend};
  const Var hidden = model.Hidden(context, {batch, adapter, &cache.view()});
  if (last.empty()) return;
  logits.resize(last.size() * static_cast<size_t>(model.config.vocab));
  model.backend.CopyFloats(model.Logits(context, hidden, last), logits);
}

std::unique_ptr<Stream> Engine::State::Remove(RequestId id) {
  for (Streams* streams : {&live, &queue}) {
    const auto at = std::find_if(streams->begin(), streams->end(),
                                 [&](const auto& s) { return s->id() == id; });
    if (at == streams->end()) continue;
    std::unique_ptr<Stream> stream = std::move(*at);
    streams->erase(at);
    cache.Release(stream->pages);
    return stream;
  }
  return nullptr;
}

void Engine::State::Deliver(RequestId id, const GenerationEvent& event) {
  const auto at =
      std::find_if(live.begin(), live.end(), [&](const auto& s) { return s->id() == id; });
  if (at == live.end()) return;  // cancelled by another stream's on_event
  if (event.finish == FinishReason::kNone) {
    // A copy: on_event may cancel its own stream, which destroys the stream's on_event.
    const auto on_event = (*at)->request().on_event;
    if (on_event && !on_event(event)) Remove(id);
    return;
  }
  const std::unique_ptr<Stream> ended = Remove(id);
  if (ended->request().on_event) ended->request().on_event(event);
}

std::string_view NameOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "none";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "none";
}

Engine::Engine(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
               const EngineOptions& options)
    : state_(std::make_unique<State>(model, adapter, tokenizer, options)) {}
Engine::~Engine() = default;

Engine::RequestId Engine::Submit(GenerationRequest request) {
  state_->Check(request);
  const RequestId id = ++state_->last_id;
  state_->queue.push_back(std::make_unique<Stream>(id, std::move(request), state_->tokenizer,
                                                   state_->ends, state_->options.context));
  return id;
}

void Engine::Cancel(RequestId id) { state_->Remove(id); }

bool Engine::Step() {
  State& s = *state_;
  s.Admit();
  if (s.live.empty()) return false;
  s.BuildBatch();
  s.Forward();
  ++s.totals.steps;

  // All streams sample before the first on_event call, which may submit and cancel.
  s.events.clear();
  const auto vocab = static_cast<size_t>(s.model.config.vocab);
  for (size_t i = 0; i < s.ready.size(); ++i) {
    s.events.emplace_back(
        s.ready[i]->id(),
        s.ready[i]->Next(std::span(s.logits).subspan(i * vocab, vocab), s.sampler));
    ++s.totals.generated_tokens;
  }
  for (const auto& [id, event] : s.events) s.Deliver(id, event);
  return true;
}

EngineCounts Engine::counts() const {
  EngineCounts counts = state_->totals;
  counts.live = static_cast<int64_t>(state_->live.size());
  counts.queued = static_cast<int64_t>(state_->queue.size());
  for (const auto& stream : state_->live) counts.cached_tokens += stream->read();
  counts.cache_capacity = state_->cache.pages() * kPageTokens;
  counts.cache_bytes = state_->cache.bytes();
  return counts;
}

int64_t Engine::context() const { return state_->options.context; }

}  // namespace retort
