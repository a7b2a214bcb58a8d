// SPDX-License-Identifier: Apache-2.0
// How the next token is chosen. The steps, in their order:
//
//   1. logit_bias is added                                             logits_processor.h
//   2. repetition, presence and frequency penalties                    penalties.h
//   3. DRY                                                             dry.h
//   4. end tokens are left out: min_tokens, ignore_eos                 logits_processor.h
//   5. what a grammar does not allow is left out                       ../constrained_answer.h
//   6. temperature 0: the likeliest token; else softmax(logits / temperature)
//   7. top_n_sigma, top_k, typical_p, top_p, min_p, XTC               truncation.h, ../sampler.h
//   8. dynamic temperature                                             dynamic_temperature.h
//   9. Mirostat, or a draw                                             mirostat.h
//
// A step that is off costs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace retort {

struct SamplingOptions {
  double temperature = 0;                            // 0: greedy; steps 7 to 9 have no effect then
  int64_t top_k = 0;                                 // 0: off
  double top_p = 1;                                  // 1: off
  double min_p = 0;                                  // 0: off; relative to the most probable token
  double typical_p = 1;                              // 1: off
  double top_n_sigma = 0;                            // 0: off
  double xtc_probability = 0, xtc_threshold = 0.1;   // probability 0: off
  double dynatemp_range = 0, dynatemp_exponent = 1;  // range 0: off
  bool mirostat = false;                             // version 2
  double mirostat_tau = 5, mirostat_eta = 0.1;
  double repetition_penalty = 1;  // 1: off; on the prompt's and answer's tokens
  double presence_penalty = 0, frequency_penalty = 0;  // 0: off; on the answer's tokens
  int64_t repeat_last_n = -1;  // the last tokens that the penalties look at; -1: all
  double dry_multiplier = 0;   // 0: off
  double dry_base = 1.75;
  int64_t dry_allowed_length = 2, dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  std::vector<std::pair<int32_t, float>> logit_bias;  // by token; -infinity: never
  uint64_t seed = 1;
  int64_t max_tokens = 256;             // 0: the prompt is read, and nothing is generated
  int64_t min_tokens = 0;               // no end and no stop text before
  bool ignore_eos = false;              // the model's end tokens and stop_ids are never chosen
  std::vector<std::string> stop;        // texts that end a generation; not part of its output
  std::vector<int32_t> stop_ids;        // tokens that end it, in addition to the model's end tokens
  std::vector<int32_t> stop_token_ids;  // asked for by a client: they end it even with ignore_eos
};

// Throws Error{kInput} naming the option that is out of its range.
void CheckSampling(const SamplingOptions& options);

}  // namespace retort
