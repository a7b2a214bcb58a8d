// SPDX-License-Identifier: Apache-2.0
// Searches text that arrives in pieces for stop texts. Text that may be the start of a stop text is
// held back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort {

class StopText {
 public:
  // stops: none of them empty.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Adds text and returns the text that can be shown. When a stop text is complete, this is what
  // precedes it; found() becomes true, and later calls return nothing.
  std::string Push(std::string_view text);
  // The text that was held back. Call it when there is no more text.
  std::string Flush();
  bool found() const { return found_; }
  const std::string& stop() const { return stop_; }  // the one that was found

 private:
  std::vector<std::string> stops_;
  std::string held_, stop_;
  bool found_ = false;
};

}  // namespace retort
