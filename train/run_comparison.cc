// SPDX-License-Identifier: Apache-2.0
#include "train/run_comparison.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "train/metrics.h"

namespace retort {
namespace {

constexpr size_t kMostFolders = 200;  // that are looked at

// A recipe's keys ("train.lr") and their values as text.
std::map<std::string, std::string> KeysOf(const Json& recipe) {
  std::map<std::string, std::string> keys;
  for (const auto& [name, value] : recipe.items()) {
    if (!value.is_object()) continue;
    for (const auto& [inner, v] : value.items()) keys[Cat(name, ".", inner)] = DumpJson(v);
  }
  return keys;
}

// What says nothing about the result.
bool Counts(const std::string& key) {
  constexpr std::string_view kNot[] = {"train.threads", "train.checkpoint_every",
                                       "train.keep",    "train.samples",
                                       "train.logs",    "data.cache"};
  return !key.starts_with("export.") && std::ranges::find(kNot, key) == std::end(kNot);
}

std::string Differences(const std::map<std::string, std::string>& own,
                        const std::map<std::string, std::string>& other) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : other) {
    const auto found = own.find(key);
    if (Counts(key) && (found == own.end() || found->second != value))
      parts.push_back(Cat(key, " ", value));
  }
  for (const auto& [key, value] : own) {
    if (Counts(key) && !other.contains(key)) parts.push_back(Cat("no ", key));
  }
  return Join(parts, ", ");
}

bool SameRows(const std::map<std::string, std::string>& a,
              const std::map<std::string, std::string>& b) {
  for (const char* key : {"data.train", "data.eval", "data.val_split", "train.best_by"}) {
    const auto first = a.find(key), second = b.find(key);
    if ((first == a.end()) != (second == b.end())) return false;
    if (first != a.end() && first->second != second->second) return false;
  }
  return true;
}

bool Better(const std::string& measure, double a, double b) {
  return measure == "loss" ? a < b : a > b;
}

std::optional<double> Measured(const MetricsLine& line, const std::string& measure) {
  if (!line.eval_loss) return std::nullopt;
  if (measure == "loss") return line.eval_loss;
  for (const auto& [name, value] : line.metrics.extras) {
    if (name == measure) return value;
  }
  return std::nullopt;
}

// Throws Error for files that cannot be read.
ComparedRun RunIn(const Path& folder, const std::map<std::string, std::string>& own,
                  const std::map<std::string, std::string>& keys) {
  ComparedRun run;
  run.name = folder.filename().string();
  run.finished = std::filesystem::exists(folder / "summary.json");
  run.differs = Differences(own, keys);
  const auto by = keys.find("train.best_by");
  run.measure = by == keys.end() ? "loss" : ParseJson(by->second, "best_by").get<std::string>();
  for (const MetricsLine& line : ReadMetrics(folder / "metrics.jsonl")) {
    if (const auto value = Measured(line, run.measure)) {
      if (!run.held_out || Better(run.measure, *value, *run.held_out)) run.held_out = value;
    } else if (!line.eval_loss) {
      run.steps = line.metrics.step;
      run.loss = line.metrics.loss;
      run.seconds += line.metrics.seconds;
    }
  }
  return run;
}

bool Before(const ComparedRun& a, const ComparedRun& b) {
  if (!a.held_out || !b.held_out) return a.held_out.has_value() > b.held_out.has_value();
  return Better(a.measure, *a.held_out, *b.held_out);
}

}  // namespace

std::vector<ComparedRun> RunsBeside(const Path& given, size_t most) {
  const Path folder = std::filesystem::absolute(given).lexically_normal();
  const auto own = KeysOf(ReadJson(folder / "recipe.json"));
  std::vector<ComparedRun> runs;
  std::error_code problem;
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.parent_path(), problem)) {
    if (++seen > kMostFolders) break;
    if (entry.path() == folder || !std::filesystem::exists(entry.path() / "metrics.jsonl", problem))
      continue;
    try {
      const auto keys = KeysOf(ReadJson(entry.path() / "recipe.json"));
      if (SameRows(own, keys)) runs.push_back(RunIn(entry.path(), own, keys));
    } catch (const Error&) {
      continue;  // not a run, or one that is being written
    }
  }
  if (runs.empty()) return runs;
  std::ranges::sort(runs, Before);
  if (runs.size() > most) runs.resize(most);
  runs.insert(runs.begin(), RunIn(folder, own, own));
  runs.front().own = true;
  return runs;
}

}  // namespace retort
