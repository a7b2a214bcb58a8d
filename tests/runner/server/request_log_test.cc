// SPDX-License-Identifier: Apache-2.0
#include "runner/server/request_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "tests/formats/support.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

TEST(RequestLogText, LeavesOutWhatTellsWhoSomebodyIs) {
  EXPECT_EQ(Redacted("Write to ann@example.org today"), "Write to [redacted] today");
  EXPECT_EQ(Redacted("Call +49 (30) 123-4567 now"), "Call +[redacted] now");
  EXPECT_EQ(Redacted("card 4111 1111 1111 1111."), "card [redacted].");
  EXPECT_EQ(Redacted("in 2026, 12 of 345"), "in 2026, 12 of 345");
  EXPECT_EQ(Redacted("key sk-0123456789abcdefXYZ!"), "key [redacted]");
  EXPECT_EQ(Redacted("a word\n  and @ sign"), "a word\n  and @ sign");
  EXPECT_EQ(Redacted("incomprehensibilities are long"), "incomprehensibilities are long");
  EXPECT_EQ(Redacted("x12345678y"), "x[redacted]y");
  EXPECT_EQ(Redacted("@1@2 x"), "[redacted] x");
  EXPECT_EQ(Redacted("call 12 345 67,ann@b.c"), "call [redacted][redacted]");
  EXPECT_EQ(Redacted(""), "");
}

// One that looked at the rest of the word at each number would not end.
TEST(RequestLogText, IsReadOnce) {
  std::string numbers;
  while (numbers.size() < (4 << 20)) numbers += "1,";
  EXPECT_EQ(Redacted(numbers), numbers);
}

class RequestLogTest : public ServerTest {
 protected:
  std::vector<Json> Lines() {
    std::vector<Json> lines;
    for (const std::string& line : Split(ReadText(file_), '\n')) {
      if (!line.empty()) lines.push_back(ParseJson(line, "line"));
    }
    return lines;
  }
  static std::string Ask(const std::string& id, const std::string& body) {
    return Post(kComplete, body, Cat("Authorization: Bearer k1\r\nX-Request-Id: ", id, "\r\n"));
  }
  TemporaryFolder folder_;
  const Path file_ = folder_.path() / "log.jsonl";
};

TEST_F(RequestLogTest, HasALineForEachRequestAndNoText) {
  options_.log.file = file_;
  options_.keys = {{"k1", "shop", 0, 0, 0}};
  Start();
  const std::string body = R"({"prompt": "secret words", "max_tokens": 4})";
  const Json usage = AskJson(Ask("one", body))["usage"];
  Refused(400, ServerTest::Ask(Ask("two", R"({"prompt": 5})")));
  Refused(400, ServerTest::Ask(Ask("three", R"({"prompt": "secret words)")));
  Stop();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["id"], "one");
  EXPECT_EQ(lines[0]["key"], "shop");
  EXPECT_EQ(lines[0]["endpoint"], "completions");
  EXPECT_EQ(lines[0]["status"], 200);
  EXPECT_EQ(lines[0]["prompt_tokens"], usage["prompt_tokens"]);
  EXPECT_EQ(lines[0]["completion_tokens"], usage["completion_tokens"]);
  EXPECT_TRUE(lines[0]["error"].is_null());
  EXPECT_EQ(lines[1]["id"], "two");
  EXPECT_EQ(lines[1]["status"], 400);
  EXPECT_NE(lines[2]["error"].get<std::string>().find("not JSON"), std::string::npos);
  EXPECT_EQ(ReadText(file_).find("secret"), std::string::npos);
}

TEST_F(RequestLogTest, HasAShareOfTheAnsweredOnesAndAllOthers) {
  options_.log = {file_, 0, true};
  options_.keys = {{"k1", "shop", 2, 0, 0}};
  Start();
  EXPECT_EQ(ServerTest::Ask(Ask("one", R"({"prompt": "a", "max_tokens": 1})")).status, 200);
  Refused(400, ServerTest::Ask(Ask("two", R"({"prompt": "a", "max_tokens": 0})")));
  EXPECT_EQ(Refused(429, ServerTest::Ask(Ask("three", R"({"prompt": "a"})")))["code"],
            "rate_limit_exceeded");
  Stop();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["id"], "two");
  EXPECT_EQ(lines[1]["id"], "three");
  EXPECT_EQ(lines[1]["status"], 429);
}

TEST_F(RequestLogTest, HasRedactedTextIfAsked) {
  options_.log = {file_, 1, true};
  Start();
  EXPECT_EQ(
      ServerTest::Ask(Ask("one", R"({"prompt": "I am ann@example.org", "max_tokens": 3})")).status,
      200);
  Stop();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["prompt"], "I am [redacted]\n");
  EXPECT_EQ(lines[0]["answers"].size(), 1u);
  EXPECT_TRUE(lines[0]["key"].is_null());
}

TEST_F(RequestLogTest, HasTheBeginningOfALongText) {
  options_.log = {file_, 1, true};
  Start();
  std::string text;
  while (text.size() < 100000) text += "word ";
  Refused(400, ServerTest::Ask(Ask("one", Cat(R"({"prompt": ")", text, "\"}"))));
  Refused(404, ServerTest::Ask(Ask("two", Cat(R"({"model": ")", text, R"(", "prompt": "a"})"))));
  Stop();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  const auto prompt = lines[0]["prompt"].get<std::string>();
  EXPECT_LT(prompt.size(), 66000u);
  EXPECT_TRUE(prompt.ends_with("word [34466 bytes more]")) << prompt.substr(60000);
  EXPECT_LE(lines[1]["error"].get<std::string>().size(), 103u);
}

TEST_F(RequestLogTest, IsAnErrorIfItCannotBeOpened) {
  options_.log.file = folder_.path() / "none" / "log.jsonl";
  EXPECT_THROW(Start(), Error);
}

// A client that asks again as soon as it has its answer is not in its own way.
TEST_F(RequestLogTest, OneRequestAtATimeIsOneAfterTheOther) {
  options_.keys = {{"k1", "shop", 0, 0, 1}};
  Start();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ServerTest::Ask(Ask("x", R"({"prompt": "a", "max_tokens": 1})")).status, 200);
  }
}

}  // namespace
}  // namespace retort
