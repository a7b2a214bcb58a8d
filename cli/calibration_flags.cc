// SPDX-License-Identifier: Apache-2.0
#include "cli/calibration_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "cli/chat.h"
#include "data/text_pieces.h"

namespace retort {

CLI::Option* CalibrationFlags::Add(CLI::App& command, const std::string& cost,
                                   const std::string& name) {
  CLI::Option* files =
      command
          .add_option(name, data,
                      "JSONL file of rows to measure on, or a text file (*.txt), which is cut into "
                      "rows; may be given several times")
          ->allow_extra_args(false);
  of_rows_ = {
      command
          .add_option("--rows", rows,
                      Cat("measure on the first N rows; 0: all", cost.empty() ? "" : ". ", cost))
          ->check(CLI::Range(int64_t{0}, kMostCount)),
      command.add_option("--format", format,
                         "auto, messages, prompt_completion, alpaca, text or tokens"),
      command.add_option("--template", chat_template,
                         "chat template of message rows; auto: the model's own"),
      command
          .add_option("--max-tokens", max_tokens,
                      "longest row in tokens, at most the model's positions; longer ones are cut")
          ->check(CLI::Range(int64_t{2}, kMostCount)),
      command.add_option("--batch-tokens", batch_tokens, "tokens computed at once")
          ->check(CLI::Range(int64_t{1}, kMostCount)),
      command.add_flag("--no-eos", no_eos, "texts and completions do not end with the end token")};
  return files;
}

void CalibrationFlags::RefuseUnused(const std::string& name) const {
  if (!data.empty()) return;
  for (const CLI::Option* option : of_rows_) {
    if (option->count() > 0)
      throw InputError(option->get_name(), ": is for the rows of ", name, ", and none are given");
  }
}

Examples CalibrationFlags::Read(const OpenedModel& opened) const {
  const int64_t length = std::min(max_tokens, opened.files.config.max_positions);
  std::vector<Example> out;
  std::vector<RowSource> sources;
  for (const std::string& file : data) {
    if (!file.ends_with(".txt")) {
      sources.push_back({file});
      continue;
    }
    std::vector<Example> pieces = TextPieces(file, *opened.tokenizer, length);
    std::ranges::move(pieces, std::back_inserter(out));
  }
  if (!sources.empty()) {
    Rows found = Rows::Open(sources, ParseRowFormat(format));
    if (rows > 0) found = found.First(rows);
    std::optional<ChatTemplate> chat;
    if (found.HasMessages()) chat = ChatFor(chat_template, opened);
    ExampleOptions options;
    options.over_length = OverLength::kTruncate;
    options.audit = Audit::kWarn;
    options.max_tokens = length;
    options.add_eos = !no_eos;
    const ExampleSet set = MakeExamples(found, *opened.tokenizer, chat ? &*chat : nullptr, options);
    for (const std::string& note : set.notes) Note(Cat("note     ", note));
    for (const Example& example : set.examples) out.push_back(example);
  }
  if (rows > 0 && std::ssize(out) > rows) out.resize(static_cast<size_t>(rows));
  if (out.empty()) throw InputError(data.front(), ": holds no row to measure on");
  return out;
}

}  // namespace retort
