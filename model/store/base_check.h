// SPDX-License-Identifier: Apache-2.0
// Whether an adapter is used with the base that it was trained on.
#pragma once

#include <string>
#include <vector>

#include "model/adapter.h"
#include "model/model_files.h"

namespace retort {

// Compares the fingerprint in the adapter's retort.json with the model's, and with that of the
// model that a GGUF was exported from. Throws Error{kInput} when the adapter was trained on another
// base. Returns notes for the user, one line each: why nothing could be compared (an adapter
// without a fingerprint, as PEFT writes it, and the name of the base that it gives; a GGUF that
// does not say where it comes from), or that the adapter was trained on the same base in another
// format, or that what was taken out of the base is only known nearly (pissa_niter_N). threads: of
// the hashing; 0: all.
std::vector<std::string> CheckAdapterBase(const Path& adapter, const ModelFiles& base,
                                          int threads = 0);

// Whether every B is 0, so that the adapter changes nothing.
bool IsZero(const Adapter& adapter, Backend& backend);
// The note on such an adapter.
std::string ZeroAdapterNote(const Path& adapter);

}  // namespace retort
