// SPDX-License-Identifier: Apache-2.0
#include "runner/http/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/strings.h"

namespace retort {
namespace {

// Throws Error{kInput} unless it fits.
sockaddr_un AddressOf(const Path& file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& name = file.native();
  if (name.empty() || name.size() >= sizeof address.sun_path)
    throw InputError("--listen unix:", name, ": a socket's path has 1 to ",
                     sizeof address.sun_path - 1, " bytes; give a shorter one");
  std::memcpy(address.sun_path, name.data(), name.size());
  return address;
}

int NewSocket(int family) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) throw Failure("cannot make a socket: ", ErrnoText());
  return socket;
}

bool SomebodyListens(const sockaddr_un& address) {
  const int socket = NewSocket(AF_UNIX);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const bool refused = ::connect(socket, generic, sizeof address) != 0 && errno == ECONNREFUSED;
  ::close(socket);
  return !refused;
}

}  // namespace

HttpListener HttpListener::OnPort(const std::string& host, int port) {
  namespace asio = boost::asio;
  asio::io_context io;
  boost::system::error_code error;
  const auto found = asio::ip::tcp::resolver(io).resolve(host, std::to_string(port), error);
  if (error || found.empty())
    throw InputError("--host '", host, "' is no address: ", error.message());
  asio::ip::tcp::endpoint endpoint = found.begin()->endpoint();
  HttpListener listener;
  listener.socket_ = NewSocket(endpoint.protocol().family());
  const int on = 1;
  ::setsockopt(listener.socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.socket_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
      ::listen(listener.socket_, SOMAXCONN) != 0)
    throw Failure("cannot listen on ", host, " port ", port, ": ", ErrnoText());
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(listener.socket_, endpoint.data(), &size) != 0)
    throw Failure("cannot learn the port of ", host, ": ", ErrnoText());
  endpoint.resize(size);
  listener.address_ = endpoint.address().to_string();
  listener.port_ = endpoint.port();
  listener.loopback_ = endpoint.address().is_loopback();
  return listener;
}

HttpListener HttpListener::OnFile(const Path& file) {
  const sockaddr_un address = AddressOf(file);
  // Of two servers that find the same dead file, one replaces it.
  const FileLock lock(file.parent_path() / Cat(".", file.filename().native(), ".retort-lock"),
                      Cat("unix:", file.native()));
  struct stat there {};
  if (::lstat(file.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode))
      throw InputError("--listen unix:", file.native(), ": there is a file that is no socket");
    if (SomebodyListens(address))
      throw Failure("cannot listen on unix:", file.native(), ": another server does");
    ::unlink(file.c_str());
  }
  HttpListener listener;
  listener.BindTo(file);
  return listener;
}

void HttpListener::BindTo(const Path& file) {
  const sockaddr_un address = AddressOf(file);
  socket_ = NewSocket(AF_UNIX);
  const auto fail = [&](const auto& why) {
    throw Failure("cannot listen on unix:", file.native(), ": ", why);
  };
  // The file gets the socket's mode, so nobody else can connect before it is set.
  if (::fchmod(socket_, S_IRUSR | S_IWUSR) != 0) fail(ErrnoText());
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(ErrnoText());
  file_ = file;
  made_ = IdOf(file);
  struct stat there {};
  if (::lstat(file.c_str(), &there) != 0) fail(ErrnoText());
  if ((there.st_mode & (S_IRWXG | S_IRWXO)) != 0) fail("its file system lets others use it too");
  if (::listen(socket_, SOMAXCONN) != 0) fail(ErrnoText());
}

HttpListener::HttpListener(HttpListener&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      address_(std::move(other.address_)),
      port_(other.port_),
      loopback_(other.loopback_),
      file_(std::move(other.file_)),
      made_(std::exchange(other.made_, std::nullopt)) {}

void HttpListener::Close() {
  if (made_ && IdOf(file_) == made_) ::unlink(file_.c_str());
  made_.reset();
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

std::optional<HttpListener::FileId> HttpListener::IdOf(const Path& file) {
  struct stat there {};
  if (::lstat(file.c_str(), &there) != 0) return std::nullopt;
  return FileId{there.st_dev, there.st_ino};
}

}  // namespace retort
