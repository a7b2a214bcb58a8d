// SPDX-License-Identifier: Apache-2.0
#include "cli/sampling_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace retort {

void AddSamplingFlags(CLI::App& command, SamplingOptions& s) {
  command.add_option("--temperature", s.temperature, "0: the likeliest token every time");
  command.add_option("--top-k", s.top_k, "sample from the K likeliest tokens; 0: off");
  command.add_option("--top-p", s.top_p,
                     "sample from the likeliest tokens that reach this share; 1: off");
  command.add_option("--min-p", s.min_p,
                     "leave out tokens below this share of the likeliest; 0: off");
  command.add_option("--typical-p", s.typical_p,
                     "sample from the most typical tokens that reach this share; 1: off");
  command.add_option("--top-n-sigma", s.top_n_sigma,
                     "leave out logits so many deviations below the highest; 0: off");
  command.add_option("--xtc-probability", s.xtc_probability,
                     "share of tokens that leave out their top choices; 0: off");
  command.add_option("--xtc-threshold", s.xtc_threshold, "probability of a top choice");
  command.add_option("--dynatemp-range", s.dynatemp_range,
                     "how far the temperature follows the entropy; 0: off");
  command.add_option("--dynatemp-exponent", s.dynatemp_exponent, "of that entropy");
  command.add_flag("--mirostat", s.mirostat, "Mirostat 2");
  command.add_option("--mirostat-tau", s.mirostat_tau, "the surprise that it holds, in bits");
  command.add_option("--mirostat-eta", s.mirostat_eta, "how fast it corrects");
  command.add_option("--repetition-penalty", s.repetition_penalty,
                     "divides logits of tokens of the prompt and answer; 1: off");
  command.add_option("--presence-penalty", s.presence_penalty,
                     "subtracted from logits of the answer's tokens; 0: off");
  command.add_option("--frequency-penalty", s.frequency_penalty,
                     "the same for each time that they occur; 0: off");
  command.add_option("--repeat-last-n", s.repeat_last_n,
                     "last tokens that the penalties look at; -1: all");
  command.add_option("--dry-multiplier", s.dry_multiplier,
                     "penalty on prolonging a repeated sequence; 0: off");
  command.add_option("--dry-base", s.dry_base, "by which it grows for each token");
  command.add_option("--dry-allowed-length", s.dry_allowed_length,
                     "tokens of a sequence that may be repeated");
  command.add_option("--min-tokens", s.min_tokens, "an answer does not end before");
  command.add_flag("--ignore-eos", s.ignore_eos, "an answer does not end by itself");
  command.add_option("--seed", s.seed, "of the random numbers");
  command.add_option("--stop", s.stop, "text that ends an answer; may be given several times")
      ->allow_extra_args(false);
}

}  // namespace retort
