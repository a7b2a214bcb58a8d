// SPDX-License-Identifier: Apache-2.0
// Generation of many streams at once: a paged cache of keys and values, a queue, and a scheduler
// that lays the next piece of every live stream into one batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"
#include "runner/sampler.h"
#include "tokenizer/tokenizer.h"

namespace retort {

enum class FinishReason { kNone, kStop, kLength, kCancelled };
std::string_view NameOf(FinishReason reason);  // "stop", "length", "cancelled"

// What happened to a request in one step.
struct GenerationEvent {
  std::string text;          // new text, whole characters, never part of a stop text
  std::vector<int32_t> ids;  // new ids; the end token is left out, a stop text's are not
  FinishReason finish = FinishReason::kNone;
  int32_t end_id = -1;  // the token that ended it; -1 when none did
};

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty, ids within the vocabulary
  SamplingOptions sampling;
  // Called from Step() for every event; returning false cancels (a client has gone). It may submit
  // and cancel, and must not throw or step.
  std::function<bool(const GenerationEvent& event)> on_event;
};

struct EngineOptions {
  int64_t parallel = 4;            // streams at once; more wait in the queue
  int64_t context = 0;             // most tokens of a stream, prompt included; 0: the model's
  int64_t cache_tokens = 0;        // of all streams together; 0: parallel * context, at most 65536
                                   // (but one whole context)
  int64_t prefill_tokens = 512;    // of prompts, in one step
  DType cache_type = DType::kF32;  // f32, f16 or bf16
};

struct EngineCounts {
  int64_t live = 0, queued = 0;
  int64_t cached_tokens = 0, cache_capacity = 0;  // of live streams; of the pool
  int64_t cache_bytes = 0;
  int64_t prompt_tokens = 0, generated_tokens = 0;  // since the start, end tokens counted
  int64_t steps = 0;
};

// Not thread-safe: one thread submits, cancels and steps. The model, adapter and tokenizer must
// outlive it.
//
// A stream begins when there is a place among `parallel` and its pages are free: those for its
// prompt and max_tokens, all at once, so that whatever has begun can end. Waiting ones keep their
// order. What a stream reads and the random numbers it draws do not depend on which others run
// beside it; its logits may differ in their last bits, since a product over more rows may add in
// another order.
class Engine {
 public:
  Engine(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
         const EngineOptions& options);
  ~Engine();

  using RequestId = uint64_t;
  // Throws Error{kInput} when the prompt is empty, holds an id outside the vocabulary or leaves no
  // room in the context, and when a sampling option is out of its range. max_tokens may reach
  // beyond the context: the generation then ends with kLength where the context does.
  RequestId Submit(GenerationRequest request);
  // Frees the stream's cache at once; its on_event is not called again. Unknown ids are ignored.
  void Cancel(RequestId id);
  // One forward pass over the next tokens of all live streams. False when there was nothing to do.
  bool Step();
  EngineCounts counts() const;
  int64_t context() const;  // most tokens of a stream

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One request, to its end.
struct Generation {
  std::string text;
  std::vector<int32_t> ids;
  FinishReason finish = FinishReason::kNone;
  int64_t prompt_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};
Generation Generate(Engine& engine, std::vector<int32_t> prompt, const SamplingOptions& sampling,
                    const std::function<bool(const GenerationEvent&)>& on_event = {});

}  // namespace retort
