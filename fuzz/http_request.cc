// SPDX-License-Identifier: Apache-2.0
// What a client sends to the server, up to its end: requests, one after the other or none at all.
// The connection must end, whatever it was. Client and server take turns on one thread, which is
// several times as fast as a server's thread and leaves nothing to chance.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "base/error.h"
#include "fuzz/support.h"
#include "runner/http/connection.h"

namespace retort {
namespace {

constexpr std::chrono::seconds kPatience{5};

class Server {
 public:
  Server() {
    shared_.options.header_limit = 4 << 10;
    shared_.options.body_limit = 16 << 10;
    shared_.handlers = {Judge, Answer, Fault};
    shared_.hosts = HostsOf("127.0.0.1", "127.0.0.1", true, {});
    shared_.on_closed = [] {};
  }

  // Serves the client at the other end of `socket` until the connection ends.
  void Serve(int socket, int client) {
    HttpConnection::Start(io_, socket, shared_);
    const auto since = std::chrono::steady_clock::now();
    while (!shared_.connections.empty()) {
      io_.restart();
      if (io_.poll() == 0)
        RETORT_CHECK(std::chrono::steady_clock::now() - since < kPatience, "it did not end");
      char answer[4096];
      while (::recv(client, answer, sizeof answer, MSG_DONTWAIT) > 0) {
      }
    }
    io_.restart();
    io_.poll();  // what was cancelled lets go of the connection
    RETORT_CHECK(*shared_.body_bytes == 0, shared_.body_bytes->load(), " bytes of bodies are left");
  }

 private:
  static std::optional<HttpAnswer> Judge(const HttpHead& head) {
    if (head.path == "/refused") return HttpAnswer{404, "no"};
    return std::nullopt;
  }
  static void Answer(const std::shared_ptr<HttpRequest>& request,
                     const std::shared_ptr<HttpExchange>& exchange) {
    const HttpHead& head = request->head;
    if (head.path == "/stream") {
      exchange->Begin({"text/event-stream", "", "last words"});
      exchange->Send(request->body);
      return exchange->End();
    }
    if (head.path == "/throw") throw Failure("on purpose");
    exchange->Answer({200, Cat(head.method, " ", head.path, " ", request->body.size())});
  }
  static std::string Fault(int status, const std::string& message, std::string_view /*path*/) {
    return Cat(status, " ", message);
  }

  HttpShared shared_;  // before io_: the connections use it until io_ is destroyed
  boost::asio::io_context io_{1};
};

void Send(Server& server, std::string_view bytes) {
  int ends[2];
  RETORT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, ErrnoText());
  while (!bytes.empty()) {
    const ssize_t sent = ::send(ends[1], bytes.data(), bytes.size(), MSG_NOSIGNAL);
    RETORT_CHECK(sent > 0, ErrnoText());
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  ::shutdown(ends[1], SHUT_WR);
  server.Serve(ends[0], ends[1]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static retort::Server server;
  retort::Send(server, retort::TextOf(data, size));
  return 0;
}
