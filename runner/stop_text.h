// SPDX-License-Identifier: Apache-2.0
// Looks for stop texts in text that comes piece by piece, and holds back what may become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort {

class StopText {
 public:
  // stops: none of them empty.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // More text; returns what can be shown. Once a stop text is complete the text before it is
  // returned, found() holds, and nothing else comes.
  std::string Push(std::string_view text);
  // What was held back, when no more will come.
  std::string Flush();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace retort
