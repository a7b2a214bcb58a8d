// SPDX-License-Identifier: Apache-2.0
// A recipe. What it resolves to reads as the same recipe.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "fuzz/support.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

void Use(std::string_view text) {
  const std::string once = DumpJson(ResolvedJson(ParseRecipe(text, "recipe.json", "/tmp")));
  const std::string twice = DumpJson(ResolvedJson(ParseRecipe(once, "resolved", "/tmp")));
  RETORT_CHECK(once == twice, once, " and ", twice);
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  Accepted([&] { Use(TextOf(data, size)); });
  return 0;
}
