// SPDX-License-Identifier: Apache-2.0
// Grammars of tests, and which texts they allow.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "grammar/compile.h"

namespace retort {

inline constexpr auto kSchema = GrammarSource::Kind::kSchema;
inline constexpr auto kRegex = GrammarSource::Kind::kRegex;
inline constexpr auto kGbnf = GrammarSource::Kind::kGbnf;
inline constexpr auto kLark = GrammarSource::Kind::kLark;

inline std::shared_ptr<const Grammar> Compiled(GrammarSource::Kind kind, const std::string& text,
                                               JsonSpace space = JsonSpace::kCompact) {
  return CompileGrammar({kind, text, space}, "test", nullptr);
}

inline void ExpectTexts(const Grammar& grammar, const std::vector<std::string>& allowed,
                        const std::vector<std::string>& refused) {
  for (const std::string& text : allowed) EXPECT_TRUE(grammar.Matches(text)) << text;
  for (const std::string& text : refused) EXPECT_FALSE(grammar.Matches(text)) << text;
}

// The message of what compiling throws; "" if it does not.
inline std::string Refusal(GrammarSource::Kind kind, const std::string& text) {
  try {
    Compiled(kind, text);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    return e.what();
  }
  return "";
}

}  // namespace retort
