// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server for few clients and long answers: connections, limits, timeouts, chunked
// streams, and notification when a client disconnects. The handlers interpret the requests.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "runner/http/exchange.h"
#include "runner/http/message.h"

namespace retort {

struct HttpOptions {
  bool on_port = true;                     // it listens on host and port
  std::string host = "127.0.0.1";          // an address, or a name that resolves to one
  int port = 8080;                         // 0: any free port
  Path certificate, key;                   // of TLS on the port; empty: it has none
  Path file;                               // a UNIX socket to listen on too; empty: none
  std::vector<std::string> allowed_hosts;  // see HostsOf() in runner/http/rules.h
  int64_t header_limit = 16 << 10, body_limit = 4 << 20;  // bytes
  int64_t bodies_limit = 64 << 20;  // bytes of all bodies that are read or kept at one time
  int64_t unread_limit = 4 << 20;   // bytes of a stream that its client has not read
  int connections = 1024;           // fewer if the system allows the process fewer files
  std::chrono::milliseconds read_timeout{30000};   // for a request's header, and again for its body
  std::chrono::milliseconds write_timeout{30000};  // for each write
  int64_t least_rate = 16 << 10;          // bytes that give a body or a write one more second
  std::chrono::milliseconds ping{15000};  // silence after which a stream's ping is sent
  std::chrono::milliseconds grace{5000};  // for unfinished answers after Stop()
  // SIGINT and SIGTERM stop it; SIGHUP, with TLS, has it read certificate and key again.
  bool catch_signals = false;
  // Called after that, with an empty text or the reason why the earlier ones stay in use.
  std::function<void(const std::string& fault)> on_reload = [](const std::string&) {};
  // What else SIGHUP asks for, on the server's thread. Empty: without TLS it is not caught.
  std::function<void()> on_hangup = {};
};

// `judge` and `handle` are called on the server's thread, which serves all clients, and must be
// quick. An exception is answered with status 500.
struct HttpHandlers {
  // Judges a request by its header. An answer: the request gets it, and its body is not kept.
  std::function<std::optional<HttpAnswer>(const HttpHead& head)> judge;
  // The request is complete. The answer may be sent later, from any thread.
  std::function<void(const std::shared_ptr<HttpRequest>& request,
                     const std::shared_ptr<HttpExchange>& exchange)>
      handle;
  // Makes the body of the server's own error answers, such as 413 to a body that is too large.
  // path: the request's; "": it is not known.
  std::function<std::string(int status, const std::string& message, std::string_view path)>
      fault_body;
};

// When all connections are taken, the client that the server has waited for longest is closed: for
// the rest of a request, for its next request, or for reading an answer. A client that waits for
// the server never is.
class HttpServer {
 public:
  // Starts to listen. Throws what HttpListener and TlsContext do, and Error{kInput} if an allowed
  // host is no name.
  HttpServer(const HttpOptions& options, HttpHandlers handlers);
  ~HttpServer();

  int port() const;                       // 0: it listens on none
  std::vector<std::string> urls() const;  // "http://127.0.0.1:8080", "unix:/run/a.sock"
  bool loopback() const;                  // true: only reachable from this machine
  // Serves until stopped. False if it was stopped a second time and ended at once.
  bool Run();
  // May be called on any thread, any number of times. The first call accepts no more connections,
  // closes idle ones and gives the others `grace` to finish. After four fifths of it, requests
  // without an answer get status 503 and streams their last words. The second call ends Run()
  // immediately.
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
