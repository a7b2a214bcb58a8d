// SPDX-License-Identifier: Apache-2.0
#include "bench/load/stream_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMostHead = 64 << 10;
constexpr size_t kMostGet = 16 << 20;
constexpr size_t kMostFault = 400;  // bytes of an error's body that are read and told
constexpr int kMostTrailers = 100;

bool SameWithoutCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// The field's value in a header, or "". name: with its colon.
std::string_view FieldOf(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at)) {
    at += 2;
    const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
    if (SameWithoutCase(line.substr(0, name.size()), name)) return Strip(line.substr(name.size()));
  }
  return "";
}

// A whole number at the text's beginning. Throws Error{kFailure} if there is none.
size_t NumberIn(std::string_view text, int base, const std::string& url) {
  size_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc() || end == text.data())
    throw Failure(url, ": its answer is no HTTP: ", Quoted(text), " is no number");
  return number;
}

}  // namespace

StreamClient::StreamClient(const ServerAddress& server, std::string key, int seconds)
    : server_(server), key_(std::move(key)), seconds_(seconds) {}

void StreamClient::Close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  arrived_.clear();
}

// The socket does not block: WaitFor is where everything waits, up to the deadline.
void StreamClient::Connect() {
  int fault = 0;
  for (const ServerAddress::Endpoint& endpoint : server_.endpoints) {
    constexpr int kKind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    socket_ = ::socket(endpoint.address.ss_family, kKind, 0);
    if (socket_ < 0) throw Failure(server_.url, ": no socket: ", ErrnoText());
    const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
    fault = ::connect(socket_, address, endpoint.size) == 0 ? 0 : errno;
    if (fault == EINPROGRESS) {
      WaitFor(POLLOUT);
      socklen_t size = sizeof fault;
      ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &fault, &size);
    }
    if (fault == 0) break;
    Close();
  }
  if (socket_ < 0) {
    errno = fault;
    throw Failure(server_.url, ": nobody answers: ", ErrnoText());
  }
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::string StreamClient::HeadOf(std::string_view method, std::string_view path) const {
  std::string head = Cat(method, " ", server_.path, path,
                         " HTTP/1.1\r\nHost: ", server_.HostField(), "\r\nAccept: */*\r\n");
  if (!key_.empty()) head += Cat("Authorization: Bearer ", key_, "\r\n");
  return head;
}

std::string StreamClient::Get(std::string_view path) {
  std::string body;
  Exchange(HeadOf("GET", path) + "\r\n", [&](std::string_view piece, Clock::time_point) {
    if (piece.size() > kMostGet - body.size())
      throw Failure(server_.url, path, ": its answer is above ", BytesText(kMostGet));
    body += piece;
  });
  return body;
}

void StreamClient::Post(std::string_view path, const std::string& body, const OnData& on_data) {
  Exchange(Cat(HeadOf("POST", path),
               "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body),
           on_data);
}

void StreamClient::Exchange(const std::string& request, const OnData& on_data) {
  deadline_ = Clock::now() + std::chrono::seconds(seconds_);
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
    if (status != 200) ThrowStatus(status, head);
    ReadBody(head, on_data);
    if (SameWithoutCase(FieldOf(head, "connection:"), "close")) Close();
  } catch (...) {
    Close();  // what is still to come belongs to no request
    throw;
  }
}

// Reads no more of the body than is told.
void StreamClient::ThrowStatus(size_t status, std::string_view head) {
  std::string fault;
  const auto failure = [&] {
    return Failure(server_.url, ": status ", status, ": ", Quoted(fault, kMostFault));
  };
  ReadBody(head, [&](std::string_view piece, Clock::time_point) {
    fault += piece.substr(0, kMostFault - fault.size());
    if (fault.size() == kMostFault) throw failure();
  });
  throw failure();
}

void StreamClient::ReadBody(std::string_view head, const OnData& on_data) {
  if (SameWithoutCase(FieldOf(head, "transfer-encoding:"), "chunked")) return ReadChunks(on_data);
  const std::string_view length = FieldOf(head, "content-length:");
  if (!length.empty()) return ReadBytes(NumberIn(length, 10, server_.url), on_data);
  do {
    on_data(std::exchange(arrived_, {}), received_);
  } while (Receive());
  Close();
}

void StreamClient::ReadChunks(const OnData& on_data) {
  while (const size_t size = NumberIn(ReadTo("\r\n"), 16, server_.url)) {
    ReadBytes(size, on_data);
    ReadTo("\r\n");
  }
  for (int trailers = 0; !ReadTo("\r\n").empty(); ++trailers) {
    if (trailers == kMostTrailers) throw Failure(server_.url, ": its answer has no end");
  }
}

void StreamClient::WaitFor(short event) const {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd one{socket_, event, 0};
    const int ready = left > 0 ? ::poll(&one, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return;
    if (ready == 0) throw Failure(server_.url, ": no whole answer within ", seconds_, " s");
    if (errno != EINTR) throw Failure(server_.url, ": ", ErrnoText());
  }
}

void StreamClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    WaitFor(POLLOUT);
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent <= 0) return;  // receiving tells why
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool StreamClient::Receive() {
  char bytes[16 << 10];
  ssize_t count = 0;
  do {
    WaitFor(POLLIN);
    count = ::recv(socket_, bytes, sizeof bytes, 0);
  } while (count < 0 && (errno == EINTR || errno == EAGAIN));
  received_ = Clock::now();
  if (count <= 0) return false;
  arrived_.append(bytes, static_cast<size_t>(count));
  return true;
}

void StreamClient::ThrowCutOff() const {
  throw Failure(server_.url, ": the connection ended within the answer");
}

std::string StreamClient::ReadTo(std::string_view end) {
  size_t at = 0, searched = 0;  // bytes in which `end` does not begin
  while ((at = arrived_.find(end, searched)) == std::string::npos) {
    if (arrived_.size() > kMostHead) throw Failure(server_.url, ": its answer is no HTTP");
    searched = arrived_.size() - std::min(arrived_.size(), end.size() - 1);
    if (!Receive()) ThrowCutOff();
  }
  std::string before = arrived_.substr(0, at);
  arrived_.erase(0, at + end.size());
  return before;
}

void StreamClient::ReadBytes(size_t count, const OnData& on_data) {
  while (count > 0) {
    if (arrived_.empty() && !Receive()) ThrowCutOff();
    const size_t now = std::min(count, arrived_.size());
    on_data(std::string_view(arrived_).substr(0, now), received_);
    arrived_.erase(0, now);
    count -= now;
  }
}

}  // namespace retort
