// SPDX-License-Identifier: Apache-2.0
// Strangers' text in messages. Error passes every message through OneLine, so no message forges a
// second line, reaches a terminal as a command, or is longer than a screen. Quoted keeps what
// stands around a name or value readable, however long that is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace retort {

inline constexpr size_t kLongestMessage = 1000;  // bytes
inline constexpr size_t kLongestQuote = 100;

// The text on one line of at most `most` bytes (at least 60). Control characters, line separators,
// marks that have no width or change the direction of writing, and bytes that are not UTF-8 become
// escapes: \n, \x1b, \u202e. Where the text is longer, its middle is left out: "abc…[1200 bytes
// left out]…xyz". A text that went through stays as it is.
std::string OneLine(std::string_view text, size_t most = kLongestMessage);

// OneLine in quotes, 'like this': for a name, key or value out of a file or a request.
std::string Quoted(std::string_view text, size_t most = kLongestQuote);

// A request's text for a message that may be read by programs: at most 64 bytes and "..." of it,
// cut between characters, control characters as "?".
std::string Shortened(std::string_view text, size_t most = 64);

}  // namespace retort
