// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 for few clients and long answers: connections, limits, timeouts, chunked streams, and
// word of a client that has gone. What the requests mean is the handler's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace retort {

struct HttpRequest {
  std::string method, path;  // the path without its query
  std::string authorization, content_type;
  std::string body;
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

// One request's way back. All but OnGone may be called on any thread, and do nothing once the
// client has gone. Either Answer() once, or Begin(), Send() any number of times, End().
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void Answer(HttpAnswer answer) = 0;
  virtual void Begin(const std::string& content_type) = 0;
  virtual void Send(std::string bytes) = 0;
  virtual void End() = 0;
  // Only within the handler. Called on the server's thread when the client goes before the answer's
  // end.
  virtual void OnGone(std::function<void()> on_gone) = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  // an address, or a name that resolves to one
  int port = 8080;                 // 0: any free one
  int64_t header_limit = 16 << 10, body_limit = 4 << 20;  // bytes
  int connections = 256;                                  // more are answered 503 and closed
  std::chrono::milliseconds read_timeout{30000};   // for a request's header, and again for its body
  std::chrono::milliseconds write_timeout{30000};  // for each write
  std::chrono::milliseconds grace{5000};  // that answers under way have to end in, once stopped
  bool catch_signals = false;             // SIGINT and SIGTERM stop it
};

class HttpServer {
 public:
  // On the server's thread; must not block. What it throws is answered with 500.
  using Handler = std::function<void(const HttpRequest& request,
                                     const std::shared_ptr<HttpExchange>& exchange)>;
  // The body that says what was wrong with a request that never became one.
  using FaultBody = std::function<std::string(int status, const std::string& message)>;

  // Listens from here on. Throws Error{kInput} on a host that is no address here, Error{kFailure}
  // on a port that is taken.
  HttpServer(const HttpOptions& options, Handler handler, FaultBody fault_body);
  ~HttpServer();

  int port() const;
  std::string url() const;  // "http://127.0.0.1:8080"
  bool loopback() const;    // whether only this machine can reach it
  // Serves until stopped.
  void Run();
  // Any thread, any number of times: takes no more connections, closes the idle ones, and lets the
  // others end their answers for `grace`. A second time ends Run() at once.
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
