// SPDX-License-Identifier: Apache-2.0
// An HTTP client that sends raw bytes and parses answers itself, so that the server's framing is
// not tested with the library that the server uses.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/strings.h"

namespace retort {

struct RawAnswer {
  int status = 0;                              // 0: the connection ended before an answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks laid end to end
  int chunks = 0;
};

class RawClient {
 public:
  // receive_buffer: bytes that the system may take for a client that does not read; 0: its default.
  explicit RawClient(int port, int receive_buffer = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval timeout{120, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  // Of a UNIX socket.
  explicit RawClient(const Path& file) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    const timeval timeout{120, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, file.c_str(), sizeof address.sun_path - 1);
    connected_ =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  virtual ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void Send(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = SendSome(bytes.data() + at, bytes.size() - at);
      if (n <= 0) return;
      at += static_cast<size_t>(n);
    }
  }
  // Closes the sending half.
  void EndSending() { ::shutdown(socket_, SHUT_WR); }
  // Whether the server has closed the connection already. What has arrived stays to be read.
  bool closed() const {
    pollfd end{socket_, POLLRDHUP, 0};
    return ::poll(&end, 1, 0) > 0;
  }
  const std::string& arrived() const { return pending_; }  // and has not been read
  // Waits for `text` to arrive; what came before it stays to be read. False at the end.
  bool Await(const std::string& text) {
    while (pending_.find(text) == std::string::npos) {
      if (!Receive()) return false;
    }
    return true;
  }
  // Whether the server has closed the connection, waiting for it or more bytes.
  bool AtEnd() { return pending_.empty() && !Receive(); }

  // The next answer. head: it has no body whatever its header says.
  RawAnswer Read(bool head = false) {
    RawAnswer answer;
    if (!Await("\r\n\r\n")) return answer;
    const std::vector<std::string> lines = Split(Take(pending_.find("\r\n\r\n") + 4), '\n');
    answer.status = std::stoi(lines[0].substr(9, 3));
    for (size_t i = 1; i < lines.size(); ++i) {
      const size_t colon = lines[i].find(':');
      if (colon == std::string::npos) continue;
      std::string name = lines[i].substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      answer.headers[name] = std::string(Strip(lines[i].substr(colon + 1)));
    }
    if (head || answer.status == 204) return answer;
    if (answer.headers["transfer-encoding"] == "chunked") {
      ReadChunks(answer);
    } else if (answer.headers.count("content-length")) {
      answer.body = TakeBytes(std::stoul(answer.headers["content-length"]));
    } else {
      while (Receive()) {
      }
      answer.body = Take(pending_.size());
    }
    return answer;
  }

 protected:
  virtual ssize_t SendSome(const char* bytes, size_t count) {
    return ::send(socket_, bytes, count, MSG_NOSIGNAL);
  }
  virtual ssize_t ReceiveSome(char* bytes, size_t count) {
    return ::recv(socket_, bytes, count, 0);
  }
  int socket_;

 private:
  void ReadChunks(RawAnswer& answer) {
    while (Await("\r\n")) {
      const size_t size = std::stoul(Take(pending_.find("\r\n") + 2), nullptr, 16);
      const std::string chunk = TakeBytes(size + 2);
      if (size == 0) return;
      answer.body += chunk.substr(0, size);
      ++answer.chunks;
    }
    answer.status = 0;  // cut off
  }
  std::string Take(size_t count) {
    std::string taken = pending_.substr(0, count);
    pending_.erase(0, count);
    return taken;
  }
  std::string TakeBytes(size_t count) {
    while (pending_.size() < count && Receive()) {
    }
    return Take(count);
  }
  bool Receive() {
    char bytes[4096];
    const ssize_t n = ReceiveSome(bytes, sizeof bytes);
    if (n <= 0) return false;
    pending_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  bool connected_ = false;
  std::string pending_;
};

}  // namespace retort
