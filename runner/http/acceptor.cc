// SPDX-License-Identifier: Apache-2.0
#include "runner/http/acceptor.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <utility>

namespace retort {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptRetry{10};
constexpr int kAcceptsAtOnce = 16;

struct HttpAcceptor::State {
  State(asio::io_context& loop, HttpShared& all, HttpListener&& l, const TlsContext* t)
      : io(loop), shared(all), listener(std::move(l)), tls(t) {
    ready.assign(listener.socket());
    AwaitClient();
  }
  ~State() { Close(); }
  void Close() {
    if (ready.is_open()) ready.release();  // the listener closes it
    listener.Close();
  }

  void AwaitClient() {
    ready.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode error) {
      if (error) return;  // closed
      bool later = true;
      try {
        later = !AcceptSome();
      } catch (const std::exception&) {
        // There was no memory for this client. The next one may find some.
      }
      if (!later) return AwaitClient();
      retry.expires_after(kAcceptRetry);
      retry.async_wait([this](ErrorCode) {
        if (ready.is_open()) AwaitClient();
      });
    });
  }

  // Takes a few clients at a time, so that the others' requests are read between them. False if
  // there is no room for more at the moment: they wait in the system's queue.
  bool AcceptSome() {
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
      const bool full = static_cast<int>(shared.connections.size()) >= shared.options.connections;
      if (full && !ClientWaits()) return true;  // nobody to make room for
      const bool room = !full || EvictLongest();
      if (!room && AnyAwaited()) return false;
      const int socket =
          ::accept4(listener.socket(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        if (room)
          HttpConnection::Start(io, socket, shared, tls);
        else
          TurnAway(socket);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      EvictLongest();  // out of file descriptors or memory
      return false;
    }
    return true;
  }
  bool ClientWaits() {
    pollfd waiting{listener.socket(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) > 0;
  }
  bool EvictLongest() {
    const auto longest = LongestAwaited(shared, false);
    if (longest) longest->Evict();
    return longest != nullptr;
  }
  bool AnyAwaited() const {
    return std::any_of(shared.connections.begin(), shared.connections.end(),
                       [](const auto& c) { return c->waiting_since().has_value(); });
  }
  // Every connection waits for an answer. A TLS client would not understand the reason.
  void TurnAway(int socket) const {
    if (tls) {
      ::close(socket);
      return;
    }
    HttpAnswer answer;
    answer.status = 503;
    answer.headers = {{"Retry-After", "1"}};
    answer.body = shared.handlers.fault_body(503, "too many connections", "");
    const std::string bytes = AnswerBytes(answer, 11, false, true);
    // Fits into the empty socket buffer; a client that has gone already misses nothing.
    [[maybe_unused]] const ssize_t sent =
        ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // A request that is left unread would make the close a reset, and could cost the client the
    // answer.
    char request[4096];
    for (int i = 0; i < 4 && ::recv(socket, request, sizeof request, MSG_DONTWAIT) > 0; ++i) {
    }
    ::close(socket);
  }

  asio::io_context& io;
  HttpShared& shared;
  HttpListener listener;
  const TlsContext* tls;
  asio::posix::stream_descriptor ready{io};
  asio::steady_timer retry{io};
};

HttpAcceptor::HttpAcceptor(asio::io_context& io, HttpShared& shared, HttpListener listener,
                           const TlsContext* tls)
    : state_(std::make_unique<State>(io, shared, std::move(listener), tls)) {}
HttpAcceptor::~HttpAcceptor() = default;

const HttpListener& HttpAcceptor::listener() const { return state_->listener; }
void HttpAcceptor::Close() { state_->Close(); }

}  // namespace retort
