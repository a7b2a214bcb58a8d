// SPDX-License-Identifier: Apache-2.0
// Where a server listens: a port of an address, or a socket file.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"

namespace retort {

// A listening socket that never blocks.
class HttpListener {
 public:
  // port 0: any free one. Throws Error{kInput} if the host cannot be resolved, Error{kFailure} if
  // the port is taken.
  static HttpListener OnPort(const std::string& host, int port);
  // A UNIX socket that its owner alone may use. A socket file that nobody listens on any more is
  // replaced. Throws Error{kInput} if the path is too long, or something else is there,
  // Error{kFailure} if somebody listens there.
  static HttpListener OnFile(const Path& file);
  ~HttpListener() { Close(); }
  HttpListener(HttpListener&& other) noexcept;
  HttpListener& operator=(HttpListener&&) = delete;

  // Listens no more, and removes the file unless another has taken its place.
  void Close();

  int socket() const { return socket_; }
  const std::string& address() const { return address_; }  // "127.0.0.1", "::1"; "" of a file
  int port() const { return port_; }                       // 0 of a file
  bool loopback() const { return loopback_; }              // only this machine can reach it

 private:
  struct FileId {
    uint64_t device = 0, number = 0;
    bool operator==(const FileId&) const = default;
  };
  HttpListener() = default;
  void BindTo(const Path& file);
  static std::optional<FileId> IdOf(const Path& file);

  int socket_ = -1;
  std::string address_;
  int port_ = 0;
  bool loopback_ = true;
  Path file_;
  std::optional<FileId> made_;  // the file that it has made
};

}  // namespace retort
