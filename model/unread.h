// SPDX-License-Identifier: Apache-2.0
// A model whose weights nobody has: to count what work on one of its size takes.
#pragma once

#include "model/model_files.h"

namespace retort {

// As OpenModel of files that hold every matrix in `stored` (f16 where its rows do not divide into
// blocks) and every vector in f32. All values read as zeros; they take no memory and no disk. For
// backends that compute nothing (BackendOptions::counting).
ModelFiles UnreadModel(const Architecture& architecture, WeightFormat stored);

}  // namespace retort
