// SPDX-License-Identifier: Apache-2.0
// Sixteen clients of a server, each with two hundred requests of every kind. Also run under
// ThreadSanitizer.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr size_t kPrompts = 5;
constexpr int64_t kTokens = 6;

class ManyClients : public ServerTest {
 protected:
  // What the model says to each prompt when nobody else asks.
  void AskAlone() {
    SamplingOptions sampling;
    sampling.max_tokens = kTokens;
    for (size_t i = 0; i < kPrompts; ++i)
      alone_[i] = Alone(tokenizer_.EncodePrompt(Cat("Prompt ", i)), sampling).text;
  }

  static std::string Body(size_t prompt, bool stream) {
    return DumpJson(
        Json{{"prompt", Cat("Prompt ", prompt)}, {"max_tokens", kTokens}, {"stream", stream}});
  }

  void AskWhole(RawClient& client, size_t prompt) {
    client.Send(Post(kComplete, Body(prompt, false)));
    const RawAnswer answer = client.Read();
    EXPECT_EQ(answer.status, 200) << answer.body;
    const Json body = ParseJson(answer.body, "body");
    EXPECT_EQ(body["choices"][0]["text"], alone_[prompt]);
    ++answered_;
  }

  void AskStream(RawClient& client, size_t prompt) {
    client.Send(Post(kComplete, Body(prompt, true)));
    std::string text;
    for (const Json& event : Events(client.Read().body))
      text += event["choices"][0]["text"].get<std::string>();
    EXPECT_EQ(text, alone_[prompt]);
    ++answered_;
  }

  void LeaveInTheMiddle(size_t prompt) {
    RawClient client(server_->port());
    client.Send(Post(kComplete, Body(prompt, true)));
    EXPECT_TRUE(client.Await("data: "));
  }

  static void AskWhatIsRefused(RawClient& client, uint64_t which) {
    constexpr std::array kBodies = {R"({"prompt": )", R"({"prompt": "a", "temprature": 1})",
                                    R"({"messages": [{"role": "tool", "content": 1}]})"};
    client.Send(Post(which == 2 ? kChat : kComplete, kBodies[which]));
    EXPECT_EQ(client.Read().status, 400);
  }

  void Client(uint64_t number) {
    RandomStream random(MakeKey(number, RandomUse::kData));
    auto client = std::make_unique<RawClient>(server_->port());
    for (int i = 0; i < 200; ++i) {
      const size_t prompt = random.Below(kPrompts);
      if (random.Below(8) == 0) client = std::make_unique<RawClient>(server_->port());
      switch (random.Below(8)) {
        case 0:
          LeaveInTheMiddle(prompt);
          break;
        case 1:
          AskWhatIsRefused(*client, random.Below(3));
          break;
        case 2:
          client->Send(Get("/health"));
          EXPECT_EQ(client->Read().status, 200);
          break;
        case 3:
        case 4:
          AskStream(*client, prompt);
          break;
        default:
          AskWhole(*client, prompt);
      }
    }
  }

  std::array<std::string, kPrompts> alone_;
  std::atomic<int> answered_ = 0;
};

TEST_F(ManyClients, SixteenOfTwoHundredRequests) {
  options_.queue = 16;
  AskAlone();
  Start();
  std::vector<std::thread> clients;
  for (uint64_t c = 0; c < 16; ++c) clients.emplace_back([this, c] { Client(c); });
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered_, 1000);
  EXPECT_TRUE(EventuallyIdle());
}

}  // namespace
}  // namespace retort
