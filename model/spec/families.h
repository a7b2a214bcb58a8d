// SPDX-License-Identifier: Apache-2.0
// The model families: one file each in families/, one line each in the registry (families.cc).
//
// A family's file converts its config.json and GGUF keys to an Architecture and lists tensor names
// that differ from the common ones. See docs/adding-a-family.md for an example.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "model/spec/config_reader.h"
#include "model/spec/config_writer.h"

namespace retort {

// A part of a model: its GGUF name without "blk.N." ("attn_q") and its Hugging Face name within the
// layer ("self_attn.q_proj"). '#' stands for the expert's number.
struct PartName {
  std::string_view gguf, hugging_face;
  // The tensor that contains it if transformers 5 saved the model with save_original_format=False:
  // all experts stacked, [experts, rows, cols]. Parts that share a tensor (gate and up) follow each
  // other within each expert's rows, in the table's order.
  std::string_view stacked = {};
  std::string_view in_gguf = {};  // its name there, where that is another
};

struct Family {
  std::string_view model_type;         // in config.json
  std::string_view model_class;        // its "architectures"
  std::string_view gguf_architecture;  // general.architecture

  // config.json to an Architecture and back. Writing throws Error{kInput}, beginning with `where`,
  // for traits that config.json cannot express.
  Architecture (*read)(const ConfigReader& config);
  void (*write)(const Architecture& a, const std::string& where, Json& config);
  // Called only for the first family of a GGUF architecture; sets Architecture::family.
  Architecture (*read_gguf)(const GgufFile& file);
  // Throws Error{kInput}, beginning with `where`, for traits that GGUF cannot express.
  void (*write_gguf)(const Architecture& a, const std::string& where, GgufMetadata& metadata);
  std::span<const PartName> names = {};  // those that differ from the common ones
  bool interleaved_rows = false;         // GGUF interleaves the rows of q and k (RowOrder)
  // The GGUF keys that it honours beside the common ones, without the architecture.
  std::span<const std::string_view> gguf_keys = {};
  std::string_view layers = "model.layers.";  // what begins the names of a layer's tensors
};

// Throw Error{kInput}, beginning with `where` and listing the known families, if there is none.
const Family& FamilyOfType(std::string_view model_type, const std::string& where);
const Family& FamilyOfGguf(std::string_view architecture, const std::string& where);
const Family& FamilyOf(const Architecture& architecture);

// A part's Hugging Face name within the model: "model.layers.3.self_attn.q_proj", or outside the
// blocks (layer -1) "model.embed_tokens".
std::string HuggingFaceName(const Family& family, std::string_view part, int64_t layer,
                            int64_t expert = -1);

// The number of the layer that a Hugging Face tensor's name begins with, and what follows it:
// "model.layers.3.mlp.up_proj.weight" is 3 and ".mlp.up_proj.weight". Layer -1: of no layer.
struct LayerName {
  int64_t layer = -1;
  std::string rest;
};
LayerName LayerOfName(const Family& family, const std::string& name);
std::string NameInLayer(const Family& family, const LayerName& name);

// A part's GGUF name within its layer.
std::string_view GgufPartName(const Family& family, std::string_view part);

// A part's place in its stacked tensor (PartName::stacked): the tensor's name within the model, and
// the part's index among the `count` parts that share each expert's rows.
struct StackedPart {
  std::string name;  // "model.layers.3.mlp.experts.gate_up_proj"; empty: never stacked
  int64_t index = 0, count = 1;
};
StackedPart StackedPartOf(const Family& family, std::string_view part, int64_t layer);

}  // namespace retort
