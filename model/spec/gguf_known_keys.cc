// SPDX-License-Identifier: Apache-2.0
// What is known of a GGUF's keys "ARCHITECTURE.KEY". The lists name what is known, so that a key of
// a later llama.cpp is an error and not a model that computes something else.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

// Honoured for every architecture; a family names its own (Family::gguf_keys).
constexpr std::string_view kHonoured[] = {"block_count",
                                          "context_length",
                                          "embedding_length",
                                          "feed_forward_length",
                                          "attention.head_count",
                                          "attention.head_count_kv",
                                          "attention.key_length",
                                          "rope.dimension_count",
                                          "attention.layer_norm_rms_epsilon",
                                          "rope.freq_base",
                                          "rope.scaling.type",
                                          "rope.scaling.factor",
                                          "rope.scale_linear",
                                          "attention.sliding_window",
                                          "attention.layer_norm_epsilon",
                                          "rope.scaling.attn_factor",
                                          "rope.scaling.original_context_length",
                                          "rope.scaling.yarn_attn_factor",
                                          "rope.scaling.yarn_beta_fast",
                                          "rope.scaling.yarn_beta_slow"};

// These change nothing that Retort computes for these architectures.
constexpr std::string_view kInformative[] = {"vocab_size",  // the embedding's rows count
                                             "tensor_data_layout", "rope.scaling.finetuned",
                                             "pooling_type"};

// Known, and supported with these values alone: a switch that is off, a factor that is 1.
constexpr struct {
  std::string_view key;
  double value, other;
} kNeutral[] = {
    {"attention.causal", 1, 1},
    {"attention.clamp_kqv", 0, 0},
    {"attention.max_alibi_bias", 0, 0},
    {"attention.scale", 0, 0},
    {"attention.shared_kv_layers", 0, 0},
    {"attention.sliding_window_pattern", 0, 1},
    {"attn_logit_softcapping", 0, 0},
    {"embedding_scale", 0, 1},
    {"expert_count", 0, 0},
    {"expert_feed_forward_length", 0, 0},
    {"expert_gating_func", 0, 1},  // 1: softmax
    {"expert_group_count", 0, 1},
    {"expert_group_used_count", 0, 1},
    {"expert_shared_count", 0, 0},
    {"expert_shared_feed_forward_length", 0, 0},
    {"expert_used_count", 0, 0},
    {"expert_weights_norm", 1, 1},
    {"expert_weights_scale", 0, 1},
    {"final_logit_softcapping", 0, 0},
    {"interleave_moe_layer_step", 0, 1},
    {"leading_dense_block_count", 0, 0},
    {"logit_scale", 0, 1},
    {"nextn_predict_layers", 0, 0},
    {"residual_scale", 0, 1},
    {"rope.scaling.yarn_ext_factor", 1, -1},
    {"rope.scaling.yarn_log_multiplier", 0, 0},
    {"router_logit_softcapping", 0, 0},
    {"use_parallel_residual", 0, 0},
};

// Known, and supported where it repeats another key, which may be absent if the architecture's
// other sizes imply it.
constexpr struct {
  std::string_view key, repeated;
} kRepeated[] = {
    {"attention.value_length", "attention.key_length"},
    {"attention.key_length_swa", "attention.key_length"},
    {"attention.value_length_swa", "attention.key_length"},
    {"rope.dimension_count_swa", "rope.dimension_count"},
};

std::optional<double> Plain(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> std::optional<double> {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(v)>>)
          return static_cast<double>(v);
        return std::nullopt;
      },
      value);
}

// The width of a head, which the lengths of keys and values and the rotary dimensions default to.
std::optional<double> HeadWidth(const GgufMetadata& m, const std::string& architecture) {
  const auto number = [&](const char* key) -> std::optional<double> {
    const GgufValue* value = m.Find(Cat(architecture, key));
    return value ? Plain(*value) : std::nullopt;
  };
  if (const auto stated = number(".attention.key_length")) return stated;
  const auto width = number(".embedding_length"), heads = number(".attention.head_count");
  if (!width || !heads || *heads < 1) return std::nullopt;
  return std::floor(*width / *heads);
}

class KeyCheck {
 public:
  explicit KeyCheck(const GgufFile& file)
      : m_(file.metadata),
        where_(file.tensors.where()),
        architecture_(m_.Text("general.architecture")),
        family_(FamilyOfGguf(architecture_, where_)) {}

  void CheckAll() const {
    if (const std::string type = m_.Text("general.type", "model"); type != "model")
      throw InputError(where_, ": general.type is ", Quoted(type), ", expected a model");
    const std::string prefix = architecture_ + ".";
    for (const auto& [key, value] : m_.entries()) {
      if (StartsWith(key, prefix)) Check(std::string_view(key).substr(prefix.size()), value);
    }
  }

 private:
  void Check(std::string_view key, const GgufValue& value) const {
    const auto named = [key](const auto& known) { return known.key == key; };
    if (Any(kHonoured, key) || Any(kInformative, key) || Any(family_.gguf_keys, key)) return;
    const auto number = Plain(value);
    if (const auto* neutral = std::find_if(std::begin(kNeutral), std::end(kNeutral), named);
        neutral != std::end(kNeutral)) {
      if (number == neutral->value || number == neutral->other) return;
      return Refuse(key, value, "which is not supported");
    }
    if (const auto* other = std::find_if(std::begin(kRepeated), std::end(kRepeated), named);
        other != std::end(kRepeated)) {
      const GgufValue* stated = m_.Find(Cat(architecture_, ".", other->repeated));
      if (number && number == (stated ? Plain(*stated) : HeadWidth(m_, architecture_))) return;
      return Refuse(key, value, Cat("which is supported only if it is ", other->repeated));
    }
    Refuse(key, value, "a key that is not known and may change what the model computes");
  }

  static bool Any(std::span<const std::string_view> known, std::string_view key) {
    return std::find(known.begin(), known.end(), key) != known.end();
  }

  void Refuse(std::string_view key, const GgufValue& value, const std::string& why) const {
    throw InputError(where_, ": metadata ", Quoted(Cat(architecture_, ".", key)), " is ",
                     ValueText(value), ", ", why);
  }

  const GgufMetadata& m_;
  const std::string where_, architecture_;
  const Family& family_;
};

}  // namespace

void CheckGgufKeys(const GgufFile& file) { KeyCheck(file).CheckAll(); }

}  // namespace retort
