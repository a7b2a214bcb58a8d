// SPDX-License-Identifier: Apache-2.0
// Generates many streams at once, with a paged key/value cache, a queue, and a scheduler that
// combines the next tokens of all live streams into one batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"
#include "runner/engine/draft/drafter.h"
#include "runner/engine/request.h"
#include "runner/engine/sampler.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// The type of a cache for a model of this arithmetic: f32, or bf16 where products are coarser.
inline DType CacheTypeFor(Compute compute) {
  return compute == Compute::kF32 ? DType::kF32 : DType::kBF16;
}

struct EngineOptions {
  int64_t parallel = 4;  // streams that generate at once; more wait
  int64_t context = 0;   // maximum tokens of a stream, prompt included; 0: the model's maximum
  // Size of the cache for all streams together, in tokens. 0: parallel * context, but at most 65536
  // or one whole context, whichever is larger.
  int64_t cache_tokens = 0;
  int64_t prefill_tokens = 512;    // of prompts in one step; where they are cut may add two
  DType cache_type = DType::kF32;  // f32, f16 or bf16
  // Beginnings of prompts that stay in the cache after the last request that used them, for later
  // requests: at most so many tokens. Below 0: all that there is room for. 0: no request uses
  // another's. More take more of the cache's memory into use.
  int64_t kept_tokens = 4096;
  // Fewer prompt tokens in a step beside streams that generate, by the time that steps take (Pace):
  // for a server. The cuts that this makes show in the last bits, except where these depend on
  // nothing beside a stream (Engine).
  bool paced = false;
  // Tokens that are guessed, so that a step may say several (runner/engine/draft/speculation.h).
  // No answer changes by it.
  DraftOptions draft = {};
};

struct EngineCounts {
  int64_t live = 0, queued = 0;                     // streams that hold pages; the others
  int64_t cached_tokens = 0, cache_capacity = 0;    // tokens of live streams; tokens that fit
  int64_t cache_bytes = 0;                          // a drafting model's too
  int64_t prompt_tokens = 0, generated_tokens = 0;  // since the start, including end tokens
  int64_t reused_tokens = 0;                        // of the prompts' tokens
  int64_t drafted_tokens = 0, accepted_tokens = 0;  // guesses; those that came true
  int64_t drafts = 0;                               // times that guesses were read
  int64_t steps = 0, stream_steps = 0;              // and the streams of each, in all
  int64_t preempted = 0;  // times that a stream lost its pages and was read again

  EngineCounts& operator+=(const EngineCounts& other);
  // What counts since the start alone, and not what is there now.
  EngineCounts Done() const;
};

// Not thread-safe: one thread submits, cancels and steps. The model, adapter and tokenizer must
// outlive the engine. adapter: that of requests without one of their own; null: none.
//
// Which streams a step computes is in runner/engine/scheduler.h. A stream takes pages of the cache
// as it needs them; it may lose them to an older one, and is then read again from its tokens. A
// stream's inputs and random numbers do not depend on the other streams. Neither do its logits'
// bits in int8 with weights of Q8_0 and Q4_0 copied into memory and AVX-512 VNNI
// (docs/performance.md), whatever the cache has of its prompt. Elsewhere they may differ in their
// last bits, because a product with more than 16 rows may add in another order.
//
// Streams of different adapters are read in one batch, whose rows share the products with the
// model's weights (RowAdapters). The bits of each are those that it has beside streams of its own
// adapter.
//
// What a stream's sampling throws ends that stream alone, with kFailed. What the forward pass of a
// step throws ends the streams that were in that step, and no other.
class Engine {
 public:
  Engine(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
         const EngineOptions& options);
  ~Engine();

  using RequestId = uint64_t;
  // Throws Error{kInput} when the prompt is empty, has an id outside the vocabulary or leaves no
  // room in the context (which fits in the cache), or when a sampling option is out of range.
  // max_tokens may exceed the context: the generation then ends with kLength at its end.
  RequestId Submit(GenerationRequest request);
  // Frees the stream's pages immediately; its on_event is not called again. Ignores unknown ids.
  void Cancel(RequestId id);
  // One forward pass over the next tokens of the streams whose turn it is. False if there was
  // nothing to do.
  bool Step();
  // Nothing that was read is used again: the weights are about to change. Requires that no request
  // is live.
  void ForgetPrefixes();
  EngineCounts counts() const;
  int64_t context() const;  // maximum tokens of a stream
  // Whether a prompt's beginning that another request has read is not read again.
  bool keeps_prefixes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs one request to its end. Throws what it failed with.
struct Generation {
  std::string text;
  std::vector<int32_t> ids;
  FinishReason finish = FinishReason::kNone;
  int64_t prompt_tokens = 0;
  int64_t drafted_tokens = 0, accepted_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};
Generation Generate(Engine& engine, std::vector<int32_t> prompt, const SamplingOptions& sampling,
                    const std::function<bool(const GenerationEvent&)>& on_event = {},
                    std::vector<int32_t> shown_ids = {}, AnswerConstraint constraint = {});

}  // namespace retort
