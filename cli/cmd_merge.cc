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
  std::string base, out, onto, type = "auto";
  AdapterFlags adapter;
  int threads = 0;
  bool force = false, json = false;
};

void Run(const MergeFlags& flags) {
  const std::vector<WeightedAdapter> adapters = flags.adapter.adapters();
  const MergeReport r = Merge({flags.base,
                               adapters.front().folder,
                               flags.out,
                               flags.onto,
                               flags.threads,
                               flags.type,
                               flags.force,
                               adapters.front().weight,
                               {adapters.begin() + 1, adapters.end()}});
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
  command->add_flag("--force", flags->force,
                    "merge also when rounding takes most of the adapter's change away");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
