// SPDX-License-Identifier: Apache-2.0
// Whether a planned run fits into the machine's memory.
#pragma once

#include "session/plan.h"

namespace retort {

// "peak 612 MiB counted: ..." and what the process takes, for the user.
std::vector<std::string> MemoryLines(const MemoryPlan& plan);

// Counts the run's memory. 'train.gradient_checkpointing' auto becomes none, or block if the run
// does not fit without it; that adds a line to `notes`.
MemoryPlan PlanWithin(OpenedRecipe& opened, double seconds, std::vector<std::string>& notes);

// Throws Error{kFailure} when the run needs more memory than is available, with the changes of the
// recipe that would make it fit.
void RefuseWhatDoesNotFit(const MemoryPlan& plan, const OpenedRecipe& opened);

}  // namespace retort
