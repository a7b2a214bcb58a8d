// SPDX-License-Identifier: Apache-2.0
// retort bench train|prefill|decode|gemm|attention: tokens per second, and the share of the
// machine's limit. retort bench tokenize: bytes of text per second on one core. retort bench serve:
// cmd_bench_serve.cc.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <optional>

#include "cli/bench_print.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "export/init_model.h"
#include "model/model_files.h"

namespace retort {
namespace {

Architecture ArchitectureOf(const BenchFlags& f) {
  if (f.shape.empty()) return OpenModel(f.model).config;
  return ShapeNamed(f.shape);
}

void RunWork(BenchFlags f) {
  const bool train = f.work == "train";
  if (f.tokens == 0) f.tokens = 256;
  if (f.prompt == 0) f.prompt = f.work == "prefill" ? 512 : 1;
  Subject subject = OpenSubject({.model = f.model,
                                 .shape = f.shape,
                                 .weights = f.weights,
                                 .device = f.compute.device,
                                 .compute = f.compute.compute,
                                 .threads = f.compute.threads,
                                 .runner = !train,
                                 .positions = train ? f.tokens : f.prompt + f.gen + 1});
  std::optional<Subject> teacher;
  if (!f.teacher.empty()) {
    teacher = OpenSubject({.model = "",
                           .shape = f.teacher,
                           .weights = f.teacher_weights,
                           .device = f.compute.device,
                           .compute = f.compute.compute,
                           .threads = f.compute.threads,
                           .runner = false,
                           .positions = f.tokens});
  }
  Note(Cat(f.work, " ", subject.name, ", ", subject.weights, ", computed in ",
           NameOf(subject.compute), " on ", subject.backend->name(), ", ",
           subject.backend->threads(), " threads"));
  ProgressBar bar(f.work);
  const OnRepeat progress = [&](int64_t done, int64_t total, double rate) {
    bar.Update(done, total, done ? Cat(CountText(rate), " tokens/s") : "");
  };
  const RunBench run{f.sequences, f.prompt,  f.gen, CacheType(f.compute.kv, subject.compute),
                     f.repeat,    f.sampling};
  const TrainBench training{f.rank, f.batch_rows, f.tokens, f.repeat, f.part_tokens};
  const BenchResult result =
      train ? BenchTraining(subject, teacher ? &*teacher : nullptr, training, progress)
      : f.work == "prefill" ? BenchPrefill(subject, run, progress)
                            : BenchDecode(subject, run, progress);
  PrintWork(f, subject, result);
}

void RunGemm(const BenchFlags& f) {
  if (f.model.empty() == f.shape.empty()) {
    throw InputError("bench: give a model (folder or GGUF file) or --shape, one of them");
  }
  GemmBench options;
  options.config = ArchitectureOf(f);
  options.weights = f.weights;
  options.device = f.compute.device;
  options.compute = f.compute.compute;
  options.threads = f.compute.threads;
  options.tokens = f.tokens;
  options.repeat = f.repeat;
  BenchGemm(options, [&](const GemmResult& r) { PrintProduct(f, r); });
}

void RunTokenize(const BenchFlags& f) {
  if (f.model.empty() || f.file.empty())
    throw InputError(
        "bench tokenize: give a model or tokenizer folder, or a GGUF file, and --file");
  ProgressBar bar("tokenize");
  const TokenizeResult result = BenchTokenize(
      {f.model, f.file, f.whole, f.repeat}, [&](int64_t done, int64_t total, double rate) {
        bar.Update(done, total, done ? MegabytesText(rate) : "");
      });
  PrintTokenize(f, result);
}

void RunAttention(const BenchFlags& f) {
  if (f.model.empty() == f.shape.empty()) {
    throw InputError("bench: give a model (folder or GGUF file) or --shape, one of them");
  }
  AttentionBench options;
  options.attention = ArchitectureOf(f).blocks.front().attention;
  options.device = f.compute.device;
  options.threads = f.compute.threads;
  options.tokens = f.tokens;
  options.repeat = f.repeat;
  BenchAttention(options, [&](const AttentionResult& r) { PrintAttention(f, r); });
}

void Run(const BenchFlags& flags) {
  if ((flags.whole || !flags.file.empty()) && flags.work != "tokenize") {
    throw InputError("bench ", flags.work, ": --file and --whole go with tokenize");
  }
  if (!flags.teacher.empty() && flags.work != "train") {
    throw InputError("bench ", flags.work, ": --teacher goes with train");
  }
  if (flags.work == "train" && flags.compute.compute == "int8") {
    throw InputError("bench train: --compute int8 is only for the runner; use auto, f32 or bf16");
  }
  if (flags.work == "gemm") return RunGemm(flags);
  if (flags.work == "tokenize") return RunTokenize(flags);
  if (flags.work == "attention") return RunAttention(flags);
  RunWork(flags);
}

}  // namespace

void AddBench(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bench",
      "Time training, prefill, decoding, products, attention or tokenizing, compared with the "
      "limits of this machine");
  auto flags = std::make_shared<BenchFlags>();
  const auto count = [&](const char* name, int64_t& value, int64_t least, const char* text) {
    command->add_option(name, value, text)->check(CLI::Range(least, int64_t{1} << 20));
  };
  AddBenchServe(*command);
  command->add_option("work", flags->work, "train, prefill, decode, gemm, attention or tokenize")
      ->check(CLI::IsMember({"train", "prefill", "decode", "gemm", "attention", "tokenize"}));
  command->add_option("model", flags->model, "Hugging Face folder or GGUF file");
  command->add_option(
      "--shape", flags->shape,
      "instead of a model, random weights of this shape: a name as in init, or L,D,H,KV,F,V");
  command->add_option(
      "--weights", flags->weights,
      Cat(Join(FormatNames(), ", "), " (default: as stored; of a shape bf16, of gemm all)"));
  count("--rank", flags->rank, 1, "train: rank of the adapter on all linear layers");
  count("--batch-rows", flags->batch_rows, 1, "train: rows of a step");
  count("--tokens", flags->tokens, 0,
        "train: tokens of a row (0: 256); gemm: rows of the activations (0: 1, 16, 512, 2048); "
        "attention: of the one row (0: 512, 1024, ... 16384)");
  count("--sequences", flags->sequences, 1, "prefill, decode: sequences together");
  count("--prompt", flags->prompt, 0, "tokens of each prompt (0: prefill 512, decode 1)");
  count("--gen", flags->gen, 1, "decode: tokens generated after the first, each sequence");
  command->add_option("--temperature", flags->sampling.temperature,
                      "decode: sampled (0: the likeliest token every time)");
  command->add_option("--top-p", flags->sampling.top_p,
                      "decode: of the likeliest tokens that reach this share");
  command->add_option("--teacher", flags->teacher, "train: shape of an online teacher");
  command->add_option("--teacher-weights", flags->teacher_weights,
                      "train: how the teacher is held (default bf16)");
  count("--part-tokens", flags->part_tokens, 1,
        "train: tokens computed at once, as train.part_tokens");
  command->add_option("--file", flags->file,
                      "tokenize: text whose lines are the rows, or *.jsonl with rows of training");
  command->add_flag("--whole", flags->whole, "tokenize: the whole file is one row");
  count("--repeat", flags->repeat, 1, "repetitions; the median is reported");
  flags->compute.Add(*command, true);
  command->add_flag("--json", flags->json, "print one JSON object; gemm, attention: one a line");
  command->callback([flags, command] {
    if (command->got_subcommand("serve")) return;
    if (flags->work.empty())
      throw InputError(
          "bench: say what: train, prefill, decode, gemm, attention, tokenize or serve");
    Run(*flags);
  });
}

}  // namespace retort
