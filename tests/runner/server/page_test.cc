// SPDX-License-Identifier: Apache-2.0
// What the page at / is sent with. What it does is tested in a browser, by tests/judges/page_test.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

int Occurrences(const std::string& text, const std::string& of) {
  int count = 0;
  for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) ++count;
  return count;
}

TEST_F(ServerTest, SendsThePageWithoutAKey) {
  options_.keys = {{"secret", "client"}};
  Start();
  const RawAnswer answer = Ask(Get("/"));
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(answer.body.find("tiny"), std::string::npos) << "it tells the model's name";
  EXPECT_EQ(Ask(Get("/v1/models")).status, 401);
  RawClient client(server_->port());
  client.Send(Get("/", "", "HEAD"));
  EXPECT_EQ(client.Read(true).headers.at("content-length"), Cat(answer.body.size()));
}

TEST_F(ServerTest, ThePolicyAllowsTheTwoInlineTextsAlone) {
  Start();
  const RawAnswer answer = Ask(Get("/"));
  const std::string& policy = answer.headers.at("content-security-policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'sha256-")) << policy;
  EXPECT_EQ(Occurrences(policy, "'sha256-"), 2);
  EXPECT_EQ(Occurrences(policy, "unsafe"), 0);
  EXPECT_EQ(Occurrences(answer.body, "<script"), 1);
  EXPECT_EQ(Occurrences(answer.body, "<style"), 1);
  EXPECT_EQ(Occurrences(answer.body, "@PAGE_"), 0);
  EXPECT_EQ(Occurrences(answer.body, "innerHTML"), 0);
  EXPECT_EQ(Occurrences(answer.body, "://"), 1) << "only the name of SVG is an address";
}

TEST_F(ServerTest, AnswersWithoutThePageAsIfItHadNone) {
  options_.page = false;
  Start();
  EXPECT_EQ(Refused(404, Ask(Get("/")))["type"], "not_found_error");
  EXPECT_EQ(Ask(Get("/health")).status, 200);
}

}  // namespace
}  // namespace retort
