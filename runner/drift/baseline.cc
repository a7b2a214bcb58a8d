// SPDX-License-Identifier: Apache-2.0
#include "runner/drift/baseline.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr int64_t kBaselineVersion = 1;
constexpr size_t kMostRefusals = 1000;

// What the square of the mean's standard error is.
double ErrorSquared(const DriftStatistic& statistic, const DriftMoments& moments) {
  const auto n = static_cast<double>(moments.answers);
  if (!statistic.share) {
    const double deviation = std::max(moments.deviation, statistic.least_deviation);
    return deviation * deviation / n;
  }
  const double share = (moments.mean * n + 1) / (n + 2);
  return share * (1 - share) / (n + 2);
}

DriftMoments ReadMoments(const Json& value, bool share, const std::string& where) {
  if (!value.is_object()) throw InputError(where, " must be an object");
  const DriftMoments moments{GetInt(value, "answers", where), GetNumber(value, "mean", where),
                             GetNumber(value, "deviation", where)};
  if (moments.answers < 1) throw InputError(where, ": 'answers' must be at least 1");
  if (moments.deviation < 0) throw InputError(where, ": 'deviation' must not be negative");
  if (share && (moments.mean < 0 || moments.mean > 1))
    throw InputError(where, ": 'mean' of a share must be within 0 and 1");
  return moments;
}

size_t StatisticNamed(const std::string& name, const std::string& where) {
  const auto at = std::ranges::find(kDriftStatistics, name, &DriftStatistic::name);
  if (at != kDriftStatistics.end()) return static_cast<size_t>(at - kDriftStatistics.begin());
  std::vector<std::string> known;
  known.reserve(kDriftStatistics.size());
  for (const DriftStatistic& statistic : kDriftStatistics) known.emplace_back(statistic.name);
  throw InputError(where, ": there is no statistic ", Quoted(name), "; those are ",
                   Join(known, ", "));
}

std::vector<std::string> ReadRefusals(const Json& object, const std::string& where) {
  const auto member = object.find("refusals");
  if (member == object.end() || !member->is_array() || member->size() > kMostRefusals)
    throw InputError(where, ": 'refusals' must be a list of at most ", kMostRefusals, " texts");
  std::vector<std::string> refusals;
  refusals.reserve(member->size());
  for (const Json& phrase : *member) {
    if (!phrase.is_string() || phrase.get_ref<const std::string&>().empty())
      throw InputError(where, ": 'refusals' must hold texts that are not empty");
    refusals.push_back(Folded(phrase.get_ref<const std::string&>()));
  }
  return refusals;
}

}  // namespace

void DriftSums::Count(const AnswerFigures& figures, int sign) {
  for (size_t s = 0; s < figures.size(); ++s) {
    const double figure = figures[s];
    if (!std::isfinite(figure)) continue;  // an infinite one would never leave the sums
    sums_[s].answers += sign;
    sums_[s].sum += sign * figure, sums_[s].squares += sign * figure * figure;
  }
}

DriftSummary DriftSums::Summary() const {
  DriftSummary summary;
  for (size_t s = 0; s < summary.size(); ++s) {
    const auto& [answers, sum, squares] = sums_[s];
    if (answers == 0) continue;
    const auto n = static_cast<double>(answers);
    const double distances = std::max(0.0, squares - sum * sum / n);
    summary[s] = {answers, sum / n, std::sqrt(distances / std::max(1.0, n - 1))};
  }
  return summary;
}

double DriftScore(const DriftStatistic& statistic, const DriftMoments& baseline,
                  const DriftMoments& now) {
  return (now.mean - baseline.mean) /
         std::sqrt(ErrorSquared(statistic, baseline) + ErrorSquared(statistic, now));
}

DriftBaseline ReadDriftBaseline(const Path& path) {
  const std::string where = path.string();
  const Json object = ReadJson(path);
  if (!object.is_object()) throw InputError(where, ": must be an object");
  if (GetInt(object, "retort_baseline", where) != kBaselineVersion)
    throw InputError(where, ": 'retort_baseline' must be ", kBaselineVersion,
                     "; record the baseline anew");
  DriftBaseline baseline{GetString(object, "model", where),
                         GetString(object, "recorded", where),
                         ReadRefusals(object, where),
                         {}};
  const auto statistics = object.find("statistics");
  if (statistics == object.end() || !statistics->is_object() || statistics->empty())
    throw InputError(where, ": 'statistics' must be an object with at least one member");
  for (const auto& [name, value] : statistics->items()) {
    const size_t at = StatisticNamed(name, where);
    baseline.summary[at] =
        ReadMoments(value, kDriftStatistics[at].share, Cat(where, ": 'statistics.", name, "'"));
  }
  return baseline;
}

void WriteDriftBaseline(const Path& path, const DriftBaseline& baseline) {
  Json object = {{"retort_baseline", kBaselineVersion},
                 {"model", baseline.model},
                 {"recorded", baseline.recorded},
                 {"refusals", baseline.refusals},
                 {"statistics", Json::object()}};
  for (size_t s = 0; s < kDriftStatistics.size(); ++s) {
    const DriftMoments& moments = baseline.summary[s];
    if (moments.answers == 0) continue;
    object["statistics"][kDriftStatistics[s].name] = {
        {"answers", moments.answers}, {"mean", moments.mean}, {"deviation", moments.deviation}};
  }
  AtomicFile file(path);
  file.Write(DumpJson(object, 2) + "\n");
  file.Commit();
}

}  // namespace retort
