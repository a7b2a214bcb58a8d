// SPDX-License-Identifier: Apache-2.0
// Hashes of what a run is made from besides its recipe and its base.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "session/open_teacher.h"

namespace retort {

// By the recipe's keys: the tokens, labels and groups of the training and the held-out rows, the
// teacher's weights and its adapter. `teacher` has no model when the teacher is cached, whose cache
// is compared with the rows when it is opened, or when there is none.
std::vector<std::pair<std::string, std::string>> InputHashes(const Recipe& recipe,
                                                             const RecipeData& data,
                                                             const TeacherModel& teacher);

}  // namespace retort
