// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "bench/load/page.h"

namespace retort {
namespace {

LoadResult At(int64_t clients, double rate, double seconds) {
  LoadResult result;
  result.level.clients = clients;
  result.tokens_per_second = rate;
  result.whole = {seconds, 2 * seconds, 3 * seconds};
  result.first = {seconds / 10, seconds / 5, seconds / 4};
  result.between = {seconds / 100, seconds / 50, seconds / 40};
  result.answered = 16;
  return result;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(LoadPage, ComparesServersAndMarksKnees) {
  LoadedServer one{"http://a:1", "<tiny>", {At(1, 10, 1), At(2, 19, 1.1), At(4, 20, 4)}};
  LoadedServer other{"http://b:2", "tiny", {At(1, 5, 1), At(2, 6, 2)}};
  other.results[1].failed = 3;
  other.results[1].fault = "<full>";
  const std::string page = LoadPage({one, other}, "what was asked");
  EXPECT_TRUE(Has(page, "a:1: 2 clients"));
  EXPECT_TRUE(Has(page, "2 clients (knee)"));
  EXPECT_TRUE(Has(page, "b:2: 1 client<"));
  EXPECT_TRUE(Has(page, "tokens/s"));
  EXPECT_TRUE(Has(page, "1100 / 2200 / 3300"));
  EXPECT_TRUE(Has(page, "3 failed: &lt;full>"));
  EXPECT_FALSE(Has(page, "<tiny>") || Has(page, "<full>"));
  EXPECT_FALSE(Has(page, "http-equiv")) << "it is finished";
  EXPECT_TRUE(Has(LoadPage({one}, ""), "knee: 2 clients"));
}

TEST(LoadPage, DrawsMediansOfFewRequests) {
  LoadResult few = At(1, 10, 1);
  few.whole.p95.reset();
  few.whole.p99.reset();
  const std::string page = LoadPage({{"http://a:1", "tiny", {few}}}, "");
  EXPECT_TRUE(Has(page, "Whole answer, ms, p50"));
  EXPECT_TRUE(Has(page, "first token, ms, p95"));
  EXPECT_TRUE(Has(page, "1000 / - / -"));
}

TEST(LoadPage, NamesLevels) {
  EXPECT_EQ(LevelName({.clients = 1}), "1 client");
  EXPECT_EQ(LevelName({.clients = 8}), "8 clients");
  EXPECT_EQ(LevelName({.rate = 2.5}), "2.5 requests/s");
}

}  // namespace
}  // namespace retort
