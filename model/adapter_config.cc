// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_config.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

// Keys that are read, or whose values are looked at below.
constexpr std::string_view kRead[] = {"peft_type",
                                      "r",
                                      "lora_alpha",
                                      "lora_dropout",
                                      "use_rslora",
                                      "target_modules",
                                      "bias",
                                      "base_model_name_or_path",
                                      "exclude_modules",
                                      "layers_pattern",
                                      "layers_to_transform",
                                      "rank_pattern",
                                      "alpha_pattern",
                                      "use_dora",
                                      "lora_bias",
                                      "modules_to_save",
                                      "trainable_token_indices",
                                      "ensure_weight_tying",
                                      "target_parameters",
                                      "init_lora_weights"};

// Keys that may have any value: they do not change what a trained adapter computes.
//   how it was made, by whom, how it was loaded
//   how it was initialised, without a change to the base (init_lora_weights says whether)
//   what the backward pass stores (velora_config); the size of a group that only QALoRA has
constexpr std::string_view kNoMatter[] = {
    "task_type",      "auto_mapping",   "peft_version",
    "revision",       "inference_mode", "megatron_core",
    "runtime_config", "merge_weights",  "ephemeral_gpu_offload",
    "eva_config",     "corda_config",   "lora_ga_config",
    "loftq_config",   "velora_config",  "qalora_group_size"};

// Descriptions of known keys that are not supported unless they are null, false or empty.
struct Setting {
  std::string_view key, what;
};
constexpr Setting kUnsupported[] = {
    {"layer_replication", "layers repeated"},
    {"fan_in_fan_out", "transposed weights"},
    {"alora_invocation_tokens", "activated LoRA"},
    {"use_qalora", "QALoRA"},
    {"use_bdlora", "block-diagonal LoRA"},
    {"arrow_config", "arrow routing"},
    {"kasa_config", "KaSA"},
    {"monteclora_config", "MonteCLoRA"},
    {"megatron_config", "layers split by Megatron"},
};

// Ends the error for an unsupported adapter.
constexpr const char* kMend =
    "; merge this adapter into its base with PEFT (merge_and_unload, save_pretrained) and use that folder";

// Null, false and empty values count as not set.
bool IsSet(const Json& value) {
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.is_null() && value != Json(false) && !(value.is_structured() && value.empty());
}

// A key of the file, escaped and shortened.
std::string Shown(const std::string& key) {
  constexpr size_t kLongest = 40;
  std::string text = DumpJson(Json(key.substr(0, kLongest)));
  return Cat("'", text.substr(1, text.size() - 2), key.size() > kLongest ? "…'" : "'");
}

// init_lora_weights. Those that are not listed change the base's weights in ways that PEFT repeats
// on loading, or are not known.
std::string ReadStart(const Json& j, const std::string& where) {
  const auto init = j.find("init_lora_weights");
  if (init == j.end() || init->is_boolean() || init->is_null()) return "kaiming";
  for (const char* harmless : {"eva", "orthogonal", "mica"}) {
    if (*init == harmless) return "kaiming";
  }
  std::string name = init->is_string() ? init->get<std::string>() : "?";
  if (IsAdapterStart(name) && name != "kaiming") return name;
  throw InputError(
      where, ": init_lora_weights ", Shown(name),
      " is not supported: it changes the base's weights too, or is not known; save the adapter with "
      "PEFT's path_initial_model_for_weight_conversion, which makes a plain LoRA of it");
}

