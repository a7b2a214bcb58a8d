// SPDX-License-Identifier: Apache-2.0
// The page at /: a chat in the browser. It is one file that loads nothing, and its policy lets it
// reach no other server and make no HTML of what a model writes.
#pragma once

#include <string_view>

#include "runner/http/message.h"

namespace retort {

extern const std::string_view kPageText;  // runner/page/, put together by CMake

HttpAnswer PageAnswer();

}  // namespace retort
