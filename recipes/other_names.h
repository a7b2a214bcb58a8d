// SPDX-License-Identifier: Apache-2.0
// The names that PEFT, TRL, Axolotl and LLaMA-Factory give to what a recipe's keys say.
#pragma once

#include <string>
#include <string_view>

namespace retort {

// What a recipe has for another program's key, for "is not known; ...":
//   learning_rate -> "here it is 'train.lr'"
//   load_in_4bit  -> "here it is 'model.weights' (nf4 is the default)"
//   output_dir    -> "here it is the flag --run"
// "" if the key is none of these programs'. Case and hyphens do not matter.
std::string HereItIs(std::string_view other);

// The recipe's key ("train.lr") for another program's name or for the last part of one of our own
// ("lr"), or "" if there is none.
std::string KeyMeant(std::string_view name);

}  // namespace retort
