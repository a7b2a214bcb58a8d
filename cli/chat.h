// SPDX-License-Identifier: Apache-2.0
// Which chat template a command uses.
#pragma once

#include <string>

#include "cli/flags.h"
#include "template/chat_template.h"

namespace retort {

// `name` as --template gives it: "auto" is the one that the adapter was trained with (`adapter` may
// be empty), else the model's own. Throws Error{kInput} when there is none, or the tokenizer lacks
// its marks.
ChatTemplate ChatFor(const std::string& name, const OpenedModel& model, const std::string& adapter);

}  // namespace retort
