// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_check.h"

#include "base/error.h"
#include "base/machine.h"
#include "base/strings.h"

namespace retort {
namespace {

// The process may grow to this.
int64_t MemoryForProcess() { return AvailableMemory() + ResidentMemory(); }

// True too if the machine does not say what it has.
bool Fits(const MemoryPlan& plan) {
  return AvailableMemory() == 0 || plan.process <= MemoryForProcess();
}

// " with --set a=b --set c=d it would take 3 GiB"
std::string SavingsText(const std::vector<Saving>& savings, int64_t limit) {
  if (savings.empty()) return "nothing that the recipe can change makes it smaller";
  std::string sets;
  for (const Saving& saving : savings) sets += Cat(" --set ", saving.set);
  const int64_t after = savings.back().process;
  return Cat("with", sets, " it would take ", BytesText(after),
             after > limit ? ", still too much: a smaller model, or a lower data.max_tokens, is "
                             "what is left"
                           : "");
}

}  // namespace

std::vector<std::string> MemoryLines(const MemoryPlan& plan) {
  const TrainingSession::Memory& m = plan.counted;
  return {
      Cat("memory   ", BytesText(m.peak), " counted at the peak: weights ", BytesText(m.weights),
          ", trained ", BytesText(m.trained), ", optimiser ", BytesText(m.optimizer),
          ", activations and gradients ", BytesText(plan.activations()),
          m.mapped > 0 ? Cat("; ", BytesText(m.mapped), " used in place in the model's file") : ""),
      Cat("process  about ", BytesText(plan.process), "; available ", BytesText(MemoryForProcess()),
          plan.complete()
              ? ""
              : Cat(" (counted for ", plan.steps, " of ", plan.total_steps, " steps)"))};
}

MemoryPlan PlanWithin(OpenedRecipe& opened, double seconds, std::vector<std::string>& notes) {
  std::string& checkpointing = opened.recipe.train.gradient_checkpointing;
  const bool open = checkpointing == "auto";
  if (open) checkpointing = "none";
  MemoryPlan plan = PlanMemory(opened, seconds);
  if (!open || Fits(plan)) return plan;
  const int64_t before = plan.process;
  checkpointing = "block";
  plan = PlanMemory(opened, seconds);
  notes.push_back(
      Cat("'train.gradient_checkpointing' is block: without it the run would take about ",
          BytesText(before)));
  return plan;
}

void RefuseWhatDoesNotFit(const MemoryPlan& plan, const OpenedRecipe& opened) {
  if (Fits(plan)) return;
  const int64_t limit = MemoryForProcess();
  throw Failure("the run would take about ", BytesText(plan.process), " and ", BytesText(limit),
                " are available: ", SavingsText(SavingsFor(opened, limit), limit));
}

}  // namespace retort
