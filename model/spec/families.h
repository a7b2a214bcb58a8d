// SPDX-License-Identifier: Apache-2.0
// The model families: one page each in families/, one line each in the registry (families.cc).
//
// A page says how the family's config.json and GGUF keys become an Architecture, and which names
// its tensors have where they are not the usual ones. docs/adding-a-family.md walks through one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "model/spec/config_reader.h"

namespace retort {

// A part of a model by its GGUF name without "blk.N." ("attn_q"), and what Hugging Face calls it
// within the layer ("self_attn.q_proj"). '#' stands for an expert's number.
struct PartName {
  std::string_view gguf, hugging_face;
  // The tensor that holds it where transformers 5 saved the modules of its own
  // (save_original_format=False): experts one behind the other, [experts, rows, cols]. Parts that
  // share one, gate and up, follow each other within each expert's rows in the table's order.
  std::string_view stacked = {};
};

struct Family {
  std::string_view model_type;         // in config.json
  std::string_view model_class;        // its "architectures"
  std::string_view gguf_architecture;  // general.architecture

  Architecture (*read)(const ConfigReader& config);
  // Called for the first family of a GGUF architecture; it sets Architecture::family.
  Architecture (*read_gguf)(const GgufFile& file);
  // Throws Error{kInput} for what GGUF has no place for; `where` begins the error.
  void (*write_gguf)(const Architecture& a, const std::string& where, GgufMetadata& metadata);
  std::span<const PartName> names = {};  // those that differ from the common ones
  bool interleaved_rows = false;  // GGUF stores q's and k's rows as pairs of neighbours (RowOrder)
};

// Throws Error{kInput} listing the known ones; `where` begins the error.
const Family& FamilyOfType(std::string_view model_type, const std::string& where);
const Family& FamilyOfGguf(std::string_view architecture, const std::string& where);
const Family& FamilyOf(const Architecture& architecture);

// A part's Hugging Face name within the model: "model.layers.3.self_attn.q_proj", or outside the
// blocks (layer -1) "model.embed_tokens".
std::string HuggingFaceName(const Family& family, std::string_view part, int64_t layer,
                            int64_t expert = -1);

// A part's place in PartName::stacked: the tensor's name within the model, and that the part is
// number `index` of the `count` that share each expert's rows.
struct StackedPart {
  std::string name;  // "model.layers.3.mlp.experts.gate_up_proj"; empty: it is never stacked
  int64_t index = 0, count = 1;
};
StackedPart StackedPartOf(const Family& family, std::string_view part, int64_t layer);

}  // namespace retort
