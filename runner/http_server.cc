// SPDX-License-Identifier: Apache-2.0
#include "runner/http_server.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "runner/http_connection.h"

namespace retort {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100}, kRetry{10};
constexpr int kAcceptsAtOnce = 16;
constexpr uint64_t kOtherFiles = 64;  // of the process: the model, logs, the loop's own

// How many connections the process may have, after asking the system for `wanted`.
int AllowedConnections(int wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const rlim_t needed = static_cast<rlim_t>(wanted) + kOtherFiles;
  if (limit.rlim_cur < needed) {
    const rlimit more{std::min(limit.rlim_max, needed), limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
  }
  // Of a very low limit at least a half.
  const rlim_t left = std::max<rlim_t>(
      limit.rlim_cur / 2, limit.rlim_cur - std::min<rlim_t>(limit.rlim_cur, kOtherFiles));
  return static_cast<int>(std::clamp<rlim_t>(left, 1, static_cast<rlim_t>(wanted)));
}

}  // namespace

struct HttpServer::State {
  State(const HttpOptions& options, HttpHandlers handlers) {
    shared.options = options;
    shared.options.connections = AllowedConnections(options.connections);
    shared.handlers = std::move(handlers);
    shared.on_closed = [this] {
      if (shared.stopping && shared.connections.empty()) io.stop();
    };
    Listen();
    shared.hosts = HostsOf(options.host, bound.address().to_string(), bound.address().is_loopback(),
                           options.allowed_hosts);
    if (options.catch_signals) {
      signals.add(SIGINT);
      signals.add(SIGTERM);
      AwaitSignal();
    }
    AwaitClient();
    AwaitTick();
  }
  // Sockets must not outlive the loop that they are registered with.
  ~State() { CloseAll(); }
  void CloseAll() {
    ForEach([](HttpConnection& connection) { connection.Evict(); });
  }

  // A failure of one connection, for example for want of memory, ends this one alone.
  template <class Call>
  void ForEach(const Call& call) {
    const std::set<std::shared_ptr<HttpConnection>> present = shared.connections;
    for (const auto& connection : present) {
      try {
        call(*connection);
      } catch (const std::exception&) {
        static_cast<HttpSocketEvents&>(*connection).OnFailure();
      }
    }
  }

  void Listen() {
    const HttpOptions& options = shared.options;
    ErrorCode error;
    const auto found = tcp::resolver(io).resolve(options.host, std::to_string(options.port), error);
    if (error || found.empty())
      throw InputError("--host '", options.host, "' is no address: ", error.message());
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      throw Failure("cannot listen on ", options.host, " port ", options.port, ": ",
                    error.message());
    acceptor.non_blocking(true);
    bound = acceptor.local_endpoint();
  }

  void AwaitClient() {
    acceptor.async_wait(tcp::acceptor::wait_read, [this](ErrorCode error) {
      if (error) return;  // closed
      bool later = true;
      try {
        later = !AcceptSome();
      } catch (const std::exception&) {
        // There was no memory for this client. The next one may find some.
      }
      if (!later) return AwaitClient();
      retry.expires_after(kRetry);
      retry.async_wait([this](ErrorCode) {
        if (acceptor.is_open()) AwaitClient();
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
          ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        if (room)
          HttpConnection::Start(io, socket, shared);
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
    pollfd waiting{acceptor.native_handle(), POLLIN, 0};
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
  // Every connection waits for an answer.
  void TurnAway(int socket) const {
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

  void AwaitTick() {
    tick.expires_after(kTick);
    tick.async_wait([this](ErrorCode error) {
      if (error) return;
      AwaitTick();
      const auto now = HttpConnection::Clock::now();
      ForEach([&](HttpConnection& connection) { connection.Tick(now); });
    });
  }

  void AwaitSignal() {
    signals.async_wait([this](ErrorCode error, int) {
      if (error) return;
      Stop();
      AwaitSignal();
    });
  }

  void Stop() {
    if (shared.stopping) {
      cut_short = true;
      return io.stop();
    }
    shared.stopping = true;
    ErrorCode ignored;
    acceptor.close(ignored);
    ForEach([](HttpConnection& connection) { connection.Stop(false); });
    grace.expires_after(shared.options.grace * 4 / 5);
    grace.async_wait([this](ErrorCode error) {
      if (!error) CallLast();
    });
    if (shared.connections.empty()) io.stop();
  }
  void CallLast() {
    grace.expires_after(shared.options.grace / 5);
    grace.async_wait([this](ErrorCode error) {
      if (!error) io.stop();
    });
    ForEach([](HttpConnection& connection) { connection.Stop(true); });
  }

  HttpShared shared;  // before io: the connections use it until io is destroyed
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  tcp::endpoint bound;
  asio::signal_set signals{io};
  asio::steady_timer tick{io}, retry{io}, grace{io};
  bool cut_short = false;
};

HttpServer::HttpServer(const HttpOptions& options, HttpHandlers handlers)
    : state_(std::make_unique<State>(options, std::move(handlers))) {}
HttpServer::~HttpServer() = default;

int HttpServer::port() const { return state_->bound.port(); }
bool HttpServer::loopback() const { return state_->bound.address().is_loopback(); }

std::string HttpServer::url() const {
  const auto address = state_->bound.address();
  return address.is_v6() ? Cat("http://[", address.to_string(), "]:", port())
                         : Cat("http://", address.to_string(), ":", port());
}

bool HttpServer::Run() {
  for (;;) {
    try {
      state_->io.run();
      state_->CloseAll();  // those who make answers are told while they are still there
      return !state_->cut_short;
    } catch (const std::exception&) {
      // The loop's own lists could not grow. What was asked of them is lost; what waits is not.
    }
  }
}

void HttpServer::Stop() {
  asio::post(state_->io, [state = state_.get()] { state->Stop(); });
}

}  // namespace retort
