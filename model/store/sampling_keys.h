// SPDX-License-Identifier: Apache-2.0
// How a model's makers advise to sample from it: keys of generation_config.json, and
// general.sampling.* of a GGUF. Retort keeps them for other programs; its own flags decide.
#pragma once

#include "base/json.h"
#include "formats/gguf_metadata.h"

namespace retort {

// Keys that are absent, null or no numbers are left out.
void SamplingToGguf(const Json& generation, GgufMetadata& metadata);
void SamplingFromGguf(const GgufMetadata& metadata, Json& generation);

}  // namespace retort
