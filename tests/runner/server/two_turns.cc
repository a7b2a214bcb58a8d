// SPDX-License-Identifier: Apache-2.0
#include "tests/runner/server/two_turns.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "runner/server/server.h"
#include "tests/runner/http/client.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

// A server that runs until its owner is left, by an exception too.
class RunningServer {
 public:
  RunningServer(ServedModel served, const ServerOptions& options)
      : server_(std::move(served), options), thread_([this] { server_.Run(); }) {}
  ~RunningServer() {
    server_.Stop();
    thread_.join();
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  int port() const { return server_.port(); }

 private:
  Server server_;
  std::thread thread_;
};

}  // namespace

std::vector<std::string> TwoTurns(Backend& backend, DType cache_type) {
  const ByteTokenizer tokenizer;
  const auto model = RandomModel(SmallConfig(tokenizer.vocab_size()), 4, backend, 3);
  ServerOptions options;
  options.http.port = 0;
  options.engine.cache_type = cache_type;
  ServedModel served{*model, nullptr, tokenizer, "tiny", ChatTemplate::Named("chatml"), ""};
  const RunningServer server(std::move(served), options);

  std::vector<std::string> answers;
  Json messages = Json::array();
  for (const char* question : {"Hello", "And then?"}) {
    messages.push_back({{"role", "user"}, {"content", question}});
    const std::string body = DumpJson({{"max_completion_tokens", 16}, {"messages", messages}});
    RawClient client(server.port());
    client.Send(Cat(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
        "Content-Length: ", body.size(), "\r\n\r\n", body));
    const RawAnswer answer = client.Read();
    EXPECT_EQ(answer.status, 200) << answer.body;
    if (answer.status != 200) break;
    const Json choice = ParseJson(answer.body, "answer")["choices"][0];
    answers.push_back(choice["message"]["content"].get<std::string>());
    messages.push_back({{"role", "assistant"}, {"content", answers.back()}});
  }
  return answers;
}

}  // namespace retort
