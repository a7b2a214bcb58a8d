// SPDX-License-Identifier: Apache-2.0
// retort logits MODEL --tokens 1,2,3: writes raw little-endian f32 [T,V]; row t is the logits after
// token t.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.h"
#include "cli/flags.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct LogitsFlags {
  std::string model, tokens, out;
  AdapterFlags adapter;
  ComputeFlags compute;
  bool json = false;
};

std::vector<int32_t> ParseIds(const std::string& text, int64_t vocab) {
  std::vector<int32_t> ids;
  for (const std::string& part : Split(text, ',')) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc() || end != part.data() + part.size() || id < 0 || id >= vocab) {
      throw InputError("--tokens: '", part, "' is not an id below ", vocab);
    }
    ids.push_back(id);
  }
  return ids;
}

void Run(const LogitsFlags& flags) {
  constexpr int32_t kRows = 64;  // rows of logits computed at once
  const std::vector<WeightedAdapter> adapters = flags.adapter.adapters();
  std::vector<Path> sources = {flags.model};
  for (const WeightedAdapter& one : adapters) sources.push_back(one.folder);
  CheckTarget(flags.out, TargetKind::kFile, sources);
  const OpenedModel m =
      OpenForRunning(flags.model, adapters, flags.compute, OpenedFor::kScores, false);
  const std::vector<int32_t> ids = ParseIds(flags.tokens, m.model->config.vocab);
  Batch batch;
  batch.AddRow(ids, 0);
  Context context{*m.backend};
  const Var hidden = m.model->Hidden(context, {batch, m.adapter.get()});
  const TargetLock lock(flags.out);
  AtomicFile file(flags.out);
  const auto count = static_cast<int32_t>(ids.size());
  for (int32_t begin = 0; begin < count; begin += kRows) {
    std::vector<int32_t> rows(static_cast<size_t>(std::min(kRows, count - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    const std::vector<float> logits =
        m.backend->ToFloats(m.model->Logits(context, m.adapter.get(), hidden, rows));
    if (!std::ranges::all_of(logits, [](float v) { return std::isfinite(v); })) {
      throw Failure(flags.model, ": the logits after tokens ", begin, " to ",
                    begin + std::ssize(rows) - 1, " are not all finite numbers; try --compute f32");
    }
    file.Write(std::as_bytes(std::span(logits)));
  }
  file.Commit();
  const Json result = {{"tokens", ids.size()},
                       {"vocab", m.model->config.vocab},
                       {"compute", std::string(NameOf(m.compute))},
                       {"out", flags.out}};
  if (flags.json)
    PrintJson(result);
  else
    PrintLine(Cat(flags.out, ": ", ids.size(), " x ", m.model->config.vocab,
                  " logits, computed in ", NameOf(m.compute)));
}

}  // namespace

void AddLogits(CLI::App& app) {
  CLI::App* command = app.add_subcommand("logits", "Write the logits after each of given tokens");
  auto flags = std::make_shared<LogitsFlags>();
  command
      ->add_option("model", flags->model,
                   "Hugging Face folder, GGUF file, or folder of a run or adapter")
      ->required();
  command->add_option("--tokens", flags->tokens, "ids, separated by commas")->required();
  flags->adapter.Add(*command);
  command->add_option("--out", flags->out, "file of little-endian f32, [tokens, vocabulary]")
      ->required();
  flags->compute.Add(*command, false);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
