// SPDX-License-Identifier: Apache-2.0
// Reads config.json key by key; used by the files in families/.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "model/spec/architecture.h"
#include "model/spec/numbers.h"

namespace retort {

// Typed access to one JSON object. An absent key or null gives the fallback; without one the key is
// required. Throws Error{kInput} naming file and key.
class ConfigReader : public NumberReader {
 public:
  ConfigReader(const Json& object, std::string where)
      : object_(&object), where_(std::move(where)) {}

  bool Bool(std::string_view key, bool fallback) const;
  std::string Text(std::string_view key, std::string_view fallback) const;
  // A list of texts; empty where the key is absent.
  std::vector<std::string> Texts(std::string_view key) const;
  // A list of integers in the range; empty where the key is absent.
  std::vector<int64_t> Ints(std::string_view key, IntRange range) const;
  // A list of numbers in the range; empty where the key is absent.
  std::vector<double> Numbers(std::string_view key, NumberRange range) const;
  // An id or a list of ids, each once, without -1; empty where the key is absent.
  std::vector<int32_t> TokenIds(std::string_view key, int64_t vocab) const;
  // Whether the key is present and not null.
  bool Has(std::string_view key) const override;
  // Whether it is not there at all: transformers then takes the default of the family's
  // configuration class, while null often means "none".
  bool Lacks(std::string_view key) const;
  // The object under a key that must be present.
  ConfigReader Section(std::string_view key) const;

  const Json& object() const { return *object_; }
  const std::string& where() const override { return where_; }

 private:
  int64_t AnyInt(std::string_view key) const override;
  double AnyNumber(std::string_view key) const override;
  std::string Spelt(std::string_view key) const override;

  const Json* object_;
  std::string where_;
};

// What keys mean that a file lacks: the defaults of the family's configuration class in
// transformers 5.
struct RopeDefaults {
  double base = 10000;             // rope_theta
  int64_t max_positions = 2048;    // max_position_embeddings
  int64_t original_positions = 0;  // original_max_position_embeddings; 0: max_positions
};
struct DenseDefaults {
  int64_t kv_heads = 0;  // num_key_value_heads; 0: as many as query heads, as null always means
  int64_t head_dim = 0;  // 0: width / heads, as null always means
  double norm_epsilon = 1e-6;
  bool tied = false;
  RopeDefaults rope;
};

// The keys that nearly all families share: sizes, epsilon, vocabulary, tied embeddings, rope (of
// layer type full_attention), ids. The family reads the window and biases.
DenseConfig ReadDense(const ConfigReader& config, const DenseDefaults& defaults);

// Reads rope_scaling (older files) or rope_parameters (newer files; the entry of `layer_type` if
// they distinguish "full_attention" and "sliding_attention") for `dims` rotary dimensions, or the
// share of them that partial_rotary_factor states. Throws Error{kInput} for a setting in it that is
// not known.
RopeSpec ReadRope(const ConfigReader& config, int64_t dims, const RopeDefaults& defaults,
                  std::string_view layer_type);

// Reads hidden_act or hidden_activation.
Activation ReadActivation(const ConfigReader& config, Activation fallback);

// Throws Error{kInput} for a hidden_act other than silu.
void RequireSilu(const ConfigReader& config);

// One flag per layer: whether layer_types says "sliding_attention", or if the key is absent, whether
// it is no multiple of `pattern`, counted from 1.
std::vector<bool> ReadSliding(const ConfigReader& config, int64_t layers, int64_t pattern);

// sliding_window: `absent` where there is no such key, 0 (none) where it is null.
int64_t ReadWindow(const ConfigReader& config, int64_t absent);

// Throws Error{kInput} if layer_types gives a layer a window, for families that have none.
void RefuseSliding(const ConfigReader& config, int64_t layers);

// Reads a Hugging Face folder's config.json and, if present, generation_config.json. Throws
// Error{kInput} naming the file and a key that is missing, out of range or not supported.
Architecture ReadConfig(const Path& folder);

}  // namespace retort
