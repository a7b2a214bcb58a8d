// SPDX-License-Identifier: Apache-2.0
// retort merge: merges an adapter into its base's weights.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "export/merge.h"

namespace retort {
namespace {

struct MergeFlags {
  std::string base, out, onto, type = "auto", audit;
  AdapterFlags adapter;
  int64_t audit_tokens = 4096;
  int threads = 0;
  bool force = false, json = false;
};

void PrintAudit(const MergeAudit& audit) {
  const auto line = [](const std::string& what, const Agreement& a) {
    char text[160];
    std::snprintf(text, sizeof text, "  %-34s %10.3g %9.2f %%", what.c_str(), a.mean_kl,
                  100 * a.top1);
    PrintLine(text);
  };
  PrintLine(Cat("against base and adapter as trained, over ", audit.merged.tokens, " tokens:"));
  PrintLine("                                         KL, nats     top-1");
  line("merged", audit.merged);
  if (audit.weights == "nf4") line("adapter on the original weights", audit.original);
  line("base without adapter", audit.base);
}

void Run(const MergeFlags& flags) {
  const std::vector<WeightedAdapter> adapters = flags.adapter.adapters();
  MergeOptions options{flags.base, adapters.front().folder, flags.out,
                       flags.onto, flags.threads,           flags.type,
                       flags.force};
  options.weight = adapters.front().weight;
  options.others = {adapters.begin() + 1, adapters.end()};
  options.audit = flags.audit;
  options.audit_tokens = flags.audit_tokens;
  const MergeReport r = Merge(options);
  for (const std::string& note : r.notes) Note(Cat("note: ", note));
  Json result = MergeJson(r);
  result["out"] = flags.out;
  if (flags.json) return PrintJson(result);
  char text[200];
  std::snprintf(
      text, sizeof text,
      "%lld of %lld matrices changed onto %s: largest change %.3g, relative %.3g, error of rounding "
      "%.3g of it, %.1f %% kept",
      static_cast<long long>(r.changed), static_cast<long long>(r.matrices), r.onto.c_str(),
      r.largest, r.relative, r.rounding, 100 * r.kept);
  PrintLine(Cat(flags.out, ": ", text));
  if (r.onto == "nf4") PrintLine(Cat("the base's rounding to NF4, relative: ", r.quantisation));
  if (r.audit) PrintAudit(*r.audit);
}

}  // namespace

void AddMerge(CLI::App& app) {
  CLI::App* command = app.add_subcommand("merge", "Merge an adapter into its base");
  auto flags = std::make_shared<MergeFlags>();
  command->add_option(
      "--base", flags->base,
      "Hugging Face folder or GGUF (default: the one that the adapter was trained on)");
  flags->adapter.Add(*command)->required();
  command->add_option("--out", flags->out, "folder to make")->required();
  command->add_option("--onto", flags->onto,
                      "original or nf4 (default: as the adapter was trained)");
  command->add_option(
      "--type", flags->type,
      "of the folder, if the base is a GGUF: f32, f16, bf16 (default auto: the file's if "
      "it is one of these, else f32)");
  AddThreads(*command, flags->threads);
  command->add_option("--audit", flags->audit,
                      "rows, or a .txt: compares the merged model's predictions with those of base "
                      "and adapter");
  command->add_option("--audit-tokens", flags->audit_tokens, "tokens compared by --audit at most")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  command->add_flag("--force", flags->force,
                    "merge also when too much of the adapter's change is lost");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
