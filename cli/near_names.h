// SPDX-License-Identifier: Apache-2.0
// What a user probably meant by the name of a command or flag that does not exist.
#pragma once

#include <string>

namespace CLI {  // NOLINT: the library's own
class App;
}

namespace retort {

// Throws Error{kInput} if the first argument is no command of `app`, with the one that was probably
// meant: "'finetune' is no command; did you mean 'train'? Commands: bench, eval ...".
void CheckCommand(const CLI::App& app, int argc, const char* const* argv);

// For arguments that cannot be parsed, a whole message: "train: flag '--runn' is not known; did you
// mean '--run'? See `retort --help`". "" if all flags are known.
std::string UnknownFlag(const CLI::App& app, int argc, const char* const* argv);

}  // namespace retort
