// SPDX-License-Identifier: Apache-2.0
// The base that an adapter was trained on, stored next to it in retort.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "grammar/source.h"

namespace retort {

inline constexpr const char* kManifestName = "retort.json";

struct BaseRecord {
  std::string path;         // absolute
  std::string fingerprint;  // model/store/fingerprint.h
  std::string weights;      // the base's format in training, for example "nf4"
  bool double_quant = true;
  std::string chat_template = {};  // ChatTemplate::name(); "" if no row was a conversation
  std::string jinja = {};          // the template's text; "": not recorded, by an older version
  // What older versions recorded of a text that was not a plain named one: its default system
  // prompt.
  std::optional<std::string> preamble = {};
  // The ids that the rows taught as the end of a turn or of a text.
  std::vector<int32_t> ends = {};
  // The schema that the rows' answers were held to.
  std::optional<GrammarSource> answers = {};
  std::string architecture = {};  // ArchitectureHash; "": not recorded
  // A GGUF base: the fingerprint of the model that it was exported from, or "".
  std::string source = {};
};

Json BaseJson(const BaseRecord& record);
// Reads it from an adapter's folder; nullopt if there is no retort.json (an adapter from another
// program).
std::optional<BaseRecord> ReadBaseRecord(const Path& adapter_folder);

}  // namespace retort
