// SPDX-License-Identifier: Apache-2.0
// retort export: converts a Hugging Face folder to a GGUF file, which is verified against its
// source before it gets its final name.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "export/verify.h"

namespace retort {
namespace {

struct ExportFlags {
  std::string source, out, type = "q8_0";
  int threads = 0;
  bool pure = false, json = false;
};

void Print(const ExportFlags& flags, const GgufExportResult& written, const VerifyReport& verdict) {
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"type", flags.type},
                      {"bytes", written.bytes},
                      {"kept_f16", written.kept_f16},
                      {"tokenizer_notes", written.notes},
                      {"verify", VerifyJson(verdict)}});
  }
  for (const std::string& name : written.kept_f16) {
    Note(Cat("note: ", name, " is stored as f16: its rows do not divide into ", flags.type,
             " blocks"));
  }
  for (const std::string& note : written.notes) Note(Cat("note: tokenizer: ", note));
  char text[160];
  std::snprintf(
      text, sizeof text,
      "tokens, template and ends agree; mean KL %.2e (limit %.0e), same next token %.1f %%",
      verdict.mean_kl, verdict.limit, 100 * verdict.top1);
  PrintLine(
      Cat(flags.out, ": ", BytesText(written.bytes), " of ", flags.type, "; verified: ", text));
}

void Run(const ExportFlags& flags) {
  const VerifiedExport done = ExportGguf(OpenModel(flags.source), flags.out,
                                         {FormatNamed(flags.type), flags.pure, flags.threads});
  Print(flags, done.written, done.verdict);
}

}  // namespace

void AddExport(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("export", "Write a model as a GGUF file and test it against its source");
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("source", flags->source, "Hugging Face folder")->required();
  command->add_option("--out", flags->out, "GGUF file to write")->required();
  command->add_option("--type", flags->type, Join(GgufFormatNames(), ", "));
  command->add_flag(
      "--pure", flags->pure,
      "the same type for embedding and head (else q8_0 where the type has fewer than 8 bits)");
  AddThreads(*command, flags->threads);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
