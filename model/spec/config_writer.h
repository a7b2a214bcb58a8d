// SPDX-License-Identifier: Apache-2.0
// Writes config.json: the counterpart of config_reader.h; used by the files in families/.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "model/spec/architecture.h"

namespace retort {

// The whole object; `torch_dtype` is the weights' type, such as "bfloat16". Throws Error{kInput},
// beginning with `where`, for traits that the family's config.json has no key for.
Json ConfigJson(const Architecture& a, const std::string& torch_dtype,
                const std::string& where = "model");

// The keys that nearly all families share (those of ReadDense). The family writes windows, biases
// and its own.
void WriteDense(const Architecture& a, const std::string& where, Json& config);

// rope_theta, partial_rotary_factor and rope_scaling, in the form that files have had since the
// beginning, which transformers of all versions reads. `width`: of what is rotated in part.
void WriteRope(const RopeSpec& rope, int64_t width, const Architecture& a, Json& config);

// attention_bias. Throws Error{kInput} if only some of q, k, v and o have biases.
void WriteAttentionBias(const Architecture& a, const std::string& where, Json& config);

// The window of the layers that have one; null if none has. Throws Error{kInput} if windows differ.
Json WindowJson(const Architecture& a, const std::string& where);
// layer_types: "sliding_attention" for layers with a window, else "full_attention".
Json LayerTypesJson(const Architecture& a);

// A number as short as its f32 value allows: GGUF files hold no more, and 1e-06 is 1e-06 again.
Json NumberJson(double value);
// The same, as an integer if it is one.
Json IntegerOrNumberJson(double value);
// Null for 0.
Json SoftCapJson(double cap);

// The settings of llama3 scaling that give these divisors of frequencies, which is all that a GGUF
// keeps of them; nullopt if there are none. Settings with the same meaning are one: low_freq_factor
// is 1.
std::optional<RopeScaling> Llama3Settings(const RopeSpec& rope);

}  // namespace retort
