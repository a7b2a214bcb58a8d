// SPDX-License-Identifier: Apache-2.0
// What a stream tells while its prompt is read: return_progress.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

class Progress : public ServerTest {
 protected:
  Progress() { options_.engine.prefill_tokens = 16; }

  // The events that tell of the prompt. `members`: of the request, beside those that ask for it.
  std::vector<Json> Reports(const std::string& path, const std::string& members,
                            const std::string& more = R"(, "return_progress": true)") {
    const RawAnswer answer = Ask(Post(path, Cat("{", members, more, R"(, "stream": true})")));
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<Json> reports;
    for (const std::string& line : Split(answer.body, '\n')) {
      if (!StartsWith(line, "data: {")) continue;
      Json event = ParseJson(line.substr(6), "event");
      if (event.contains("prompt_progress")) reports.push_back(std::move(event));
    }
    return reports;
  }
  // From what the cache has to the whole prompt, with timings of what is read.
  static void ExpectGrowing(const std::vector<Json>& reports) {
    ASSERT_GT(reports.size(), 1u);
    const Json& first = reports.front()["prompt_progress"];
    EXPECT_EQ(first["processed"], first["cache"]);
    EXPECT_EQ(first["time_ms"], 0);
    int64_t read = -1;
    for (const Json& report : reports) {
      const Json& progress = report["prompt_progress"];
      EXPECT_EQ(progress["total"], first["total"]);
      EXPECT_EQ(progress["cache"], first["cache"]);
      EXPECT_GT(progress["processed"], read);
      read = progress["processed"];
      EXPECT_EQ(report["timings"]["prompt_n"], read - first["cache"].get<int64_t>());
      EXPECT_EQ(report["timings"]["predicted_n"], 0);
    }
    EXPECT_EQ(read, first["total"]);
  }
  static constexpr const char* kAsked = R"(, "return_progress": true, "timings_per_token": true)";
};

TEST_F(Progress, EveryStreamMayTellIt) {
  Start();
  const std::string text(200, 'a');  // the last 64 tokens are read at once
  const std::string chat =
      Cat(R"("max_tokens": 2, "messages": [{"role": "user", "content": ")", text, R"("}])");
  const std::string prompt = Cat(R"("max_tokens": 2, "prompt": ")", text, "\"");
  const std::vector<Json> steps = Reports(kChat, chat, kAsked);
  EXPECT_GT(steps.size(), 5u);
  ExpectGrowing(steps);
  ExpectGrowing(Reports(kComplete, prompt, kAsked));
  ExpectGrowing(Reports("/completion", prompt, kAsked));
  const auto responses =
      Reports("/v1/responses", Cat(R"("max_output_tokens": 2, "input": ")", text, "\""), kAsked);
  ExpectGrowing(responses);
  EXPECT_EQ(responses[0]["type"], "response.in_progress");
  EXPECT_EQ(responses[0]["response"]["status"], "in_progress");
}

TEST_F(Progress, CountsWhatTheCacheHas) {
  Start();
  const std::string ask = Cat(R"("max_tokens": 2, "prompt": ")", std::string(100, 'b'), "\"");
  EXPECT_EQ(Reports(kComplete, ask)[0]["prompt_progress"]["cache"], 0);
  const std::vector<Json> again = Reports(kComplete, ask, kAsked);
  EXPECT_GT(again.at(0)["prompt_progress"]["cache"], 0);
  ExpectGrowing(again);
}

TEST_F(Progress, IsToldToThoseWhoAsk) {
  Start();
  const std::string ask = Cat(R"("max_tokens": 2, "prompt": ")", std::string(60, 'c'), "\"");
  EXPECT_TRUE(Reports(kComplete, ask, "").empty());
  EXPECT_TRUE(Reports(kComplete, ask, R"(, "return_progress": false)").empty());
  EXPECT_FALSE(Reports(kComplete, ask)[0].contains("timings"));
  // A whole answer has nothing of it.
  const Json whole = AskJson(Post(kComplete, Cat("{", ask, R"(, "return_progress": true})")));
  EXPECT_EQ(whole["usage"]["completion_tokens"], 2);
  EXPECT_FALSE(whole.contains("prompt_progress"));
}

TEST_F(Progress, TimingsOfAResponse) {
  Start();
  const std::string ask = R"({"input": "Hello", "max_output_tokens": 3, "stream": true)";
  const RawAnswer timed = Ask(Post("/v1/responses", ask + R"(, "timings_per_token": true})"));
  EXPECT_NE(timed.body.find("predicted_per_second"), std::string::npos);
  const RawAnswer plain = Ask(Post("/v1/responses", ask + "}"));
  EXPECT_EQ(plain.body.find("predicted_per_second"), std::string::npos);
}

}  // namespace
}  // namespace retort
