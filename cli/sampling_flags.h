// SPDX-License-Identifier: Apache-2.0
// How `retort run` chooses tokens, with the API's names.
#pragma once

#include "runner/engine/sampling/options.h"

namespace CLI {  // NOLINT: the library's own
class App;
}  // namespace CLI

namespace retort {

// Everything but --max-tokens.
void AddSamplingFlags(CLI::App& command, SamplingOptions& options);

}  // namespace retort
