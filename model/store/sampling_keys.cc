// SPDX-License-Identifier: Apache-2.0
#include "model/store/sampling_keys.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "model/spec/config_writer.h"

namespace retort {
namespace {

constexpr struct {
  const char* folder;
  const char* gguf;  // after "general.sampling."
  bool whole;        // an integer
} kKeys[] = {{"top_k", "top_k", true},
             {"top_p", "top_p", false},
             {"min_p", "min_p", false},
             {"xtc_probability", "xtc_probability", false},
             {"xtc_threshold", "xtc_threshold", false},
             {"temperature", "temp", false},
             {"penalty_last_n", "penalty_last_n", true},
             {"repetition_penalty", "penalty_repeat", false},
             {"mirostat", "mirostat", true},
             {"mirostat_tau", "mirostat_tau", false},
             {"mirostat_eta", "mirostat_eta", false}};

std::string KeyOf(const char* name) { return Cat("general.sampling.", name); }

}  // namespace

void SamplingToGguf(const Json& generation, GgufMetadata& m) {
  for (const auto& key : kKeys) {
    const auto it = generation.find(key.folder);
    if (it == generation.end() || !it->is_number() || (key.whole && !it->is_number_integer()))
      continue;
    if (key.whole) {
      m.Set(KeyOf(key.gguf), it->get<int32_t>());
    } else {
      m.Set(KeyOf(key.gguf), static_cast<float>(it->get<double>()));
    }
  }
}

void SamplingFromGguf(const GgufMetadata& m, Json& generation) {
  for (const auto& key : kKeys) {
    const std::string name = KeyOf(key.gguf);
    if (!m.Find(name)) continue;
    generation[key.folder] = key.whole ? Json(m.Int(name)) : NumberJson(m.Number(name));
  }
}

}  // namespace retort
