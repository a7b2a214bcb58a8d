// SPDX-License-Identifier: Apache-2.0
// Reads rope_scaling (older files) and rope_parameters (newer ones) of a config.json.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "model/spec/config_reader.h"

namespace retort {
namespace {

using Kind = RopeScaling::Kind;

// The types, and the settings that each honours. A setting of another type that a file states is an
// error, since it may change what the model computes.
struct Type {
  std::string_view name;
  Kind kind;
  std::vector<std::string_view> keys;
};
const Type kTypes[] = {
    {"default", Kind::kNone, {"factor", "original_max_position_embeddings"}},
    {"linear", Kind::kLinear, {"factor", "original_max_position_embeddings"}},
    {"dynamic", Kind::kDynamic, {"factor", "original_max_position_embeddings"}},
    {"llama3",
     Kind::kLlama3,
     {"factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"}},
    {"yarn",
     Kind::kYarn,
     {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
      "mscale", "mscale_all_dim", "truncate"}},
    {"longrope",
     Kind::kLongRope,
     {"factor", "original_max_position_embeddings", "attention_factor", "short_factor",
      "long_factor"}},
};
constexpr std::string_view kCommonKeys[] = {"rope_type", "type", "rope_theta",
                                            "partial_rotary_factor", "finetuned"};

const Type& TypeOf(const ConfigReader& rope) {
  std::string name = rope.Text("rope_type", rope.Text("type", "default"));
  if (name == "su") name = "longrope";  // its name in the first Phi-3 files
  std::vector<std::string> known;
  for (const Type& type : kTypes) {
    if (type.name == name) return type;
    known.emplace_back(type.name);
  }
  throw InputError(rope.where(), " of type ", Quoted(name),
                   " is not supported; supported: ", Join(known, ", "));
}

void CheckKeys(const ConfigReader& rope, const Type& type) {
  for (const auto& [key, value] : rope.object().items()) {
    if (value.is_null() || std::ranges::find(type.keys, key) != type.keys.end() ||
        std::ranges::find(kCommonKeys, key) != std::end(kCommonKeys))
      continue;
    throw InputError(rope.where(), ": ", Quoted(key), " is not supported for type '", type.name,
                     "'");
  }
}

double YarnAmplitude(const ConfigReader& rope, double factor) {
  const auto grown = [&](double share) {
    return factor <= 1 ? 1 : 0.1 * share * std::log(factor) + 1;
  };
  const double mscale = rope.Number("mscale", {0, kAmplitudes.most}, 0),
               all = rope.Number("mscale_all_dim", {0, kAmplitudes.most}, 0);
  return mscale > 0 && all > 0 ? grown(mscale) / grown(all) : grown(1);
}

// The ratio by which a model's context was lengthened, where the section does not state it.
double Lengthening(const ConfigReader& rope, int64_t positions, int64_t original) {
  return rope.Number("factor", kRopeFactors,
                     static_cast<double>(positions) / static_cast<double>(original));
}

std::vector<float> Factors(const ConfigReader& rope, const char* key) {
  std::vector<float> out;
  for (const double factor : rope.Numbers(key, kRopeDivisors))
    out.push_back(static_cast<float>(factor));
  return out;
}

RopeScaling ReadScaling(const ConfigReader& rope, const ConfigReader& config,
                        const RopeDefaults& defaults) {
  const Type& type = TypeOf(rope);
  CheckKeys(rope, type);
  RopeScaling out;
  out.kind = type.kind;
  if (out.kind == Kind::kNone) {
    if (rope.Number("factor", kRopeFactors, 1) != 1)
      throw InputError(rope.where(), ": has a factor but no type; state it in 'rope_type'");
    return out;
  }
  const int64_t whole = config.Int("max_position_embeddings", kPositions, defaults.max_positions);
  const int64_t usual = defaults.original_positions > 0 ? defaults.original_positions : whole;
  out.original_max_positions =
      rope.Int("original_max_position_embeddings", kPositions,
               config.Int("original_max_position_embeddings", kPositions, usual));
  if (out.kind == Kind::kDynamic) out.original_max_positions = whole;
  if (out.kind == Kind::kLlama3) {
    out.low_freq_factor = rope.Number("low_freq_factor", kBlendFactors);
    out.high_freq_factor = rope.Number("high_freq_factor", kBlendFactors);
    out.original_max_positions = rope.Int("original_max_position_embeddings", kPositions);
  }
  const bool lengthened = out.kind == Kind::kYarn || out.kind == Kind::kLongRope;
  out.factor = lengthened ? Lengthening(rope, whole, out.original_max_positions)
                          : rope.Number("factor", kRopeFactors);
  if (out.kind == Kind::kYarn) {
    out.beta_fast = rope.Number("beta_fast", kBlendFactors, out.beta_fast);
    out.beta_slow = rope.Number("beta_slow", kBlendFactors, out.beta_slow);
    out.truncate = rope.Bool("truncate", true);
    out.amplitude = YarnAmplitude(rope, out.factor);
  } else if (out.kind == Kind::kLongRope) {
    out.factors = Factors(rope, "short_factor"), out.long_factors = Factors(rope, "long_factor");
    const auto original = static_cast<double>(out.original_max_positions);
    out.amplitude = out.factor <= 1 ? 1 : std::sqrt(1 + std::log(out.factor) / std::log(original));
  }
  out.amplitude = rope.Number("attention_factor", kAmplitudes, out.amplitude);
  return out;
}

}  // namespace

RopeSpec ReadRope(const ConfigReader& j, int64_t dims, const RopeDefaults& defaults,
                  std::string_view layer_type) {
  RopeSpec rope{j.Number("rope_theta", kRopeBases, defaults.base), dims, {}};
  double share = j.Number("partial_rotary_factor", kShares, 1);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!j.Has(key)) continue;
    ConfigReader reader = j.Section(key);
    if (reader.Has(layer_type)) reader = reader.Section(layer_type);
    rope.base = reader.Number("rope_theta", kRopeBases, rope.base);
    share = reader.Number("partial_rotary_factor", kShares, share);
    rope.scaling = ReadScaling(reader, j, defaults);
    break;
  }
  rope.dims = static_cast<int64_t>(static_cast<double>(dims) * share);
  return rope;
}

}  // namespace retort
