// SPDX-License-Identifier: Apache-2.0
// The frame of the pages that Retort writes: one file, light and dark, nothing loaded.
#pragma once

#include <string>

namespace retort {

// title and status, a line below it, are texts; head and body are HTML.
std::string HtmlPage(const std::string& title, const std::string& status, const std::string& head,
                     const std::string& body);

}  // namespace retort
