// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

Json ToJson(const MetricsLine& line) {
  const StepMetrics& m = line.metrics;
  if (line.eval_loss) {
    Json j = {{"step", m.step}, {"epoch", m.epoch}, {"eval_loss", *line.eval_loss}};
    for (const auto& [name, value] : m.extras) j["eval_" + name] = value;
    return j;
  }
  Json j = {{"step", m.step},
            {"epoch", m.epoch},
            {"loss", m.loss},
            {"ce", m.ce},
            {"kd", m.kd},
            {"lr", m.lr},
            {"grad_norm", m.grad_norm},
            {"tokens", m.tokens},
            {"loss_tokens", m.loss_tokens},
            {"tokens_per_second", line.tokens_per_second},
            {"peak_bytes", line.peak_bytes},
            {"seconds", m.seconds}};
  if (m.hidden != 0) j["hidden"] = m.hidden;
  for (const auto& [name, value] : m.extras) j[name] = value;
  if (m.generated_tokens > 0) {
    j["generated_tokens"] = m.generated_tokens;
    j["generation_share"] = m.generation_seconds / m.seconds;
  }
  return j;
}

// The numbers of a line that no other member holds.
std::vector<Extra> ExtrasOf(const Json& j, bool evaluation) {
  constexpr std::string_view kOwn[] = {"step",
                                       "epoch",
                                       "loss",
                                       "ce",
                                       "kd",
                                       "lr",
                                       "grad_norm",
                                       "tokens",
                                       "loss_tokens",
                                       "tokens_per_second",
                                       "peak_bytes",
                                       "seconds",
                                       "hidden",
                                       "generated_tokens",
                                       "generation_share",
                                       "eval_loss"};
  std::vector<Extra> extras;
  for (const auto& [key, value] : j.items()) {
    if (!value.is_number() || std::ranges::find(kOwn, key) != std::end(kOwn)) continue;
    extras.emplace_back(evaluation && key.starts_with("eval_") ? key.substr(5) : key,
                        value.get<double>());
  }
  return extras;
}

// What TensorBoard shows of a line.
std::vector<Extra> ScalarsOf(const Json& j, bool evaluation) {
  std::vector<Extra> out;
  for (const auto& [key, value] : j.items()) {
    if (key == "step" || (evaluation && key == "epoch")) continue;
    const bool eval = evaluation && key.starts_with("eval_");
    out.emplace_back(eval ? "eval/" + key.substr(5) : "train/" + key, value.get<double>());
  }
  return out;
}

MetricsLine FromJson(const Json& j, const std::string& where) {
  MetricsLine line;
  StepMetrics& m = line.metrics;
  m.step = GetInt(j, "step", where);
  m.epoch = GetNumber(j, "epoch", where, 0);
  m.extras = ExtrasOf(j, j.contains("eval_loss"));
  if (j.contains("eval_loss")) {
    line.eval_loss = GetNumber(j, "eval_loss", where);
    return line;
  }
  m.loss = GetNumber(j, "loss", where);
  m.ce = GetNumber(j, "ce", where);
  m.kd = GetNumber(j, "kd", where);
  m.lr = GetNumber(j, "lr", where);
  m.grad_norm = GetNumber(j, "grad_norm", where);
  m.tokens = GetInt(j, "tokens", where);
  m.loss_tokens = GetInt(j, "loss_tokens", where);
  line.tokens_per_second = GetNumber(j, "tokens_per_second", where);
  line.peak_bytes = GetInt(j, "peak_bytes", where);
  m.seconds = GetNumber(j, "seconds", where, 0);
  m.hidden = GetNumber(j, "hidden", where, 0);
  m.generated_tokens = j.contains("generated_tokens") ? GetInt(j, "generated_tokens", where) : 0;
  m.generation_seconds = GetNumber(j, "generation_share", where, 0) * m.seconds;
  return line;
}

}  // namespace

MetricsFile::MetricsFile(const Path& path, int64_t step, bool events) {
  std::string kept;
  if (step > 0 && std::filesystem::exists(path)) {
    for (const MetricsLine& line : ReadMetrics(path)) {
      if (line.metrics.step <= step) kept += DumpJson(ToJson(line)) + "\n";
    }
  }
  WriteTextAtomically(path, kept);
  file_.emplace(path);
  if (events) events_.emplace(path.parent_path(), step);
}

void MetricsFile::Append(const MetricsLine& line) {
  const Json j = ToJson(line);
  file_->Append(DumpJson(j) + "\n");
  if (events_) events_->Add(line.metrics.step, ScalarsOf(j, line.eval_loss.has_value()));
}

std::vector<MetricsLine> ReadMetrics(const Path& path) {
  std::vector<MetricsLine> out;
  const std::vector<std::string> lines = Split(ReadText(path), '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    // A killed run may leave an incomplete last line.
    if (lines[i].empty() || i + 1 == lines.size()) continue;
    const std::string where = Cat(path.string(), ":", i + 1);
    out.push_back(FromJson(ParseJson(lines[i], where), where));
  }
  return out;
}

}  // namespace retort
