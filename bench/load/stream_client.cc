// SPDX-License-Identifier: Apache-2.0
#include "bench/load/stream_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMostHead = 64 << 10;
constexpr size_t kMostFault = 400;  // bytes of an error's body that are told

// The field's value in a header, or "". name: in lower case, with its colon.
std::string_view FieldOf(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at)) {
    at += 2;
    std::string_view line = head.substr(at, head.find("\r\n", at) - at);
    if (line.size() < name.size()) continue;
    bool same = true;
    for (size_t i = 0; i < name.size(); ++i) same &= (line[i] | 32) == (name[i] | 32);
    if (same) return Strip(line.substr(name.size()));
  }
  return "";
}

// A whole number at the text's beginning. Throws Error{kFailure} if there is none.
size_t NumberIn(std::string_view text, int base, const std::string& url) {
  size_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc() || end == text.data())
    throw Failure(url, ": its answer is no HTTP: ", Quoted(text), " is no length");
  return number;
}

}  // namespace

ServerAddress ParseServerUrl(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  ServerAddress server;
  server.url = url;
  if (!StartsWith(url, kScheme))
    throw InputError("'", url, "' is no URL of a server; it begins with http://");
  std::string_view rest = std::string_view(url).substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  server.path = rest.substr(slash);
  while (EndsWith(server.path, "/")) server.path.pop_back();
  if (server.path.empty()) server.path = "/v1";
  rest = rest.substr(0, slash);
  const size_t bracket = StartsWith(rest, "[") ? rest.find(']') : 0;
  const size_t colon = bracket == std::string_view::npos ? bracket : rest.find(':', bracket);
  server.host = rest.substr(bracket > 0, bracket > 0 ? bracket - 1 : colon);
  server.port = colon == std::string_view::npos ? "80" : std::string(rest.substr(colon + 1));
  if (server.host.empty() || server.port.empty())
    throw InputError("'", url, "' is no URL of a server; as http://127.0.0.1:8080");
  return server;
}

StreamClient::StreamClient(ServerAddress server, std::string key, int seconds)
    : server_(std::move(server)), key_(std::move(key)), seconds_(seconds) {}

void StreamClient::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  arrived_.clear();
}

void StreamClient::Connect() {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int fault = ::getaddrinfo(server_.host.c_str(), server_.port.c_str(), &hints, &found);
  if (fault != 0) throw Failure(server_.url, ": ", ::gai_strerror(fault));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    socket_ = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (socket_ >= 0 && ::connect(socket_, a->ai_addr, a->ai_addrlen) == 0) break;
    Close();
  }
  if (socket_ < 0) throw Failure(server_.url, ": nobody answers: ", ErrnoText());
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval wait{seconds_, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

std::string StreamClient::HeadOf(std::string_view method, std::string_view path) const {
  std::string head = Cat(method, " ", server_.path, path, " HTTP/1.1\r\nHost: ", server_.host, ":",
                         server_.port, "\r\nAccept: */*\r\n");
  if (!key_.empty()) head += Cat("Authorization: Bearer ", key_, "\r\n");
  return head;
}

std::string StreamClient::Get(std::string_view path) {
  std::string body;
  Exchange(HeadOf("GET", path) + "\r\n", [&](std::string_view piece) { body += piece; });
  return body;
}

void StreamClient::Post(std::string_view path, const std::string& body,
                        const std::function<void(std::string_view)>& on_data) {
  Exchange(Cat(HeadOf("POST", path),
               "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body),
           on_data);
}

void StreamClient::Exchange(const std::string& request,
                            const std::function<void(std::string_view)>& on_data) {
  try {
    const bool kept = socket_ >= 0;
    if (!kept) Connect();
    Send(request);
    // The server may have closed a connection that it kept, just before.
    if (!Receive() && kept) {
      Close();
      Connect();
      Send(request);
    }
    const std::string head = ReadTo("\r\n\r\n");
    const size_t status =
        NumberIn(std::string_view(head).substr(std::min(head.size(), size_t{9})), 10, server_.url);
    std::string fault;
    ReadBody(
        head, status == 200 ? on_data : [&](std::string_view piece) {
          fault += piece.substr(0, kMostFault - std::min(kMostFault, fault.size()));
        });
    if (status != 200) throw Failure(server_.url, ": status ", status, ": ", fault);
    if (FieldOf(head, "connection:") == "close") Close();
  } catch (...) {
    Close();  // what is still to come belongs to no request
    throw;
  }
}

void StreamClient::ReadBody(std::string_view head,
                            const std::function<void(std::string_view)>& on_data) {
  if (FieldOf(head, "transfer-encoding:") == "chunked") {
    while (const size_t size = NumberIn(ReadTo("\r\n"), 16, server_.url)) {
      ReadBytes(size, on_data);
      ReadTo("\r\n");
    }
    ReadTo("\r\n");
    return;
  }
  const std::string_view length = FieldOf(head, "content-length:");
  if (!length.empty()) return ReadBytes(NumberIn(length, 10, server_.url), on_data);
  do {
    on_data(std::exchange(arrived_, {}));
  } while (Receive());
  Close();
}

void StreamClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // receiving tells why
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool StreamClient::Receive() {
  char bytes[16 << 10];
  ssize_t count = 0;
  do {
    count = ::recv(socket_, bytes, sizeof bytes, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    throw Failure(server_.url, ": nothing came for ", seconds_, " s");
  if (count <= 0) return false;
  arrived_.append(bytes, static_cast<size_t>(count));
  return true;
}

std::string StreamClient::ReadTo(std::string_view end) {
  size_t at = 0;
  while ((at = arrived_.find(end)) == std::string::npos) {
    if (arrived_.size() > kMostHead) throw Failure(server_.url, ": its answer is no HTTP");
    if (!Receive()) throw Failure(server_.url, ": the connection ended within the answer");
  }
  std::string before = arrived_.substr(0, at);
  arrived_.erase(0, at + end.size());
  return before;
}

void StreamClient::ReadBytes(size_t count, const std::function<void(std::string_view)>& on_data) {
  while (count > 0) {
    if (arrived_.empty() && !Receive())
      throw Failure(server_.url, ": the connection ended within the answer");
    const size_t now = std::min(count, arrived_.size());
    on_data(std::string_view(arrived_).substr(0, now));
    arrived_.erase(0, now);
    count -= now;
  }
}

}  // namespace retort
