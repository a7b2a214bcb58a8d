// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_check.h"

#include "base/error.h"
#include "base/machine.h"
#include "base/strings.h"

namespace retort {
namespace {

// The process may grow to this.
int64_t MemoryForProcess() { return AvailableMemory() + ResidentMemory(); }

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

void RefuseWhatDoesNotFit(const MemoryPlan& plan, const OpenedRecipe& opened) {
  const int64_t limit = MemoryForProcess();
  if (AvailableMemory() == 0 || plan.process <= limit) return;
  throw Failure("the run would take about ", BytesText(plan.process), " and ", BytesText(limit),
                " are available: ", SavingsText(SavingsFor(opened, limit), limit));
}

}  // namespace retort
