// SPDX-License-Identifier: Apache-2.0
// What a server tells of guesses: its clients get the same answers, and the figures.
#include <nlohmann/json.hpp>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

class ServerDraftTest : public ServerTest {
 protected:
  static std::string Question(bool stream) {
    return Post(kComplete, Cat(R"({"prompt": "go on and on and on and", "max_tokens": 60,)",
                               R"( "temperature": 0.4, "seed": 3, "stream": )", stream, "}"));
  }
  int64_t Metric(const std::string& name) {
    const std::string text = Ask(Get("/metrics")).body;
    const size_t at = text.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return std::stoll(text.substr(at + name.size() + 2));
  }
};

TEST_F(ServerDraftTest, TimingsAndMetricsCountGuesses) {
  model_->config.ends = {tokenizer_.vocab_size() + 7};  // none
  Start();
  const Json plain = AskJson(Question(false));
  EXPECT_FALSE(plain["timings"].contains("draft_n"));
  EXPECT_EQ(Metric("retort_drafted_tokens_total"), 0);
  Stop();
  for (const bool ngram : {true, false}) {
    options_.engine.draft = {.ngram = ngram, .model = ngram ? nullptr : model_.get()};
    Start();
    const Json drafted = AskJson(Question(false));
    EXPECT_EQ(drafted["choices"], plain["choices"]);
    EXPECT_EQ(drafted["usage"], plain["usage"]);
    const auto made = drafted["timings"]["draft_n"].get<int64_t>();
    const auto accepted = drafted["timings"]["draft_n_accepted"].get<int64_t>();
    EXPECT_GT(made, 0);
    EXPECT_GE(made, accepted);
    if (!ngram) {
      EXPECT_EQ(made, accepted) << "it drafts for itself";
    }
    EXPECT_TRUE(Eventually([&](const EngineCounts& c) { return c.drafted_tokens == made; }));
    EXPECT_EQ(Metric("retort_drafted_tokens_total"), made);
    EXPECT_EQ(Metric("retort_accepted_draft_tokens_total"), accepted);
    EXPECT_GT(Metric("llamacpp:spec_decode_num_drafts_total"), 0);
    EXPECT_LE(Metric("llamacpp:spec_decode_num_drafts_total"), made);
    const std::vector<Json> events = Events(Ask(Question(true)).body);
    std::string text;
    for (const Json& event : events) text += event["choices"][0]["text"].get<std::string>();
    EXPECT_EQ(text, plain["choices"][0]["text"]);
    EXPECT_EQ(events.back()["timings"]["draft_n"], made);
    Stop();
  }
}

}  // namespace
}  // namespace retort
