// SPDX-License-Identifier: Apache-2.0
#include "cli/drift_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "cli/flags.h"

namespace retort {
namespace {

constexpr int64_t kMostWindow = 1'000'000;

}  // namespace

void DriftFlags::Add(CLI::App& command) {
  CLI::Option* compared = command.add_option(
      "--baseline", baseline, "compare the answers with this baseline, and tell it in /metrics");
  CLI::Option* recorded =
      command.add_option("--record-baseline", record,
                         "make a baseline of the first answers, and compare the next ones with it");
  recorded->excludes(compared);
  command.add_option("--drift-window", window, "answers that are looked at; 1000 unless given")
      ->check(CLI::Range(DriftWatch::kLeastAnswers, kMostWindow));
  command
      .add_option("--refusal", refusals,
                  "a phrase that refusals begin with, for the recorded baseline; may be repeated, "
                  "and takes the place of the built-in ones")
      ->needs(recorded)
      ->allow_extra_args(false);
}

DriftOptions DriftFlags::Read() const {
  DriftOptions options;
  if (baseline.empty() && record.empty()) {
    if (window) throw InputError("--drift-window goes with --baseline or --record-baseline");
    return options;
  }
  options.window = window.value_or(options.window);
  options.on_recorded = [](const std::string& note) { Note("retort: " + note); };
  if (!baseline.empty()) {
    options.baseline = ReadDriftBaseline(baseline);
    return options;
  }
  if (std::filesystem::exists(record)) {
    throw InputError("--record-baseline ", record, ": is there already; serve with --baseline ",
                     record, ", or remove it to record it anew");
  }
  options.record = record;
  for (const std::string& phrase : refusals) {
    if (phrase.empty()) throw InputError("--refusal is empty, and every answer begins with that");
    options.refusals.push_back(Folded(phrase));
  }
  if (refusals.empty()) options.refusals = UsualRefusals();
  return options;
}

}  // namespace retort
