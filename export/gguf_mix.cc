// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_mix.h"

#include <algorithm>
#include <span>

#include "base/strings.h"
#include "model/spec/architecture.h"
#include "model/spec/families.h"

namespace retort {
namespace {

using enum MixLayers;  // for the table

// By llama.cpp's llama-quant.cpp, in the terms of gguf_mix.h.
constexpr GgufMix kMixes[] = {
    {.name = "q2_k",
     .file_type = 10,
     .format = "q2_k",
     .value = {{kGrouped, "q4_k"}, {kAll, "q3_k"}},
     .down = {{kAll, "q3_k"}},
     .out = {kAll, "q3_k"},
     .out_of_eight = true,
     .falcon_down = {{kAll, "q3_k"}}},
    {.name = "q2_k_s",
     .file_type = 21,
     .format = "q2_k",
     .value = {{kGrouped, "q4_k"}},
     .down = {{kFirstEighth, "q4_k"}},
     .falcon_down = {{kFirstEighth, "q4_k"}}},
    {.name = "q3_k_s", .file_type = 11, .format = "q3_k", .out_of_eight = true},
    {.name = "q3_k_m",
     .file_type = 12,
     .format = "q3_k",
     .value = {{kFirstTwo, "q5_k"}, {kAll, "q4_k"}},
     .down = {{kFirstSixteenth, "q5_k"}, {kAll, "q4_k"}},
     .out = {kAll, "q4_k"},
     .out_of_eight = true,
     .falcon_down = {{kFirstSixteenth, "q5_k"}, {kMost, "q4_k"}}},
    {.name = "q3_k_l",
     .file_type = 13,
     .format = "q3_k",
     .value = {{kAll, "q5_k"}},
     .down = {{kAll, "q5_k"}},
     .out = {kAll, "q5_k"},
     .falcon_down = {{kAll, "q4_k"}},
     .falcon_out = {kAll, "q4_k"}},
    {.name = "q4_k_s",
     .file_type = 14,
     .format = "q4_k",
     .value = {{kFirstFour, "q5_k"}},
     .down = {{kFirstEighth, "q5_k"}},
     .out_of_eight = true},
    {.name = "q4_k_m",
     .file_type = 15,
     .format = "q4_k",
     .value = {{kMost, "q6_k"}},
     .down = {{kMost, "q6_k"}},
     .out_of_eight = true,
     .falcon_down = {{kFirstSixteenth, "q6_k"}, {kMost, "q5_k"}}},
    {.name = "q5_k_s", .file_type = 16, .format = "q5_k"},
    {.name = "q5_k_m",
     .file_type = 17,
     .format = "q5_k",
     .value = {{kMost, "q6_k"}},
     .down = {{kMost, "q6_k"}},
     .falcon_down = {{kMost, "q6_k"}}},
    {.name = "q6_k", .file_type = 18, .format = "q6_k"},
    {.name = "iq4_nl",
     .file_type = 25,
     .format = "iq4_nl",
     .value = {{kGrouped, "q5_k"}},
     .down = {{kFirstEighthUnweighted, "q5_k"}},
     .out_of_eight = true,
     .falcon_down = {{kFirstEighthUnweighted, "q5_k"}}},
    {.name = "iq4_xs",
     .file_type = 30,
     .format = "iq4_xs",
     .value = {{kGrouped, "q5_k"}},
     .down = {{kFirstEighthUnweighted, "q5_k"}},
     .out_of_eight = true,
     .falcon_down = {{kFirstEighthUnweighted, "q5_k"}}},
    {.name = "tq1_0", .file_type = 36, .format = "tq1_0", .table = "q4_k"},
    {.name = "tq2_0", .file_type = 37, .format = "tq2_0", .table = "q4_k"},
    {.name = "mxfp4_moe", .file_type = 38, .format = "mxfp4", .flat = "q8_0", .head = "q8_0"},
};

// Other names of mixes.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}};

int64_t GroupedHeads(const Architecture& model) {
  const AttentionSpec& a = model.blocks.front().attention;
  return a.kv_heads > 0 ? a.heads / a.kv_heads : 0;
}

bool Covers(MixLayers layers, const Architecture& model, const MixPlace& place) {
  const int64_t i = place.layer, n = place.layers;
  switch (layers) {
    case kNone:
      return false;
    case kAll:
      return true;
    case kFirstTwo:
      return i < 2;
    case kFirstFour:
      return i < 4;
    case kFirstSixteenth:
      return i < n / 16;
    case kFirstEighth:
      return i < n / 8;
    case kFirstEighthUnweighted:
      return !place.weighted && i < n / 8;
    case kMost:
      return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case kGrouped:
      return GroupedHeads(model) >= 4;
  }
  return false;
}

std::string_view Chosen(std::span<const MixRule> rules, std::string_view otherwise,
                        const Architecture& model, const MixPlace& place) {
  const auto rule =
      std::ranges::find_if(rules, [&](const MixRule& r) { return Covers(r.layers, model, place); });
  return rule == rules.end() ? otherwise : rule->format;
}

// llama.cpp spends more on the values of models that it takes for those of 70 billion parameters.
bool IsSeventy(const Architecture& model, std::string_view architecture) {
  if (model.layers() != 80) return false;
  return architecture == "qwen2" || architecture == "olmo" ||
         (architecture == "llama" && GroupedHeads(model) > 1);
}

int64_t ExpertsOf(const Architecture& model) {
  int64_t most = 0;
  for (const BlockSpec& b : model.blocks)
    most = std::max(most, b.mlp.experts ? b.mlp.experts->count : 0);
  return most;
}

}  // namespace

const GgufMix* FindMix(std::string_view name) {
  for (const auto& [alias, mix] : kAliases) {
    if (name == alias) name = mix;
  }
  const auto* mix = std::ranges::find(kMixes, name, &GgufMix::name);
  return mix == std::end(kMixes) ? nullptr : mix;
}

std::vector<std::string> GgufTypeNames() {
  std::vector<std::string> names = GgufFormatNames();
  for (const GgufMix& mix : kMixes) {
    if (std::ranges::find(names, mix.name) == names.end()) names.emplace_back(mix.name);
  }
  return names;
}

bool IsValueName(std::string_view gguf_name) {
  constexpr std::string_view kNames[] = {"attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"};
  return std::ranges::any_of(
      kNames, [&](std::string_view name) { return gguf_name.find(name) != gguf_name.npos; });
}

WeightFormat FormatInMix(const GgufMix& mix, const Architecture& model, const MixPlace& place) {
  const auto is = [&](std::string_view part) {
    return place.gguf_name.find(part) != std::string_view::npos;
  };
  const std::string_view architecture = FamilyOf(model).gguf_architecture;
  const bool falcon = architecture == "falcon", eight = ExpertsOf(model) == 8;
  const bool table = place.gguf_name == "token_embd.weight";
  std::string_view format = mix.format;
  if (place.gguf_name == "output.weight" || (table && model.head.tied)) {
    const bool fits = place.cols % TraitsOf(FormatNamed(mix.format)).row_step() == 0;
    return FormatNamed(falcon || !fits ? "q8_0" : mix.head);
  }
  if (!place.stacked && !mix.flat.empty()) {
    format = mix.flat;
  } else if (table) {
    if (!mix.table.empty()) format = mix.table;
  } else if (IsValueName(place.gguf_name)) {
    format = Chosen(mix.value, format, model, place);
    if (IsSeventy(model, architecture) && (format == "q3_k" || format == "q4_k")) format = "q5_k";
    if (eight) format = "q8_0";
  } else if (is("attn_k.weight")) {
    if (eight) format = "q8_0";
  } else if (is("ffn_down")) {
    format = Chosen(falcon ? mix.falcon_down : mix.down, format, model, place);
  } else if (is("attn_output.weight")) {
    MixRule rule = falcon ? mix.falcon_out : mix.out;
    if (eight && !falcon) rule = {mix.out_of_eight ? MixLayers::kAll : MixLayers::kNone, "q5_k"};
    format = Chosen({&rule, 1}, format, model, place);
  }
  return FormatNamed(format);
}

}  // namespace retort
