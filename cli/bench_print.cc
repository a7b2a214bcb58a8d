// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_print.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "bench/machine.h"
#include "cli/progress.h"

namespace retort {
namespace {

std::string Format(const char* format, auto... values) {
  char text[160];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// The work, its subject and its parameters: the part of --json that identifies comparable runs.
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

}  // namespace

void PrintWork(const BenchFlags& f, const Subject& subject, const BenchResult& r) {
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
  PrintLine(
      Format("%6lld tokens  forward %7.1f GFLOP/s  gradient %7.1f GFLOP/s  %5.1f %% of the peak  "
             "%10.1f tokens/s  workspace %s",
             static_cast<long long>(r.tokens), r.forward_flops_per_second / 1e9,
             r.gradient_flops_per_second / 1e9, 100 * r.fraction_of_peak, r.tokens_per_second,
             BytesText(r.workspace_bytes).c_str()));
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

std::string MegabytesText(double bytes_per_second) {
  return Format("%.2f MB/s", bytes_per_second / 1e6);
}

}  // namespace retort
