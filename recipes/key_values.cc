// SPDX-License-Identifier: Apache-2.0
#include "recipes/key_values.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace retort {
namespace {

void StoreSource(const Json& v, const Path& folder, DataSource& out) {
  StoreValue(v.is_object() ? v["path"] : v, folder, out.path);
  if (v.is_object() && v.contains("weight")) out.weight = v["weight"].get<double>();
}

template <class Number>
Json LoadMap(const std::map<std::string, Number>& v) {
  Json object = Json::object();
  for (const auto& [name, one] : v) object[name] = LoadValue(one);
  return object;
}

}  // namespace

void StoreValue(const Json& v, const Path&, bool& out) { out = v.get<bool>(); }
void StoreValue(const Json& v, const Path&, int64_t& out) {
  out = static_cast<int64_t>(v.get<double>());  // the shape ensures an integer that fits
}
void StoreValue(const Json& v, const Path&, double& out) { out = v.get<double>(); }
void StoreValue(const Json& v, const Path&, std::string& out) { out = v.get<std::string>(); }
void StoreValue(const Json& v, const Path& folder, Path& out) {
  out = std::filesystem::absolute(folder / Path(v.get<std::string>())).lexically_normal();
}
void StoreValue(const Json& v, const Path&, std::vector<std::string>& out) {
  out = v.get<std::vector<std::string>>();
}
void StoreValue(const Json& v, const Path&, std::vector<int64_t>& out) {
  out.clear();
  for (const Json& one : v) out.push_back(static_cast<int64_t>(one.get<double>()));
}
void StoreValue(const Json& v, const Path&, std::map<std::string, int64_t>& out) {
  out.clear();
  for (const auto& [name, one] : v.items()) out[name] = static_cast<int64_t>(one.get<double>());
}
void StoreValue(const Json& v, const Path&, std::map<std::string, double>& out) {
  out = v.get<std::map<std::string, double>>();
}
void StoreValue(const Json& v, const Path&, ModuleMatch& out) {
  out = {};
  if (v.is_array())
    out.suffixes = v.get<std::vector<std::string>>();
  else if (v != kAllLinearTargets)
    out.regex = v.get<std::string>();
}
void StoreValue(const Json& v, const Path& folder, std::vector<DataSource>& out) {
  out.clear();
  for (const Json& one : v.is_array() ? v : Json::array({v})) {
    StoreSource(one, folder, out.emplace_back());
  }
}

Json LoadValue(bool v) { return v; }
Json LoadValue(int64_t v) { return v; }
Json LoadValue(double v) {  // writes 32, not 32.0
  if (v == std::floor(v) && std::abs(v) < 1e15) return static_cast<int64_t>(v);
  return v;
}
Json LoadValue(const std::string& v) { return v; }
Json LoadValue(const Path& v) { return v.empty() ? Json() : Json(v.string()); }
Json LoadValue(const std::vector<std::string>& v) { return v; }
Json LoadValue(const std::vector<int64_t>& v) { return v; }
Json LoadValue(const std::map<std::string, int64_t>& v) { return LoadMap(v); }
Json LoadValue(const std::map<std::string, double>& v) { return LoadMap(v); }
Json LoadValue(const ModuleMatch& v) { return v.regex.empty() ? Json(v.suffixes) : Json(v.regex); }
Json LoadValue(const std::vector<DataSource>& v) {
  Json list = Json::array();
  for (const DataSource& source : v) {
    list.push_back({{"path", source.path.string()}, {"weight", LoadValue(source.weight)}});
  }
  return v.empty() ? Json() : list;
}

}  // namespace retort
