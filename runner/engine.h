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

#include "data/tokenizer.h"
#include "model/model.h"

namespace retort {

struct SamplingOptions {
  double temperature = 0;   // 0: greedy; the others act only above 0
  int64_t top_k = 0;        // 0: off
  double top_p = 1;         // 1: off
  double min_p = 0;         // 0: off; relative to the likeliest token
  uint64_t seed = 1;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // texts that end a generation and are left out of it
};

enum class FinishReason { kNone, kStop, kLength, kCancelled };
std::string_view NameOf(FinishReason reason);  // "stop", "length", "cancelled"

// What happened to a request in one step.
struct GenerationEvent {
  std::string text;             // new text, whole characters, never part of a stop text
  std::vector<int32_t> ids;     // new ids; the end token is left out
  FinishReason finish = FinishReason::kNone;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty, ids within the vocabulary
  SamplingOptions sampling;
  // Called from Step() for every event; returning false cancels (a client has gone).
  std::function<bool(const GenerationEvent& event)> on_event;
};

struct EngineOptions {
  int64_t parallel = 4;          // streams at once; more wait in the queue
  int64_t context = 0;           // most tokens of a stream, prompt included; 0: the model's
  int64_t cache_tokens = 0;      // of all streams together; 0: parallel * context, at most 65536
  int64_t prefill_tokens = 512;  // of prompts, in one step
  DType cache_type = DType::kF32;  // f32, f16 or bf16
};

struct EngineCounts {
  int64_t live, queued, cached_tokens, cache_capacity;
  int64_t prompt_tokens, generated_tokens;  // since the start
};

// Not thread-safe: one thread submits, cancels and steps. The model, adapter and tokenizer must
// outlive it. A stream's tokens do not depend on which others run beside it.
class Engine {
 public:
  Engine(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer, const EngineOptions& options);
  ~Engine();

  using RequestId = uint64_t;
  // Throws Error{kInput} when the prompt is empty, holds an id outside the vocabulary, or does not
  // fit the context.
  RequestId Submit(GenerationRequest request);
  // Frees the stream's cache at once; its on_event is not called again. Unknown ids are ignored.
  void Cancel(RequestId id);
  // One forward pass over the next tokens of all live streams. False when there was nothing to do.
  bool Step();
  EngineCounts counts() const;

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
