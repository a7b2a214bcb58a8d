// SPDX-License-Identifier: Apache-2.0
#include "runner/http/socket.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "runner/http/tls.h"

namespace retort {

using HttpTcp = boost::asio::ip::tcp;
using HttpIoError = boost::system::error_code;

constexpr int kSendBuffer = 128 << 10;
constexpr size_t kMostEarly = 64 << 10;  // bytes that a TLS client may send before they are wanted
// The loop serves others between two such pieces. A session keeps the memory of its largest one.
constexpr size_t kSealedAtOnce = 64 << 10;

struct HttpSocket::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, std::vector<char>& shared_scratch,
        std::weak_ptr<HttpSocketEvents> listener)
      : socket(io), scratch(shared_scratch), events(std::move(listener)) {}

  // Calls an event. Whoever has it called stays alive meanwhile.
  template <class Call>
  void Tell(const Call& call) {
    const auto self = shared_from_this();
    const auto told = events.lock();
    if (!told || !socket.is_open()) return;
    try {
      call(*told);
    } catch (const std::exception&) {
      // There is no memory for this client's request or answer. The others' go on.
      told->OnFailure();
    }
  }

  // Waits even if there is input already, so that a client that never pauses holds up nobody.
  void Arm() {
    if (armed || ended || reading == Reading::kNothing || !socket.is_open()) return;
    if (early.size() > kMostEarly) return;
    armed = true;
    socket.async_wait(HttpTcp::socket::wait_read,
                      [self = shared_from_this()](const HttpIoError& error) {
                        self->armed = false;
                        if (!error) self->OnReadable();
                      });
  }

  void OnReadable() {
    if (reading == Reading::kNothing) return;
    // What a TLS client sends must be read to learn that it ends the session.
    const bool peek = reading == Reading::kEnd && !tls;
    HttpIoError error;
    const size_t count =
        peek ? socket.receive(boost::asio::buffer(scratch, 1), HttpTcp::socket::message_peek, error)
             : socket.read_some(boost::asio::buffer(scratch), error);
    if (error == boost::asio::error::would_block) return Arm();
    if (error) return Tell([](HttpSocketEvents& e) { e.OnEnd(); });
    if (peek) return;
    if (tls) return OnSealed({scratch.data(), count});
    Tell([&](HttpSocketEvents& e) { e.OnInput({scratch.data(), count}); });
    Arm();
  }

  void OnSealed(std::string_view bytes) {
    Tell([&](HttpSocketEvents&) {
      ended = !tls->Receive(bytes, early);
      queued += tls->TakeOutgoing();
      Flush();
    });
    TellEarly();
    TellEnd();
    Arm();
  }

  void TellEarly() {
    if (early.empty() || reading != Reading::kInput) return;
    const std::string bytes = std::exchange(early, {});
    Tell([&](HttpSocketEvents& e) { e.OnInput(bytes); });
  }

  // A client that ends its session right behind a request gets the answer first.
  void TellEnd() {
    if (ended && reading != Reading::kNothing) Tell([](HttpSocketEvents& e) { e.OnEnd(); });
  }

  // Sends what is to be said, one write at a time. The last one leads to OnWritten() if it is owed,
  // or is the last of all.
  void Flush() {
    if (sending || !socket.is_open()) return;
    SealSome();
    if (queued.empty()) {
      if (last) ShutDown();
      return;
    }
    sending = true;
    writing = std::exchange(queued, {});
    boost::asio::async_write(
        socket, boost::asio::buffer(writing),
        [self = shared_from_this()](const HttpIoError& error, size_t) { self->OnFlushed(!error); });
  }

  void OnFlushed(bool all) {
    sending = false;
    Release(writing);
    if (all && (!queued.empty() || !unsealed.empty() || last))
      return Tell([this](HttpSocketEvents&) { Flush(); });
    if (!std::exchange(owed, false)) return;
    Tell([&](HttpSocketEvents& e) { e.OnWritten(all); });
  }

  void SealSome() {
    if (unsealed.empty()) return;
    const std::string_view piece = std::string_view(unsealed).substr(sealed, kSealedAtOnce);
    tls->Send(piece);
    queued += tls->TakeOutgoing();
    sealed += piece.size();
    if (sealed < unsealed.size()) return;
    Release(unsealed);
    sealed = 0;
  }

  // Emptying it would keep its memory.
  static void Release(std::string& text) { std::string().swap(text); }

  void ShutDown() {
    HttpIoError ignored;
    socket.shutdown(HttpTcp::socket::shutdown_send, ignored);
  }

  HttpTcp::socket socket;
  std::vector<char>& scratch;
  std::weak_ptr<HttpSocketEvents> events;
  std::unique_ptr<TlsSession> tls;  // null: what is sent is what is said
  std::string early;                // what a TLS client has said, and nobody wanted yet
  Reading reading = Reading::kNothing;
  bool armed = false;
  bool ended = false;    // the TLS client says no more
  std::string unsealed;  // what a TLS client is to be told,
  size_t sealed = 0;     // and how much of it has gone into `queued`
  std::string queued, writing;
  bool sending = false, owed = false;
  bool last = false;  // nothing comes after what is to be sent
};

