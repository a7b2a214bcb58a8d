// SPDX-License-Identifier: Apache-2.0
#include "cli/flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/progress.h"
#include "data/model_tokenizer.h"
#include "model/load.h"
#include "model/store/answer_schema.h"
#include "model/store/base_check.h"
#include "model/store/base_record.h"
#include "model/store/run_folder.h"
#include "runner/engine/engine.h"

namespace retort {

void ComputeFlags::Add(CLI::App& command, bool generates) {
  command.add_option("--device", device, "auto, cpu or cuda[:N]");
  AddThreads(command, threads);
  command.add_option("--compute", compute, "type of the matrix products: auto, f32, bf16 or int8");
  if (generates)
    command.add_option("--kv", kv, "type of the cached keys and values: auto, f32, f16 or bf16");
}

void AddThreads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "threads; 0: all this process may use")
      ->check(CLI::Range(0, kMostThreads));
}

CLI::Option* AdapterFlags::Add(CLI::App& command) {
  return command
      .add_option("--adapter", given,
                  "PEFT folder, or FOLDER=WEIGHT; given several times, their changes are added")
      ->allow_extra_args(false);
}

std::vector<WeightedAdapter> AdapterFlags::adapters() const {
  std::vector<WeightedAdapter> out;
  for (const std::string& text : given) out.push_back(ParseWeightedAdapter(text));
  return out;
}

namespace {

// Adapters were fitted to the base in its training format, so they run on that format.
void TakeTrainedFormat(const std::vector<Path>& adapters, const ModelFiles& files,
                       LoadOptions& options) {
  size_t on_nf4 = 0;
  bool double_quant = true;
  for (const Path& folder : adapters) {
    const auto base = ReadBaseRecord(folder);
    if (!base || base->weights != "nf4") continue;
    ++on_nf4;
    double_quant = base->double_quant;
  }
  if (on_nf4 == 0 || TraitsOf(files.stored_format()).block_elements > 1) return;
  if (on_nf4 < adapters.size())
    return Note(
        "note     some of the adapters were trained on the base in NF4 and some were not: it "
        "is held as it is stored");
  options.weights = WeightFormat::kNF4;
  options.double_quant = double_quant;
}

// The base of an adapter's folder, or of the run that trained it, where that is given as the model;
// the adapter comes before the others.
Path BaseAndAdapters(const Path& given, std::vector<WeightedAdapter>& adapters) {
  const auto own = AdapterFolderAt(given);
  if (!own) return given;
  const auto record = ReadBaseRecord(*own);
  if (!record || record->path.empty())
    throw InputError(given.string(),
                     ": holds an adapter that does not say where its base is; give the base, with "
                     "--adapter ",
                     own->string());
  adapters.insert(adapters.begin(), {*own, 1});
  Note(Cat("base     ", record->path));
  return record->path;
}

}  // namespace

OpenedModel OpenForRunning(const std::string& given_path,
                           const std::vector<WeightedAdapter>& given_adapters,
                           const ComputeFlags& flags, OpenedFor use, bool with_tokenizer,
                           const std::vector<Path>& beside) {
  OpenedModel out;
  std::vector<WeightedAdapter> adapters = given_adapters;
  const Path path = BaseAndAdapters(given_path, adapters);
  out.files = OpenModel(path);
  out.backend = MakeBackend({flags.device, flags.threads, ComputeNamed(flags.compute)});
  LoadOptions options;
  if (use != OpenedFor::kScores) options.purpose = WeightUse::Purpose::kRunning;
  options.copy = use == OpenedFor::kMuchText && WorthCopying(out.files);
  for (const WeightedAdapter& one : adapters) {
    CheckAdapter(one.folder, out.files, flags);
    const auto base = ReadBaseRecord(one.folder);
    if (out.chat_adapter.empty() && base && !base->chat_template.empty())
      out.chat_adapter = one.folder;
  }
  if (use != OpenedFor::kScores)
    out.answers = adapters.empty() ? AnswerSchemaOf(out.files) : AnswerSchemaOf(adapters);
  if (adapters.size() == 1)
    out.answers_folder = adapters.front().folder;
  else if (adapters.empty() && !out.files.gguf)
    out.answers_folder = out.files.path;
  std::vector<Path> folders = beside;
  for (const WeightedAdapter& one : adapters) folders.push_back(one.folder);
  TakeTrainedFormat(folders, out.files, options);
  out.model = LoadModel(out.files, options, *out.backend);
  out.compute = out.model->compute();
  if (!adapters.empty()) out.adapter = LoadAdaptersOf(out, adapters);
  if (with_tokenizer) out.tokenizer = LoadTokenizer(out.files);
  return out;
}

void CheckAdapter(const Path& folder, const ModelFiles& base, const ComputeFlags& flags) {
  for (const std::string& note : CheckAdapterBase(folder, base, flags.threads))
    Note(Cat("note     ", note));
}

std::unique_ptr<Adapter> LoadAdaptersOf(const OpenedModel& opened,
                                        const std::vector<WeightedAdapter>& adapters) {
  auto adapter = LoadAdapters(adapters, opened.files.layout, *opened.backend, {&opened.files});
  if (IsZero(*adapter, *opened.backend))
    Note(Cat("note     ", ZeroAdapterNote(adapters.front().folder)));
  return adapter;
}

DType CacheType(const std::string& flag, Compute compute) {
  if (flag == "auto") return CacheTypeFor(compute);
  if (flag == "f32") return DType::kF32;
  if (flag == "f16") return DType::kF16;
  if (flag == "bf16") return DType::kBF16;
  throw InputError("--kv '", flag, "' is not known; use auto, f32, f16 or bf16");
}

void PrintJson(const Json& value) { PrintLine(DumpJson(value)); }

void PrintLine(const std::string& text) {
  errno = 0;
  std::cout << text << "\n" << std::flush;
  CheckOutput();
}

void CheckOutput() {
  if (std::cout) return;
  throw Failure("standard output cannot be written",
                errno == 0 ? std::string() : Cat(": ", ErrnoText()));
}

// A note may show a row of the data: several lines, and long ones.
void Note(const std::string& text) {
  constexpr size_t kLongestLine = 1 << 20, kIndent = 9;  // behind "weights  "
  const auto width = static_cast<size_t>(TerminalWidth());
  for (const std::string& given : Split(text, '\n')) {
    const std::string line = OneLine(given, kLongestLine);
    if (width == 0) {
      std::cerr << line << "\n";
      continue;
    }
    for (const std::string& piece : Wrapped(line, width - 1, kIndent)) std::cerr << piece << "\n";
  }
}

}  // namespace retort
