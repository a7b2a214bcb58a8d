// SPDX-License-Identifier: Apache-2.0
// What an adapter was trained on: kept beside it, in retort.json.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"

namespace retort {

inline constexpr const char* kManifestName = "retort.json";

struct BaseRecord {
  std::string path;         // absolute
  std::string fingerprint;  // model/store/folders.h
  std::string weights;      // "nf4": how the base was held in training
  bool double_quant = true;
  std::string chat_template;  // the named template; "" when no row was a conversation
};

Json BaseJson(const BaseRecord& record);
// From an adapter's folder; nullopt when it has no retort.json (an adapter made elsewhere).
std::optional<BaseRecord> ReadBaseRecord(const Path& adapter_folder);

}  // namespace retort
