// SPDX-License-Identifier: Apache-2.0
// A rope's scaling in a GGUF: keys "ARCHITECTURE.rope.scaling...", and tensors of factors.
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "model/spec/gguf_config.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

using Kind = RopeScaling::Kind;

// Of yarn, where a file states none: llama.cpp's, and the paper's.
double UsualAmplitude(const RopeScaling& s) {
  return s.kind == Kind::kYarn && s.factor > 1 ? 0.1 * std::log(s.factor) + 1 : 1;
}

// rope.scaling.factor, or rope.scale_linear in files of 2023. llama.cpp takes 0 for 1.
double FactorOf(const GgufKeys& keys) {
  const char* key = keys.Has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const double factor = keys.Number(key, {0, kRopeFactors.most}, 1);
  return factor == 0 ? 1 : keys.Number(key, kRopeFactors, 1);
}

// llama.cpp takes linear for the type of a file that states none.
Kind KindOf(const GgufKeys& keys) {
  const std::string type = keys.Text("rope.scaling.type", "linear");
  if (type == "none") return Kind::kNone;
  if (type == "linear") return Kind::kLinear;
  if (type == "yarn") return Kind::kYarn;
  if (type == "longrope") return Kind::kLongRope;
  throw InputError(keys.where(), ": ", keys.architecture(), ".rope.scaling.type ", Quoted(type),
                   " is not supported; supported: none, linear, yarn, longrope");
}

std::vector<float> ReadFactors(const GgufFile& file, const char* name, int64_t dims) {
  const Weight w = file.tensors.Load(name, {dims / 2});
  std::vector<float> factors(static_cast<size_t>(dims / 2));
  DecodeRow(w, 0, 0, dims / 2, factors.data());
  for (const float divisor : factors)
    CheckRange(divisor, kRopeDivisors, file.tensors.where(), Cat("a value of tensor '", name, "'"));
  return factors;
}

}  // namespace

RopeScaling ReadRopeScaling(const GgufFile& file, int64_t dims) {
  const GgufKeys keys(file);
  RopeScaling out;
  out.kind = KindOf(keys);
  out.factor = out.kind == Kind::kNone ? 1 : FactorOf(keys);
  if (keys.HasTensor("rope_freqs.weight")) {
    out.kind = Kind::kFactors;
    out.factors = ReadFactors(file, "rope_freqs.weight", dims);
    for (float& divisor : out.factors) divisor *= static_cast<float>(out.factor);
    out.factor = 1;
  } else if (out.kind == Kind::kLongRope || keys.HasTensor("rope_factors_long.weight")) {
    out.kind = Kind::kLongRope;
    out.long_factors = ReadFactors(file, "rope_factors_long.weight", dims);
    out.factors = ReadFactors(file, "rope_factors_short.weight", dims);
  } else if (out.kind == Kind::kLinear && out.factor == 1) {
    out.kind = Kind::kNone;
  }
  if (out.kind == Kind::kYarn || out.kind == Kind::kLongRope) {
    out.original_max_positions = keys.Int("rope.scaling.original_context_length", kPositions,
                                          keys.Int("context_length", kPositions, 2048));
    out.beta_fast = keys.Number("rope.scaling.yarn_beta_fast", kBlendFactors, out.beta_fast);
    out.beta_slow = keys.Number("rope.scaling.yarn_beta_slow", kBlendFactors, out.beta_slow);
  }
  out.amplitude = UsualAmplitude(out) * keys.Number("rope.scaling.attn_factor", kAmplitudes, 1);
  if (out.kind == Kind::kYarn && !keys.Has("rope.scaling.attn_factor"))
    out.amplitude = keys.Number("rope.scaling.yarn_attn_factor", kAmplitudes, out.amplitude);
  return out;
}

void WriteRopeScaling(const RopeSpec& rope, const std::string& architecture,
                      const std::string& where, GgufMetadata& m) {
  const RopeScaling& s = rope.scaling;
  const auto key = [&](const char* name) { return Cat(architecture, ".rope.scaling.", name); };
  const auto refuse = [&](const char* what) {
    throw InputError(where, ": ", what, " cannot be written to a GGUF; use the folder itself");
  };
  switch (s.kind) {
    case Kind::kNone:
    case Kind::kLlama3:  // tensor rope_freqs
    case Kind::kFactors:
    case Kind::kLongRope:  // tensors, and the keys of the families that have it
      return;
    case Kind::kDynamic:
      return refuse("a rope whose scaling is dynamic");
    case Kind::kLinear:
      m.Set(key("type"), std::string("linear"));
      break;
    case Kind::kYarn:
      if (s.beta_fast != 32 || s.beta_slow != 1 || !s.truncate)
        refuse("YaRN with other betas than 32 and 1, or without truncation");
      m.Set(key("type"), std::string("yarn"));
      m.Set(key("original_context_length"), static_cast<uint32_t>(s.original_max_positions));
      if (const double share = s.amplitude / UsualAmplitude(s); std::abs(share - 1) > 1e-6)
        m.Set(key("attn_factor"), static_cast<float>(share));
      break;
  }
  m.Set(key("factor"), static_cast<float>(s.factor));
}

std::vector<RopeTensor> RopeTensors(const RopeSpec& rope) {
  if (rope.scaling.kind == Kind::kLlama3) return {{"rope_freqs.weight", RopeFactors(rope)}};
  if (rope.scaling.kind == Kind::kLongRope) {
    return {{"rope_factors_long.weight", rope.scaling.long_factors},
            {"rope_factors_short.weight", rope.scaling.factors}};
  }
  return {};
}

}  // namespace retort
