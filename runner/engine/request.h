// SPDX-License-Identifier: Apache-2.0
// What is asked of an engine for one stream of tokens, and what it tells of it.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/engine/constrained_answer.h"
#include "runner/engine/forced_tokens.h"
#include "runner/engine/logprobs.h"
#include "runner/engine/sampling/options.h"

namespace retort {

class Adapter;

enum class FinishReason { kNone, kStop, kLength, kCancelled, kFailed };
std::string_view NameOf(FinishReason reason);  // "stop", "length", "cancelled", "failed"

// Some of an answer's tokens, and the sum of the log-probabilities that the model gave them.
struct WatchedTokens {
  int64_t tokens = 0;
  double logprob = 0;
};

// What happened to a request in one step.
struct GenerationEvent {
  std::string text;          // new text: whole characters, never part of a stop text
  std::vector<int32_t> ids;  // new ids, including those of a stop text, but not the end token
  FinishReason finish = FinishReason::kNone;
  int32_t end_id = -1;    // the end token that ended the stream; -1: none
  std::string stop_text;  // that ended the stream; "": none
  // Tokens of the prompt that had been read for other requests, and were not read again.
  int64_t reused_tokens = 0;
  // Guesses for the stream so far, and those of them that came true (EngineOptions::draft).
  int64_t drafted_tokens = 0, accepted_tokens = 0;
  double seconds = 0;  // since the stream's first step began
  // Of an event about the reading of the prompt alone (GenerationRequest::progress): how many of
  // its tokens are read, those that are reused among them. -1: it is no such event.
  int64_t read_tokens = -1;
  std::vector<TokenLogprobs> logprobs;  // of `ids`, if they are asked for
  WatchedTokens watched;                // of this event, if they are asked for
  // With the first event, if they are asked for: of the prompt's tokens but the first.
  std::vector<TokenLogprobs> prompt_logprobs;
  std::vector<float> embedding;  // of the prompt, if it is asked for, which ends the stream
  std::vector<double> scores;    // those that are wanted, likewise
  // With kFailed: what was thrown, by a step that this stream was part of or by its sampling.
  std::exception_ptr error;
};

// A token whose log-probability is wanted in the place behind the prompt's token at `position`.
struct WantedScore {
  int64_t position = 0;
  int32_t token = 0;
};

// What of a prompt's last hidden states is its embedding.
enum class Pooling { kNone, kMean, kLast };

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty, ids within the vocabulary
  SamplingOptions sampling;
  // Called from Step() for every event. Returning false cancels the request, for example after a
  // client has disconnected. It may call Submit() and Cancel(), but not Step(), and must not throw.
  std::function<bool(const GenerationEvent& event)> on_event;
  // Control tokens whose text is part of the events' text; that of others is not.
  std::vector<int32_t> shown_ids = {};
  ForcedTokens forced = {};  // they count as generated
  // What the answer is held to; not together with forced tokens. Tokens that a grammar forces are
  // not sampled: they come several at a time, and count as generated.
  AnswerConstraint constraint = {};
  // How many of the likeliest tokens are told beside each one that is chosen, with the
  // log-probabilities that the model gave them, before any option had changed them. -1: none are.
  int64_t logprobs = -1;
  // They are of the draw instead: of what the options had left (Sampler::DrawnLogprobs).
  bool drawn_logprobs = false;
  // The same of the prompt's tokens. All of them are read then, whatever the cache has of them.
  bool prompt_logprobs = false;
  // The first token and every eighth behind it are watched, so that how sure a model is of its
  // answers is known at no cost that shows. An end token is one too.
  bool watched = false;
  Pooling pooling = Pooling::kNone;  // other values: the prompt's embedding is all that is wanted
  // Events say how far the prompt is read: as its first step begins, and behind each of its steps.
  bool progress = false;
  // By position. Not empty: these are all that is wanted. What comes before the first position may
  // have been read for others.
  std::vector<WantedScore> scores = {};
  // The one that reads and answers; null: the engine's own. The stream holds it to its end, so that
  // its memory lives as long, and no longer if nobody else has it.
  std::shared_ptr<const Adapter> adapter = {};
};

}  // namespace retort
