// SPDX-License-Identifier: Apache-2.0
#include "session/sweep.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

constexpr int64_t kMostRuns = 100000;

int64_t Combinations(const std::vector<SweepKey>& keys) {
  int64_t count = 1;
  for (const SweepKey& key : keys) {
    count *= std::ssize(key.values);
    if (count > kMostRuns)
      throw InputError("--over: more than ", kMostRuns, " combinations; try fewer values");
  }
  return count;
}

// The combination of that index.
std::vector<std::string> Combination(const std::vector<SweepKey>& keys, int64_t index) {
  std::vector<std::string> out(keys.size());
  for (size_t k = keys.size(); k-- > 0;) {
    const int64_t values = std::ssize(keys[k].values);
    out[k] = Cat(keys[k].key, "=", keys[k].values[static_cast<size_t>(index % values)]);
    index /= values;
  }
  return out;
}

std::string Fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

SweepKey ParseSweepKey(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError("--over ", Quoted(text), ": must be KEY=VALUE,VALUE,...");
  SweepKey out{text.substr(0, equals), {}};
  const std::string list = text.substr(equals + 1);
  if (list.starts_with('[')) {
    for (const Json& value : ParseJson(list, Cat("--over ", Quoted(out.key))))
      out.values.push_back(DumpJson(value));
  } else {
    out.values = Split(list, ',');
  }
  if (out.values.empty() || std::ranges::count(out.values, ""))
    throw InputError("--over ", Quoted(text),
                     ": must be a list of values, such as 3e-4,1e-3 or [\"all-linear\", "
                     "[\"q_proj\"]]");
  return out;
}

std::vector<std::vector<std::string>> SweepRuns(const std::vector<SweepKey>& keys, int64_t trials,
                                                uint64_t seed) {
  std::set<std::string> names;
  for (const SweepKey& key : keys) {
    if (!names.insert(key.key).second)
      throw InputError("--over ", Quoted(key.key), " is given twice; write its values in one list");
  }
  const int64_t all = Combinations(keys);
  std::vector<int64_t> chosen(static_cast<size_t>(all));
  for (int64_t i = 0; i < all; ++i) chosen[static_cast<size_t>(i)] = i;
  if (trials > 0 && trials < all) {
    RandomStream random(MakeKey(seed, RandomUse::kData));
    for (int64_t i = 0; i < trials; ++i) {
      const auto other = i + static_cast<int64_t>(random.Below(static_cast<uint64_t>(all - i)));
      std::swap(chosen[static_cast<size_t>(i)], chosen[static_cast<size_t>(other)]);
    }
    chosen.resize(static_cast<size_t>(trials));
    std::ranges::sort(chosen);
  }
  std::vector<std::vector<std::string>> out;
  out.reserve(chosen.size());
  for (const int64_t index : chosen) out.push_back(Combination(keys, index));
  return out;
}

std::string ComparedBy(const std::vector<Recipe>& recipes) {
  const Recipe& first = recipes.front();
  if (!first.data.has_eval())
    throw InputError("recipe '", first.name,
                     "': a sweep compares runs on held-out rows; give data.eval or data.val_split");
  for (const Recipe& recipe : recipes) {
    for (const std::string& key : ChangedKeys(first, recipe)) {
      const bool measure = key == "train.best_by" || key == "data.eval" || key == "data.val_split";
      // The seed draws the rows that are split off.
      if (measure || (key == "train.seed" && first.data.val_split > 0))
        throw InputError("--over ", Quoted(key),
                         ": the runs could not be compared, as each would be measured by another "
                         "figure or on other held-out rows; set it for all runs with --set");
    }
  }
  return first.train.best_by;
}

SweepResult ReadSweepResult(const Path& folder, size_t run, const std::string& by, int status) {
  SweepResult out{run};
  const Path file = folder / "summary.json";
  const bool ended = std::filesystem::exists(file);
  const Json summary = ended ? ReadJson(file) : Json::object();
  const std::string where = file.string();
  out.fault = summary.contains("diverged") ? "diverged" : status != 0 || !ended ? "failed" : "";
  if (ended) out.seconds = GetNumber(summary, "seconds", where);
  if (!out.fault.empty()) return out;
  out.loss = GetNumber(summary, "eval_loss", where);
  if (by != "loss") out.figure = GetNumber(summary, "eval_" + by, where);
  return out;
}

void SortResults(std::vector<SweepResult>& results) {
  std::ranges::stable_sort(results, [](const SweepResult& a, const SweepResult& b) {
    if (a.loss.has_value() != b.loss.has_value()) return a.loss.has_value();
    if (a.figure != b.figure) return a.figure > b.figure;
    return a.loss < b.loss;
  });
}

std::vector<std::string> SweepTable(const std::vector<SweepResult>& results,
                                    const std::vector<std::vector<std::string>>& runs,
                                    const std::string& by) {
  const auto row = [&](const std::string& run, const std::string& figure, const std::string& loss,
                       const std::string& seconds, const std::string& settings) {
    char text[160];
    std::snprintf(text, sizeof text, "%-9s ", run.c_str());
    std::string out = text;
    if (by != "loss") {
      std::snprintf(text, sizeof text, "%10s ", figure.c_str());
      out += text;
    }
    std::snprintf(text, sizeof text, "%13s %9s  ", loss.c_str(), seconds.c_str());
    return Cat(out, text, settings);
  };
  std::vector<std::string> out = {row("run", by, "held-out loss", "seconds", "settings")};
  for (const SweepResult& r : results) {
    out.push_back(row(Cat("run-", r.run + 1), r.figure ? Fixed(*r.figure, 4) : "",
                      r.loss ? Fixed(*r.loss, 4) : r.fault, Fixed(r.seconds, 0),
                      Join(runs[r.run], " ")));
  }
  return out;
}

}  // namespace retort
