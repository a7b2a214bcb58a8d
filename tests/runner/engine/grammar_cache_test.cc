// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/grammar_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

TEST(GrammarCache, AKnownGrammarDoesNotWaitForOneThatIsCompiled) {
  const ByteTokenizer tokenizer;
  GrammarCache cache(tokenizer);
  const GrammarSource known{GrammarSource::Kind::kRegex, "ab"};
  const auto grammar = cache.Get(known, "test");
  // Thousands of texts with nothing in common take long to compile.
  std::string slow = "root ::= \"z\"";
  for (int i = 0; i < 100'000; ++i) slow += " | \"" + std::to_string(i) + "\"";
  // This thread may be held up until the other one has ended, but hardly each time.
  bool waited = true;
  for (int attempt = 0; attempt < 5 && waited; ++attempt) {
    slow += " | \"x\"";
    std::atomic<bool> begun = false, ended = false;
    std::thread other([&] {
      begun = true;
      cache.Get({GrammarSource::Kind::kGbnf, slow}, "test");
      ended = true;
    });
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(cache.Get(known, "test"), grammar);
    waited = ended;
    other.join();
  }
  EXPECT_FALSE(waited);
}

TEST(GrammarCache, AWornGrammarIsCompiledAgain) {
  const ByteTokenizer tokenizer;
  GrammarCache cache(tokenizer);
  const GrammarSource source{GrammarSource::Kind::kGbnf, "root ::= \"(\" root \")\" | \"x\""};
  const auto grammar = cache.Get(source, "test");
  EXPECT_EQ(cache.Get(source, "test"), grammar);
  // Each bracket is a frame that is kept.
  Matcher matcher(grammar);
  while (!grammar->worn()) ASSERT_TRUE(matcher.AcceptText(std::string(1000, '(')));
  const auto fresh = cache.Get(source, "test");
  EXPECT_NE(fresh, grammar);
  EXPECT_FALSE(fresh->worn());
  EXPECT_EQ(cache.Get(source, "test"), fresh);
}

}  // namespace
}  // namespace retort
