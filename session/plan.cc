// SPDX-License-Identifier: Apache-2.0
#include "session/plan.h"

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/error.h"
#include "base/machine.h"

namespace retort {
namespace {

using PlanClock = std::chrono::steady_clock;

constexpr double kTimedSeconds = 6;  // of steps, unless one takes longer
constexpr int64_t kTimedSteps = 5;
// Code and tables of libraries that are read for the first time while the run is under way, and the
// stacks of threads.
constexpr int64_t kLibraries = int64_t{24} << 20;

double SecondsSince(PlanClock::time_point start) {
  return std::chrono::duration<double>(PlanClock::now() - start).count();
}

// Of the machine's memory, without what this process has now.
int64_t Taken(const MemoryPlan& plan) {
  return plan.counted.peak + plan.counted.mapped + plan.counted.checkpoint;
}

// A change of the recipe that saves memory. `apply` returns false if it is made already, or has no
// use.
struct SavingStep {
  std::string_view set;
  bool (*apply)(Recipe&);
};
constexpr SavingStep kSavingSteps[] = {
    {"model.weights=nf4",
     [](Recipe& r) {
       if (r.adapter.kind == "none" || r.model.weights == "nf4") return false;
       r.model.weights = "nf4";
       return true;
     }},
    {"train.optimizer=adamw8",
     [](Recipe& r) {
       if (r.train.optimizer != "adamw") return false;
       r.train.optimizer = "adamw8";
       return true;
     }},
    {"train.part_tokens=128",
     [](Recipe& r) {
       if (r.train.part_tokens <= 128) return false;
       r.train.part_tokens = 128;
       return true;
     }},
    {"train.gradient_checkpointing=block",
     [](Recipe& r) {
       if (r.train.gradient_checkpointing == "block") return false;
       r.train.gradient_checkpointing = "block";
       return true;
     }},
};

}  // namespace

LengthFacts LengthsOf(std::vector<int64_t> sorted) {
  LengthFacts out;
  out.rows = std::ssize(sorted);
  if (sorted.empty()) return out;
  std::ranges::sort(sorted);
  const auto at = [&](int64_t percent) {
    return sorted[static_cast<size_t>((out.rows * percent + 99) / 100 - 1)];
  };
  out.shortest = sorted.front();
  out.median = at(50);
  out.p95 = at(95);
  out.p99 = at(99);
  out.longest = sorted.back();
  for (auto it = sorted.begin(); it != sorted.end();) {
    const auto begin = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(*it)));
    const auto end = std::ranges::lower_bound(it, sorted.end(), 2 * begin);
    out.bins.push_back({begin, 2 * begin, end - it});
    it = end;
  }
  return out;
}

namespace {

LengthFacts LengthsOfRows(const Examples& examples) {
  std::vector<int64_t> lengths;
  lengths.reserve(static_cast<size_t>(examples.size()));
  for (int64_t e = 0; e < examples.size(); ++e) {
    if (examples.joined(e)) {
      lengths.back() += examples.tokens(e);
    } else {
      lengths.push_back(examples.tokens(e));
    }
  }
  return LengthsOf(std::move(lengths));
}

}  // namespace

std::optional<LengthFacts> RowLengths(const OpenedRecipe& opened) {
  const ExampleSet& train = opened.data->train;
  if (train.dropped + train.truncated + train.split > 0) return std::nullopt;
  return LengthsOfRows(train.examples);
}

LengthFacts RowLengths(const Recipe& recipe, const ModelFiles& files, const OpenWork& work) {
  Recipe longest = recipe;
  longest.data.max_tokens = files.config.max_positions;
  longest.data.over_length = "drop";
  longest.data.audit = "off";
  return LengthsOfRows(OpenRecipeData(longest, files, work).train.examples);
}

MemoryPlan PlanMemory(const OpenedRecipe& opened, double seconds) {
  MemoryPlan plan;
  plan.process = ResidentMemory() + kLibraries;
  TrainingSession session(opened, TrainingSession::Use::kCount);
  plan.description = session.Describe();
  plan.total_steps = session.total_steps();
  session.EvaluateBefore();
  // One step at least, however long the evaluation took: it has the peak.
  const auto start = PlanClock::now();
  while (plan.steps < plan.total_steps && (plan.steps == 0 || SecondsSince(start) < seconds)) {
    const auto step = session.Step();
    if (!step) break;
    ++plan.steps;
    plan.tokens += step->tokens;
  }
  session.EvaluateAfter();
  plan.counted = session.memory();
  plan.process += plan.counted.reached + plan.counted.mapped + plan.counted.checkpoint;
  return plan;
}

std::vector<Saving> SavingsFor(const OpenedRecipe& opened, int64_t limit) {
  std::vector<Saving> out;
  OpenedRecipe changed = opened;
  int64_t taken = Taken(PlanMemory(changed, 1));
  for (const SavingStep& step : kSavingSteps) {
    const Recipe before = changed.recipe;
    if (!step.apply(changed.recipe)) continue;
    const MemoryPlan plan = PlanMemory(changed, 1);
    if (Taken(plan) >= taken) {  // as nf4 for a base of blocks, which keeps its format
      changed.recipe = before;
      continue;
    }
    taken = Taken(plan);
    out.push_back({std::string(step.set), plan.process});
    if (plan.process <= limit) break;
  }
  return out;
}

TimePlan PlanTime(const OpenedRecipe& opened, const MemoryPlan& memory) {
  TrainingSession session(opened);
  TimePlan plan;
  session.Step();  // the first step also makes room and reads code
  const auto start = PlanClock::now();
  int64_t tokens = 0, generated = 0;
  double seconds = 0;
  while (plan.steps < kTimedSteps && SecondsSince(start) < kTimedSeconds) {
    const auto step = session.Step();
    if (!step) break;
    ++plan.steps;
    tokens += step->tokens;
    generated += step->generated_tokens;
    seconds += step->seconds;
  }
  if (plan.steps == 0) return plan;
  plan.tokens_per_second = static_cast<double>(tokens) / seconds;
  // By the rows' tokens. Of answers that are generated, a count knows too little: by the steps.
  plan.seconds = generated > 0 || tokens == 0 ? seconds / static_cast<double>(plan.steps) *
                                                    static_cast<double>(memory.total_steps)
                                              : memory.total_tokens() / plan.tokens_per_second;
  return plan;
}

}  // namespace retort
