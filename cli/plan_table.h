// SPDX-License-Identifier: Apache-2.0
// retort plan --table: the memory of training, by size and format.
#pragma once

#include <string>
#include <vector>

namespace retort {

// `models`: names of shapes or what they begin with, folders with a config.json, GGUF files.
// `settings`: texts of --set (TableRecipe). Prints a line for each model as soon as it is counted,
// or one JSON object.
void ShowMemoryTable(const std::vector<std::string>& models,
                     const std::vector<std::string>& settings, bool json);

}  // namespace retort
