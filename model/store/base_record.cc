// SPDX-License-Identifier: Apache-2.0
#include "model/store/base_record.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace retort {
namespace {

std::vector<int32_t> EndsOf(const Json& base, const std::string& where) {
  const auto it = base.find("ends");
  if (it == base.end()) return {};
  std::vector<int32_t> ends;
  for (const Json& id : *it) {
    const bool fits = id.is_number_integer() && id >= 0 && id <= INT32_MAX;
    if (!fits) throw InputError(where, ": 'ends' must be a list of token ids");
    ends.push_back(id.get<int32_t>());
  }
  return ends;
}

}  // namespace

Json BaseJson(const BaseRecord& r) {
  Json j = {{"path", r.path},
            {"fingerprint", r.fingerprint},
            {"weights", r.weights},
            {"double_quant", r.double_quant},
            {"template", r.chat_template}};
  if (!r.jinja.empty()) j["jinja"] = r.jinja;
  if (r.preamble) j["preamble"] = *r.preamble;
  j["ends"] = r.ends;
  if (r.answers) j["answers"] = SchemaJson(*r.answers);
  if (!r.architecture.empty()) j["architecture"] = r.architecture;
  if (!r.source.empty()) j["source"] = r.source;
  return j;
}

std::optional<BaseRecord> ReadBaseRecord(const Path& adapter_folder) {
  const Path path = adapter_folder / kManifestName;
  if (!std::filesystem::exists(path)) return std::nullopt;
  const std::string where = path.string();
  const Json manifest = ReadJson(path);
  const auto base = manifest.find("base");
  if (base == manifest.end()) throw InputError(where, ": 'base' is missing");
  BaseRecord r;
  r.path = GetString(*base, "path", where);
  r.fingerprint = GetString(*base, "fingerprint", where, "");
  r.weights = GetString(*base, "weights", where, "as-is");
  r.double_quant = GetBool(*base, "double_quant", where, true);
  r.chat_template = GetString(*base, "template", where, "");
  r.jinja = GetString(*base, "jinja", where, "");
  if (base->contains("preamble")) r.preamble = GetString(*base, "preamble", where);
  r.ends = EndsOf(*base, where);
  if (const auto it = base->find("answers"); it != base->end())
    r.answers = ReadSchemaJson(*it, where + ": 'answers'");
  r.architecture = GetString(*base, "architecture", where, "");
  r.source = GetString(*base, "source", where, "");
  return r;
}

}  // namespace retort
