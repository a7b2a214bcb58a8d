// SPDX-License-Identifier: Apache-2.0
// retort_recipe_schema FILE: writes the recipe's JSON Schema.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "recipes/recipe_reader.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: retort_recipe_schema FILE\n", stderr);
    return 2;
  }
  try {
    retort::WriteTextAtomically(argv[1], retort::DumpJson(retort::RecipeSchema(), 2) + "\n");
  } catch (const retort::Error& error) {
    std::fprintf(stderr, "retort_recipe_schema: %s\n", error.what());
    return 1;
  }
}
