// SPDX-License-Identifier: Apache-2.0
#include "model/store/base_record.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace retort {

Json BaseJson(const BaseRecord& r) {
  Json j = {{"path", r.path},
            {"fingerprint", r.fingerprint},
            {"weights", r.weights},
            {"double_quant", r.double_quant},
            {"template", r.chat_template}};
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
  r.architecture = GetString(*base, "architecture", where, "");
  r.source = GetString(*base, "source", where, "");
  return r;
}

}  // namespace retort