void RefuseUnsupported(const Json& j, const std::string& where) {
  if (!j.is_object()) throw InputError(where, ": must be a JSON object");
  if (const std::string kind = GetString(j, "peft_type", where, "LORA"); kind != "LORA") {
    throw InputError(where, ": peft_type ", Shown(kind), " is not supported; supported: LORA");
  }
  const std::string bias = GetString(j, "bias", where, "none");
  if (bias != "none" && bias != "all" && bias != "lora_only")
    throw InputError(where, ": bias ", Shown(bias), " is not known; use none, all or lora_only");
  for (const auto& [key, value] : j.items()) {
    const bool known = std::ranges::find(kRead, key) != std::end(kRead) ||
                       std::ranges::find(kNoMatter, key) != std::end(kNoMatter);
    if (known || !IsSet(value)) continue;
    const auto* setting = std::ranges::find(kUnsupported, key, &Setting::key);
    throw InputError(
        where, ": ", Shown(key), " (",
        setting == std::end(kUnsupported) ? "a setting that is not known here" : setting->what,
        ") is not supported", kMend);
  }
}

std::vector<std::string> StringsOf(const Json& j, const char* key, const std::string& where) {
  std::vector<std::string> out;
  const auto it = j.find(key);
  if (it == j.end() || !it->is_array()) return out;
  for (const Json& s : *it) {
    if (!s.is_string()) throw InputError(where, ": '", key, "' must be a list of strings");
    out.push_back(s.get<std::string>());
  }
  return out;
}

int64_t CheckedRank(const Json& rank, const std::string& what) {
  if (!rank.is_number_integer() || rank < 1 || rank > 65536)
    throw InputError(what, " is ", Shown(DumpJson(rank)), "; must be in 1 ... 65536");
  return rank.get<int64_t>();
}

// rank_pattern or alpha_pattern.
template <class Number, class Check>
std::map<std::string, Number> ReadPattern(const Json& j, const char* key, const std::string& where,
                                          Check check) {
  std::map<std::string, Number> out;
  const auto it = j.find(key);
  if (it == j.end() || !IsSet(*it)) return out;
  if (!it->is_object()) throw InputError(where, ": '", key, "' must be an object of numbers");
  for (const auto& [pattern, value] : it->items())
    out[pattern] = check(value, Cat(where, ": '", key, "' of ", Shown(pattern)));
  return out;
}

double CheckedAlpha(const Json& alpha, const std::string& what) {
  if (!alpha.is_number()) throw InputError(what, " must be a number");
  return alpha.get<double>();
}

std::vector<int64_t> TokensOf(const Json& list, const std::string& where) {
  const auto wrong = [](const Json& id) {
    return !id.is_number_integer() || id < 0 || id >= 1 << 30;
  };
  if (!list.is_array() || std::any_of(list.begin(), list.end(), wrong))
    throw InputError(where, ": 'trainable_token_indices' must be lists of ids, from 0");
  return list.get<std::vector<int64_t>>();
}

// A list of ids, or an object of them by the modules' names.
std::map<std::string, std::vector<int64_t>> ReadTokens(const Json& j, const std::string& where) {
  std::map<std::string, std::vector<int64_t>> out;
  const auto it = j.find("trainable_token_indices");
  if (it == j.end() || !IsSet(*it)) return out;
  if (!it->is_object()) return {{"", TokensOf(*it, where)}};
  for (const auto& [module, list] : it->items()) out[module] = TokensOf(list, where);
  return out;
}

// What is copied or targeted of a tied pair would have to stay tied.
void RefuseTying(const Json& j, const AdapterConfig& c, const std::string& where) {
  const auto names = [](const std::vector<std::string>& members) {
    return std::ranges::any_of(members, [](const std::string& member) {
      return member.ends_with("embed_tokens") || member.ends_with("lm_head");
    });
  };
  if (!GetBool(j, "ensure_weight_tying", where, false)) return;
  if (names(c.saved_modules) || names(c.targets)) {
    throw InputError(
        where, ": 'ensure_weight_tying' (one adapter for embedding and head) is not supported",
        kMend);
  }
}

