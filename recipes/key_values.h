// SPDX-License-Identifier: Apache-2.0
// A recipe's values as JSON: one StoreValue and one LoadValue for each type of a recipe's members.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "recipes/recipe.h"

namespace retort {

// adapter.targets that are not listed.
inline constexpr const char* kAllLinearTargets = "all-linear";

// `v` has the type's shape (recipes/shape.h). Relative paths start at `folder`.
void StoreValue(const Json& v, const Path& folder, bool& out);
void StoreValue(const Json& v, const Path& folder, int64_t& out);
void StoreValue(const Json& v, const Path& folder, double& out);
void StoreValue(const Json& v, const Path& folder, std::string& out);
void StoreValue(const Json& v, const Path& folder, Path& out);
void StoreValue(const Json& v, const Path& folder, std::vector<std::string>& out);
void StoreValue(const Json& v, const Path& folder, std::vector<int64_t>& out);
void StoreValue(const Json& v, const Path& folder, std::map<std::string, int64_t>& out);
void StoreValue(const Json& v, const Path& folder, std::map<std::string, double>& out);
void StoreValue(const Json& v, const Path& folder, ModuleMatch& out);
void StoreValue(const Json& v, const Path& folder, std::vector<DataSource>& out);

// Null: no value.
Json LoadValue(bool v);
Json LoadValue(int64_t v);
Json LoadValue(double v);
Json LoadValue(const std::string& v);
Json LoadValue(const Path& v);
Json LoadValue(const std::vector<std::string>& v);
Json LoadValue(const std::vector<int64_t>& v);
Json LoadValue(const std::map<std::string, int64_t>& v);
Json LoadValue(const std::map<std::string, double>& v);
Json LoadValue(const ModuleMatch& v);
Json LoadValue(const std::vector<DataSource>& v);

}  // namespace retort
