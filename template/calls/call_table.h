// SPDX-License-Identifier: Apache-2.0
// Formats of calls that chat templates tell the model to use, but do not write themselves.
#pragma once

#include <string_view>
#include <vector>

#include "template/calls/call_format.h"

namespace retort {

// The formats that a text names by their marks. `instructions`: what a template writes when there
// are tools and not otherwise.
std::vector<CallFormat> FormatsNamedIn(std::string_view instructions);

// Formats that models write beside the one of their template, whose text mentions them.
std::vector<CallFormat> FurtherFormats(std::string_view jinja, const CallFormat& own);

}  // namespace retort
