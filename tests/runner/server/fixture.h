// SPDX-License-Identifier: Apache-2.0
// A server in the test's process, of a random model over bytes, and helpers to ask it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "runner/server/server.h"
#include "tests/runner/http/client.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {

using namespace std::chrono_literals;

inline std::string Post(const std::string& path, const std::string& body,
                        const std::string& more = "") {
  return Cat("POST ", path, " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
             more, "Content-Length: ", body.size(), "\r\n\r\n", body);
}
inline std::string Get(const std::string& path, const std::string& more = "",
                       const std::string& method = "GET") {
  return Cat(method, " ", path, " HTTP/1.1\r\nHost: localhost\r\n", more, "\r\n");
}

inline constexpr const char* kChat = "/v1/chat/completions";
inline constexpr const char* kComplete = "/v1/completions";

// The JSON objects of an event stream; fails where the framing is not the exact one.
std::vector<Json> Events(const std::string& body);

// A server in this process, of a random model over bytes.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    model_ = RandomModel(config, kSeed, *backend_, kSize);
    options_.http.port = 0;
    options_.http.grace = 500ms;
  }
  ~ServerTest() override { Stop(); }

  void Start(bool chat = true) {
    ServedModel served{*model_, nullptr, tokenizer_, "tiny", {}, "no template here"};
    if (chat) served.chat = ChatTemplate::Named("chatml");
    server_.emplace(std::move(served), options_);
    thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
    server_.reset();
  }
  RawAnswer Ask(const std::string& request) {
    RawClient client(server_->port());
    client.Send(request);
    return client.Read();
  }
  Json AskJson(const std::string& request);
  // Expects this status, and the error's shape.
  Json Refused(int status, const RawAnswer& answer);
  Json Refused(int status, const std::string& path, const std::string& body);
  // What an engine says to the same ids, alone and with a backend of its own: the server's is the
  // engine's thread's.
  Generation Alone(std::vector<int32_t> prompt, SamplingOptions sampling) {
    const auto backend = MakeReferenceBackend();
    const auto model = RandomModel(model_->config, kSeed, *backend, kSize);
    Engine engine(*model, nullptr, tokenizer_, options_.engine);
    return Generate(engine, std::move(prompt), sampling);
  }
  // Waits for it; false after two minutes, which is long for a sanitizer on a busy machine too.
  bool Eventually(const std::function<bool(const EngineCounts&)>& holds) {
    const auto end = std::chrono::steady_clock::now() + 120s;
    while (!holds(server_->counts())) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  }
  bool EventuallyIdle() {
    return Eventually(
        [](const EngineCounts& c) { return c.live + c.queued + c.cached_tokens == 0; });
  }

  // A request that does not end by itself for a long time, as the model is made to know no end.
  void MakeEndless() {
    model_->config.max_positions = 60000;
    model_->config.ends = {tokenizer_.vocab_size() + 7};
    options_.engine.parallel = 2;
    options_.engine.cache_tokens = 120000;
  }
  static std::string Endless(bool stream) {
    return Post(kComplete, Cat(R"({"prompt": "go", "max_tokens": 50000, "stream": )", stream, "}"));
  }

  static constexpr uint64_t kSeed = 4;
  static constexpr double kSize = 3;
  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_;
  ServerOptions options_;
  std::optional<Server> server_;
  bool ended_in_order_ = false;  // after Stop()
  std::thread thread_;
};

}  // namespace retort
