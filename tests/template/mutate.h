// SPDX-License-Identifier: Apache-2.0
// Templates that are changed at random, to find what an engine does not expect.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// One of the texts with some parts cut out, doubled, taken from another, or put in from a list of
// the language's words. The same for the same state of the generator.
inline std::string Mutated(const std::vector<std::string>& texts, std::mt19937_64& random) {
  static constexpr std::string_view kWords[] = {"{{",
                                                "}}",
                                                "{%",
                                                "%}",
                                                "-%}",
                                                "{#",
                                                "#}",
                                                " for ",
                                                " in ",
                                                " if ",
                                                " else ",
                                                "endfor",
                                                "endif",
                                                " is ",
                                                " not ",
                                                "|",
                                                "tojson",
                                                "join",
                                                "map",
                                                "loop",
                                                "range(",
                                                "99999999",
                                                "namespace(",
                                                "**",
                                                "*",
                                                "~",
                                                "[",
                                                "]",
                                                "(",
                                                ")",
                                                "{",
                                                "}",
                                                "'",
                                                "\"",
                                                ".",
                                                ":",
                                                ",",
                                                "[::-1]",
                                                "recursive",
                                                "macro m()",
                                                "endmacro",
                                                "m()",
                                                "set x = ",
                                                "x",
                                                "messages",
                                                "-1",
                                                "1e308",
                                                "none",
                                                "\\",
                                                "\xff",
                                                "\xc3\xa9",
                                                "indent(",
                                                "replace('a', ",
                                                "break",
                                                "raw",
                                                "endraw",
                                                "generation",
                                                "caller()",
                                                "format(",
                                                "%s",
                                                "{}",
                                                "loop(messages)"};
  const auto below = [&](size_t n) { return n ? random() % n : 0; };
  std::string text = texts[below(texts.size())];
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(text.size() + 1), size = below(40);
    switch (below(4)) {
      case 0:
        text.erase(at, size);
        break;
      case 1:
        text.insert(at, text.substr(below(text.size() + 1), size));
        break;
      case 2: {
        const std::string& other = texts[below(texts.size())];
        text.insert(at, other.substr(below(other.size() + 1), size));
        break;
      }
      default:
        text.insert(at, kWords[below(std::size(kWords))]);
    }
  }
  return text;
}

}  // namespace retort