HttpSocket::HttpSocket(boost::asio::io_context& io, int socket, std::vector<char>& scratch,
                       std::weak_ptr<HttpSocketEvents> events, const TlsContext* tls) {
  try {
    state_ = std::make_shared<State>(io, scratch, std::move(events));
    if (tls) state_->tls = std::make_unique<TlsSession>(*tls);
    state_->socket.assign(HttpTcp::v4(), socket);  // other families are used in the same way
  } catch (...) {
    ::close(socket);
    throw;
  }
  HttpIoError ignored;
  state_->socket.non_blocking(true, ignored);
  state_->socket.set_option(HttpTcp::no_delay(true), ignored);  // tokens are small writes
  // What a client does not read waits here, where it is counted, and not in the system.
  state_->socket.set_option(HttpTcp::socket::send_buffer_size(kSendBuffer), ignored);
}

HttpSocket::~HttpSocket() { Close(); }

void HttpSocket::Read(Reading what) {
  state_->reading = what;
  if (what != Reading::kNothing && (!state_->early.empty() || state_->ended)) {
    boost::asio::post(state_->socket.get_executor(), [state = state_] {
      state->TellEarly();
      state->TellEnd();
      state->Arm();
    });
  }
  state_->Arm();
}

void HttpSocket::Write(std::string bytes) {
  State& s = *state_;
  (s.tls ? s.unsealed : s.queued) = std::move(bytes);
  s.owed = true;
  s.Flush();
}

void HttpSocket::WriteAtOnce(std::string_view bytes) {
  State& s = *state_;
  std::string sealed;
  if (s.tls) {
    if (s.sending) return;  // it would come into the middle of a record
    s.tls->Send(bytes);
    sealed = s.tls->TakeOutgoing();
    bytes = sealed;
  }
  HttpIoError ignored;
  s.socket.write_some(boost::asio::buffer(bytes.data(), bytes.size()), ignored);
}

void HttpSocket::EndSending() {
  State& s = *state_;
  if (s.tls) {
    s.tls->End();
    s.queued += s.tls->TakeOutgoing();
  }
  s.last = true;
  s.Flush();
}

void HttpSocket::Close() {
  HttpIoError ignored;
  state_->socket.close(ignored);
}

std::function<void()> HttpSocket::Waker() const {
  return [executor = state_->socket.get_executor(), weak = std::weak_ptr<State>(state_)] {
    boost::asio::post(executor, [weak] {
      if (const auto state = weak.lock()) state->Tell([](HttpSocketEvents& e) { e.OnWake(); });
    });
  };
}

}  // namespace retort
