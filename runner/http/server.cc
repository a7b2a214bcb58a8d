// SPDX-License-Identifier: Apache-2.0
#include "runner/http/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <memory>

#include "base/error.h"
#include "base/open_files.h"
#include "base/strings.h"
#include "runner/http/acceptor.h"
#include "runner/http/connection.h"
#include "runner/http/tls.h"

namespace retort {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
constexpr uint64_t kOtherFiles = 64;  // of the process: the model, logs, the loop's own

// How many connections the process may have, after asking the system for `wanted`.
int AllowedConnections(int wanted) {
  const uint64_t files = RaiseOpenFiles(static_cast<uint64_t>(wanted) + kOtherFiles);
  // Of a very low limit at least a half.
  const uint64_t left = std::max(files / 2, files - std::min<uint64_t>(files, kOtherFiles));
  return static_cast<int>(std::clamp<uint64_t>(left, 1, static_cast<uint64_t>(wanted)));
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
    const std::string bound = port ? port->listener().address() : options.host;
    shared.hosts = HostsOf(options.host, bound, loopback(), options.allowed_hosts);
    if (options.catch_signals) {
      signals.add(SIGINT);
      signals.add(SIGTERM);
      if (tls || options.on_hangup) signals.add(SIGHUP);
      AwaitSignal();
    }
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

  // On the port, on the file, or on both.
  void Listen() {
    const HttpOptions& options = shared.options;
    if (options.on_port) {
      if (!options.certificate.empty())
        tls = std::make_unique<TlsContext>(options.certificate, options.key);
      port = std::make_unique<HttpAcceptor>(
          io, shared, HttpListener::OnPort(options.host, options.port), tls.get());
    }
    if (!options.file.empty())
      file = std::make_unique<HttpAcceptor>(io, shared, HttpListener::OnFile(options.file));
  }
  bool loopback() const { return !port || port->listener().loopback(); }

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
    signals.async_wait([this](ErrorCode error, int signal) {
      if (error) return;
      AwaitSignal();  // first: a failure of what follows must not be the end of it
      if (signal == SIGHUP)
        HangUp();
      else
        Stop();
    });
  }

  void HangUp() {
    if (tls) ReadCertificate();
    if (shared.options.on_hangup) shared.options.on_hangup();
  }
  void ReadCertificate() {
    std::string fault;
    try {
      tls->Reload();
    } catch (const std::exception& e) {
      fault = e.what();
    }
    shared.options.on_reload(fault);
  }

  void Stop() {
    if (shared.stopping) {
      cut_short = true;
      return io.stop();
    }
    shared.stopping = true;
    for (const auto& acceptor : {port.get(), file.get()}) {
      if (acceptor) acceptor->Close();
    }
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
  std::unique_ptr<TlsContext> tls;           // of the port
  std::unique_ptr<HttpAcceptor> port, file;  // either may be null
  asio::signal_set signals{io};
  asio::steady_timer tick{io}, grace{io};
  bool cut_short = false;
};

HttpServer::HttpServer(const HttpOptions& options, HttpHandlers handlers)
    : state_(std::make_unique<State>(options, std::move(handlers))) {}
HttpServer::~HttpServer() = default;

int HttpServer::port() const { return state_->port ? state_->port->listener().port() : 0; }
bool HttpServer::loopback() const { return state_->loopback(); }

std::vector<std::string> HttpServer::urls() const {
  std::vector<std::string> urls;
  if (state_->port) {
    const std::string& address = state_->port->listener().address();
    const bool v6 = address.find(':') != std::string::npos;
    urls.push_back(Cat(state_->tls ? "https://" : "http://", v6 ? Cat("[", address, "]") : address,
                       ":", port()));
  }
  if (state_->file) urls.push_back(Cat("unix:", state_->shared.options.file.native()));
  return urls;
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
