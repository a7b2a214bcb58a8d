// SPDX-License-Identifier: Apache-2.0
// What a client sends to the server, up to its end: requests, one after the other or none at all.
// The connection must end, whatever it was.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "base/error.h"
#include "fuzz/support.h"
#include "runner/http_server.h"

namespace retort {
namespace {

constexpr int kPatience = 20;  // seconds

class Target {
 public:
  Target() : server_(Options(), {Judge, Answer, Fault}), thread_([this] { server_.Run(); }) {}
  ~Target() {
    server_.Stop();
    server_.Stop();
    thread_.join();
  }

  void Send(std::string_view bytes) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{kPatience, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const linger reset{1, 0};  // leaves no port waiting
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    RETORT_CHECK(
        ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "connect: ", ErrnoText());
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;  // refused before it had been read
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    ::shutdown(socket, SHUT_WR);
    char answer[4096];
    ssize_t received = 1;
    while (received > 0) received = ::recv(socket, answer, sizeof answer, 0);
    RETORT_CHECK(received == 0 || errno == ECONNRESET, "the answer did not end: ", ErrnoText());
    ::close(socket);
  }

 private:
  static HttpOptions Options() {
    HttpOptions options;
    options.port = 0;
    options.header_limit = 4 << 10;
    options.body_limit = 16 << 10;
    return options;
  }
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
  static std::string Fault(int status, const std::string& message) {
    return Cat(status, " ", message);
  }

  HttpServer server_;
  std::thread thread_;
};

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const retort::Target target;
  target.Send(retort::TextOf(data, size));
  return 0;
}