// layers_to_transform: a number or a list of them. PEFT takes it only beside a list of modules.
std::vector<int64_t> ReadLayers(const Json& j, const std::string& where) {
  const auto pattern = j.find("layers_pattern"), layers = j.find("layers_to_transform");
  const bool named =
      layers != j.end() && !layers->is_null() && !(layers->is_array() && layers->empty());
  const std::vector<std::string> patterns =
      pattern != j.end() && pattern->is_string()
          ? std::vector<std::string>{pattern->get<std::string>()}
          : StringsOf(j, "layers_pattern", where);
  const bool usual = patterns.empty() || patterns == std::vector<std::string>{""} ||
                     std::ranges::find(patterns, "layers") != patterns.end();
  if (!usual) {
    throw InputError(where, ": 'layers_pattern' ", Shown(patterns[0]),
                     " is not supported; this model's blocks are in 'layers'", kMend);
  }
  if (!named) return {};
  if (const auto targets = j.find("target_modules"); targets == j.end() || !targets->is_array()) {
    throw InputError(where, ": 'layers_to_transform' needs a list of names as 'target_modules'");
  }
  std::vector<int64_t> out;
  for (const Json& layer : layers->is_array() ? *layers : Json::array({*layers})) {
    if (!layer.is_number_integer() || layer < 0 || layer > 1 << 20) {
      throw InputError(
          where, ": 'layers_to_transform' must be a layer's number or a list of them, from 0");
    }
    out.push_back(layer.get<int64_t>());
  }
  return out;
}

}  // namespace

AdapterConfig ReadAdapterConfig(const Path& folder) {
  const Path path = folder / "adapter_config.json";
  const std::string where = path.string();
  const Json j = ReadJson(path);
  RefuseUnsupported(j, where);
  AdapterConfig c;
  c.rank = CheckedRank(GetInt(j, "r", where), Cat(where, ": 'r'"));
  c.alpha = GetNumber(j, "lora_alpha", where);
  c.dropout = GetNumber(j, "lora_dropout", where, 0);
  c.rslora = GetBool(j, "use_rslora", where, false);
  c.base_model = GetString(j, "base_model_name_or_path", where, "");
  c.ranks = ReadPattern<int64_t>(j, "rank_pattern", where, CheckedRank);
  c.alphas = ReadPattern<double>(j, "alpha_pattern", where, CheckedAlpha);
  c.layers = ReadLayers(j, where);
  c.exclude = StringsOf(j, "exclude_modules", where);
  if (const auto it = j.find("exclude_modules"); it != j.end() && it->is_string())
    c.exclude_pattern = it->get<std::string>();
  c.dora = GetBool(j, "use_dora", where, false);
  c.lora_bias = GetBool(j, "lora_bias", where, false);
  c.bias = GetString(j, "bias", where, "none");
  c.saved_modules = StringsOf(j, "modules_to_save", where);
  c.tokens = ReadTokens(j, where);
  c.parameters = StringsOf(j, "target_parameters", where);
  c.start = ReadStart(j, where);
  c.targets = StringsOf(j, "target_modules", where);
  const auto modules = j.find("target_modules");
  const bool none = modules == j.end() || !IsSet(*modules);
  if (none && !c.parameters.empty())
    c.target_pattern = "";  // parameters alone
  else if (c.targets.empty())
    c.target_pattern = GetString(j, "target_modules", where, "all-linear");
  RefuseTying(j, c, where);
  return c;
}

bool TakesPartOfBase(const std::string& start) {
  return start.starts_with("pissa") || start == "olora";
}

int64_t PissaIterations(const std::string& start) {
  constexpr std::string_view kPrefix = "pissa_niter_";
  int64_t n = 0;
  if (start.starts_with(kPrefix))
    std::from_chars(start.data() + kPrefix.size(), start.data() + start.size(), n);
  return n;
}

bool IsAdapterStart(const std::string& start) {
  for (const char* name : {"kaiming", "gaussian", "pissa", "olora"}) {
    if (start == name) return true;
  }
  const int64_t n = PissaIterations(start);
  return n >= 1 && n <= 1000 && start == Cat("pissa_niter_", n);
}

}  // namespace retort
