// SPDX-License-Identifier: Apache-2.0
// The base that an adapter was trained on, stored next to it in retort.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace retort {

inline constexpr const char* kManifestName = "retort.json";

struct BaseRecord {
  std::string path;         // absolute
  std::string fingerprint;  // model/store/fingerprint.h
  std::string weights;      // the base's format in training, for example "nf4"
  bool double_quant = true;
  std::string chat_template = {};  // the template's name; "" if no row was a conversation
  // The text that the template added to system prompts (ChatTemplate::preamble). nullopt: not
  // recorded, by a version of Retort that did not.
  std::optional<std::string> preamble = {};
  // The ids that the rows taught as the end of a turn or of a text.
  std::vector<int32_t> ends = {};
  std::string architecture = {};  // ArchitectureHash; "": not recorded
  // A GGUF base: the fingerprint of the model that it was exported from, or "".
  std::string source = {};
};

Json BaseJson(const BaseRecord& record);
// Reads it from an adapter's folder; nullopt if there is no retort.json (an adapter from another
// program).
std::optional<BaseRecord> ReadBaseRecord(const Path& adapter_folder);

}  // namespace retort
