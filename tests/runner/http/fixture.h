// SPDX-License-Identifier: Apache-2.0
// An HTTP server without a model in the test's process. GET /ok answers at once, GET /big with many
// bytes, POST /echo with its body, POST /wait never.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "runner/http/server.h"
#include "tests/runner/http/client.h"

namespace retort {

using namespace std::chrono_literals;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    options_.port = 0;
    options_.grace = 500ms;
  }
  ~HttpServerTest() override { Stop(); }

  void Start() {
    HttpHandlers handlers;
    handlers.judge = [this](const HttpHead& head) { return Judge(head); };
    handlers.handle = [this](const auto& request, const auto& exchange) {
      Handle(request, exchange);
    };
    handlers.fault_body = [](int, const std::string& message, std::string_view) { return message; };
    server_ = std::make_unique<HttpServer>(options_, std::move(handlers));
    thread_ = std::thread([this] { server_->Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    server_->Stop();
    thread_.join();
    server_.reset();
  }

  std::optional<HttpAnswer> Judge(const HttpHead& head) const {
    if (head.path == "/ok") return HttpAnswer{200, "ok", "text/plain", {}};
    if (head.path == "/big") return HttpAnswer{200, std::string(kBig, 'b'), "text/plain", {}};
    if (head.path == "/bad-judge") throw Failure("the judge failed");
    if (head.method == "POST") return std::nullopt;
    return HttpAnswer{404, "nothing", "text/plain", {}};
  }
  void Handle(const std::shared_ptr<HttpRequest>& request,
              const std::shared_ptr<HttpExchange>& exchange) {
    if (request->head.path == "/bad-handler") throw Failure("the handler failed");
    if (request->head.path == "/echo")
      return exchange->Answer({200, request->body, "text/plain", {}});
    if (request->head.path == "/pour") return Pour(*exchange);
    const std::lock_guard lock(mutex_);
    waiting_.push_back(exchange);
  }
  // A stream that is made at once, faster than any client reads it.
  static void Pour(HttpExchange& exchange) {
    exchange.Begin({"text/plain", "", ""});
    for (size_t sent = 0; sent < kBig; sent += 20000) exchange.Send(std::string(20000, 'p'));
    exchange.End();
  }

  RawAnswer Ask(const std::string& request) {
    RawClient client(server_->port());
    client.Send(request);
    return client.Read();
  }
  static std::string Get(const std::string& path) {
    return Cat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  static std::string Post(const std::string& path, const std::string& body) {
    return Cat("POST ", path, " HTTP/1.1\r\nHost: localhost\r\nContent-Length: ", body.size(),
               "\r\n\r\n", body);
  }

  static constexpr size_t kBig = 600000;  // more than the buffers of a connection that is not read
  HttpOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<HttpExchange>> waiting_;
};

}  // namespace retort
