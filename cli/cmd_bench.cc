// SPDX-License-Identifier: Apache-2.0
// retort bench train|prefill|decode|gemm|attention: tokens a second, and their share of the
// machine's limit. retort bench tokenize: bytes a second of text on one core.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/attention_bench.h"
#include "bench/bench.h"
#include "bench/gemm_bench.h"
#include "bench/tokenize_bench.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "export/init_model.h"
#include "model/load.h"

namespace retort {
namespace {

struct BenchFlags {
  std::string work, model, shape, weights, teacher, teacher_weights, file;
  int64_t rank = 16, batch_rows = 4, tokens = 0, sequences = 1, prompt = 0, gen = 128, repeat = 5,
          part_tokens = 512;
  ComputeFlags compute;
  bool whole = false, json = false;
};

std::string Format(const char* format, auto... values) {
  char text[160];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// Which work, on what, with which numbers: the part of --json that a reader compares runs by.
Json Conditions(const BenchFlags& f, const Subject& subject) {
  Json out = {{"work", f.work}, {"model", subject.name}, {"weights", subject.weights}};
  if (f.work == "train") {
    out.update({{"rank", f.rank}, {"batch_rows", f.batch_rows}, {"tokens", f.tokens}});
    if (!f.teacher.empty()) out["teacher"] = f.teacher;
  } else {
    out.update({{"sequences", f.sequences}, {"prompt", f.prompt}});
    if (f.work == "decode") out["gen"] = f.gen;
  }
  out["repeat"] = f.repeat;
  return out;
}

void Print(const BenchFlags& f, const Subject& subject, const BenchResult& r) {
  const bool decode = f.work == "decode";
  if (f.json) {
    Json out = Conditions(f, subject);
    out.update({{"tokens_per_second", r.tokens_per_second.median},
                {"tokens_per_second_min", r.tokens_per_second.least},
                {"tokens_per_second_max", r.tokens_per_second.most},
                {"peak_rss_bytes", r.peak_rss_bytes},
                {"threads", subject.backend->threads()},
                {"device", subject.backend->name()},
                {"compute", std::string(NameOf(subject.compute))},
                {"fraction_of_peak", r.fraction_of_peak}});
    if (!f.teacher.empty()) out["teacher_overhead"] = r.teacher_overhead;
    if (f.work == "prefill") out["fraction_of_peak_blocks"] = r.fraction_of_peak_blocks;
    out.update({{decode ? "bytes_per_token" : "flops_per_token", r.work_per_token},
                {decode ? "peak_bytes_per_second" : "peak_flops_per_second", r.limit},
                {"peak_by", r.limit_by}});
    return PrintJson(out);
  }
  const Spread& s = r.tokens_per_second;
  PrintLine(Format("%.1f tokens/s  (%.1f to %.1f, median of %lld x %lld tokens)", s.median, s.least,
                   s.most, static_cast<long long>(f.repeat), static_cast<long long>(r.tokens)));
  PrintLine(Format("%.1f %% of the limit: %.1f %s a token at %.1f %s/s (%s)",
                   100 * r.fraction_of_peak, r.work_per_token / 1e6, decode ? "MB" : "MFLOP",
                   r.limit / 1e9, decode ? "GB" : "GFLOP", r.limit_by.c_str()));
  if (!f.teacher.empty()) {
    PrintLine(Format("%.3f x a step without the teacher and the teacher's forward pass",
                     r.teacher_overhead));
  }
  if (f.work == "prefill") {
    PrintLine(Format("%.1f %% counting the blocks alone (the head is computed for last tokens)",
                     100 * r.fraction_of_peak_blocks));
  }
  PrintLine(Cat("peak memory ", BytesText(r.peak_rss_bytes)));
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
  const RunBench run{f.sequences, f.prompt, f.gen, CacheType(f.compute.kv, subject.compute),
                     f.repeat};
  const BenchResult result =
      train ? BenchTraining(subject, teacher ? &*teacher : nullptr,
                            {f.rank, f.batch_rows, f.tokens, f.repeat, f.part_tokens}, progress)
      : f.work == "prefill" ? BenchPrefill(subject, run, progress)
                            : BenchDecode(subject, run, progress);
  Print(f, subject, result);
}

void PrintProduct(const BenchFlags& f, const GemmResult& r) {
  const char* direction = r.gradient ? "gradient" : "forward";
  const std::string format(TraitsOf(r.format).name), compute(NameOf(r.compute));
  if (f.json) {
    return PrintJson({{"work", "gemm"},
                      {"layer", r.layer},
                      {"weights", format},
                      {"direction", direction},
                      {"tokens", r.tokens},
                      {"outputs", r.outputs},
                      {"inputs", r.inputs},
                      {"tokens_per_second", r.tokens_per_second},
                      {"flops_per_second", r.flops_per_second},
                      {"peak_rss_bytes", PeakRssBytes()},
                      {"threads", r.threads},
                      {"device", r.device},
                      {"compute", compute},
                      {"fraction_of_peak", r.fraction_of_peak},
                      {"fraction_of_bandwidth", r.fraction_of_bandwidth}});
  }
  PrintLine(
      Format("%-5s %-8s %-5s %-8s %6lld x %6lld  %5lld tokens  %8.1f GFLOP/s  %5.1f %% of the "
             "peak  %5.1f %% of the bandwidth",
             format.c_str(), direction, compute.c_str(), r.layer.c_str(),
             static_cast<long long>(r.outputs), static_cast<long long>(r.inputs),
             static_cast<long long>(r.tokens), r.flops_per_second / 1e9, 100 * r.fraction_of_peak,
             100 * r.fraction_of_bandwidth));
}

void RunGemm(const BenchFlags& f) {
  if (f.model.empty() == f.shape.empty()) {
    throw InputError("bench: give a model (folder or GGUF file) or --shape, one of them");
  }
  GemmBench options;
  options.config = f.shape.empty() ? OpenModel(f.model).config : ShapeNamed(f.shape);
  options.weights = f.weights;
  options.device = f.compute.device;
  options.compute = f.compute.compute;
  options.threads = f.compute.threads;
  options.tokens = f.tokens;
  options.repeat = f.repeat;
  BenchGemm(options, [&](const GemmResult& r) { PrintProduct(f, r); });
}

void PrintTokenize(const BenchFlags& f, const TokenizeResult& r) {
  const Spread& s = r.bytes_per_second;
  if (f.json) {
    Json out = {{"work", "tokenize"},
                {"model", f.model},
                {"file", f.file},
                {"whole", f.whole},
                {"rows", r.rows},
                {"bytes", r.bytes},
                {"tokens", r.tokens},
                {"repeat", f.repeat},
                {"bytes_per_second", s.median},
                {"bytes_per_second_min", s.least},
                {"bytes_per_second_max", s.most},
                {"tokens_per_second", r.tokens_per_second},
                {"peak_rss_bytes", PeakRssBytes()},
                {"threads", 1}};
    if (r.library_bytes_per_second) {
      out.update({{"library_bytes_per_second", r.library_bytes_per_second->median},
                  {"times_library", r.times_library}});
    }
    return PrintJson(out);
  }
  PrintLine(Format("%.2f MB/s  (%.2f to %.2f, median of %lld x %.2f MB in %lld rows, one thread)",
                   s.median / 1e6, s.least / 1e6, s.most / 1e6, static_cast<long long>(f.repeat),
                   static_cast<double>(r.bytes) / 1e6, static_cast<long long>(r.rows)));
  PrintLine(Format("%.0f tokens/s", r.tokens_per_second));
  if (r.library_bytes_per_second) {
    PrintLine(Format("%.2f x the SentencePiece library alone, %.2f MB/s; the same ids",
                     r.times_library, r.library_bytes_per_second->median / 1e6));
  }
}

void RunTokenize(const BenchFlags& f) {
  if (f.model.empty() || f.file.empty())
    throw InputError("bench tokenize: give a model or tokenizer folder, or a GGUF file, and --file");
  ProgressBar bar("tokenize");
  const TokenizeResult result = BenchTokenize(
      {f.model, f.file, f.whole, f.repeat}, [&](int64_t done, int64_t total, double rate) {
        bar.Update(done, total, done ? Format("%.2f MB/s", rate / 1e6) : "");
      });
  PrintTokenize(f, result);
}

void PrintAttention(const BenchFlags& f, const AttentionResult& r) {
  if (f.json) {
    return PrintJson({{"work", "attention"},
                      {"tokens", r.tokens},
                      {"tokens_per_second", r.tokens_per_second},
                      {"forward_flops_per_second", r.forward_flops_per_second},
                      {"gradient_flops_per_second", r.gradient_flops_per_second},
                      {"workspace_bytes", r.workspace_bytes},
                      {"peak_rss_bytes", PeakRssBytes()},
                      {"threads", r.threads},
                      {"device", r.device},
                      {"compute", "f32"},
                      {"fraction_of_peak", r.fraction_of_peak}});
  }
  PrintLine(Format("%6lld tokens  forward %7.1f GFLOP/s  gradient %7.1f GFLOP/s  %5.1f %% of the peak  "
                   "%10.1f tokens/s  workspace %s",
                   static_cast<long long>(r.tokens), r.forward_flops_per_second / 1e9,
                   r.gradient_flops_per_second / 1e9, 100 * r.fraction_of_peak, r.tokens_per_second,
                   BytesText(r.workspace_bytes).c_str()));
}

void RunAttention(const BenchFlags& f) {
  if (f.model.empty() == f.shape.empty()) {
    throw InputError("bench: give a model (folder or GGUF file) or --shape, one of them");
  }
  AttentionBench options;
  options.config = f.shape.empty() ? OpenModel(f.model).config : ShapeNamed(f.shape);
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
    throw InputError("bench train: --compute int8 is the runner's; use auto, f32 or bf16");
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
      "Time training, prefill, decoding, products, attention or tokenizing, beside what this machine "
      "can do");
  auto flags = std::make_shared<BenchFlags>();
  const auto count = [&](const char* name, int64_t& value, int64_t least, const char* text) {
    command->add_option(name, value, text)->check(CLI::Range(least, int64_t{1} << 20));
  };
  command->add_option("work", flags->work,
                      "train, prefill, decode, gemm, attention or tokenize")
      ->required()
      ->check(CLI::IsMember({"train", "prefill", "decode", "gemm", "attention", "tokenize"}));
  command->add_option("model", flags->model, "Hugging Face folder or GGUF file");
  command->add_option(
      "--shape", flags->shape,
      "instead of a model, random weights of this shape: a name as in init, or L,D,H,KV,F,V");
  command->add_option(
      "--weights", flags->weights,
      "f32, bf16, f16, nf4, q8_0 or q4_0 (default: as stored; of a shape bf16, of gemm all)");
  count("--rank", flags->rank, 1, "train: rank of the adapter on all linear layers");
  count("--batch-rows", flags->batch_rows, 1, "train: rows of a step");
  count("--tokens", flags->tokens, 0,
        "train: tokens of a row (0: 256); gemm: rows of the activations (0: 1, 16, 512, 2048); "
        "attention: of the one row (0: 512, 1024, ... 16384)");
  count("--sequences", flags->sequences, 1, "prefill, decode: sequences together");
  count("--prompt", flags->prompt, 0, "tokens of each prompt (0: prefill 512, decode 1)");
  count("--gen", flags->gen, 1, "decode: tokens generated after the first, each sequence");
  command->add_option("--teacher", flags->teacher, "train: shape of an online teacher");
  command->add_option("--teacher-weights", flags->teacher_weights,
                      "train: how the teacher is held (default bf16)");
  count("--part-tokens", flags->part_tokens, 1, "train: tokens computed at once, as train.part_tokens");
  command->add_option("--file", flags->file,
                      "tokenize: text whose lines are the rows, or *.jsonl with rows of training");
  command->add_flag("--whole", flags->whole, "tokenize: the whole file is one row");
  count("--repeat", flags->repeat, 1, "repetitions; the median is told");
  flags->compute.Add(*command, true);
  command->add_flag("--json", flags->json, "print one JSON object; gemm, attention: one a line");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
