// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server for few clients and long answers: connections, limits, timeouts, chunked
// streams, and notification when a client disconnects. The handler interprets the requests.
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

// Sends the answer to one request: either Answer() once, or Begin(), any number of Send(), End().
// These may be called on any thread, and do nothing after the client has disconnected.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void Answer(HttpAnswer answer) = 0;
  virtual void Begin(const std::string& content_type) = 0;
  virtual void Send(std::string bytes) = 0;
  virtual void End() = 0;
  // May only be called within the handler. `on_gone` is called on the server's thread if the client
  // disconnects before the end of the answer.
  virtual void OnGone(std::function<void()> on_gone) = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  // an address, or a name that resolves to one
  int port = 8080;                 // 0: any free port
  int64_t header_limit = 16 << 10, body_limit = 4 << 20;  // bytes
  int connections = 256;                                  // more get status 503 and are closed
  std::chrono::milliseconds read_timeout{30000};   // for a request's header, and again for its body
  std::chrono::milliseconds write_timeout{30000};  // for each write
  std::chrono::milliseconds grace{5000};           // for unfinished answers after Stop()
  bool catch_signals = false;                      // SIGINT and SIGTERM stop it
};

class HttpServer {
 public:
  // Called on the server's thread; must not block. An exception is answered with status 500.
  using Handler = std::function<void(const HttpRequest& request,
                                     const std::shared_ptr<HttpExchange>& exchange)>;
  // Makes the body of the server's own error answers, such as 413 to a body that is too large.
  using FaultBody = std::function<std::string(int status, const std::string& message)>;

  // Starts to listen. Throws Error{kInput} if the host cannot be resolved, Error{kFailure} if the
  // port is taken.
  HttpServer(const HttpOptions& options, Handler handler, FaultBody fault_body);
  ~HttpServer();

  int port() const;
  std::string url() const;  // "http://127.0.0.1:8080"
  bool loopback() const;    // true: only reachable from this machine
  // Serves until stopped.
  void Run();
  // May be called on any thread, any number of times. The first call accepts no more connections,
  // closes idle ones and gives the others `grace` to finish their answers. The second call ends
  // Run() immediately.
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
