// SPDX-License-Identifier: Apache-2.0
// Derives a format of calls from texts in which a template has written known ones.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "template/calls/call_format.h"

namespace retort {

// The calls that are written: CallShape looks for these texts.
struct ProbeCalls {
  std::array<std::string, 2> names, ids;
  std::array<std::string, 2> keys, values;  // of each call's two arguments
};

// one, two: what a template writes as an answer that is the first call, or both; without the mark
// that ends the turn. two is empty if the template takes only one call. nullopt: in none of the
// shapes that are known.
std::optional<CallFormat> CallShape(const ProbeCalls& probe, const std::string& one,
                                    const std::string& two);

}  // namespace retort
