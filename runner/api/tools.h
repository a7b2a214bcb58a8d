// SPDX-License-Identifier: Apache-2.0
// The tools of a chat request, and which of them the model is to call.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/answer/call_reader.h"
#include "runner/api/error.h"

namespace retort {

struct ApiTools {
  enum class Choice {
    kAuto,
    kNone,
    kRequired,
    kNamed  // the tool `name`
  };

  std::string json;  // as templates get them; empty: none
  std::vector<Tool> tools;
  Choice choice = Choice::kAuto;
  std::string name;
  bool parallel = true;

  // A model that sees tools may call them, so with 'tool_choice' none it is not told of any.
  bool Shown() const { return !tools.empty() && choice != Choice::kNone; }
  // Whether the arguments of some tool are held to its schema.
  bool Strict() const {
    return Shown() &&
           std::ranges::any_of(tools, [](const Tool& tool) { return !tool.schema.empty(); });
  }
  bool Asked() const { return choice == Choice::kRequired || choice == Choice::kNamed; }
  // Behind the call that was asked for by name, another could be one of another tool.
  bool OneCall() const { return !parallel || choice == Choice::kNamed; }
};

// 'tools', 'tool_choice' and 'parallel_tool_calls'. Throws ApiError, naming the place.
ApiTools ReadTools(const Json& request);

}  // namespace retort
