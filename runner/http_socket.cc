// SPDX-License-Identifier: Apache-2.0
#include "runner/http_socket.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace retort {

using HttpTcp = boost::asio::ip::tcp;
using HttpIoError = boost::system::error_code;

constexpr int kSendBuffer = 128 << 10;

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
    if (armed || reading == Reading::kNothing || !socket.is_open()) return;
    armed = true;
    socket.async_wait(HttpTcp::socket::wait_read,
                      [self = shared_from_this()](const HttpIoError& error) {
                        self->armed = false;
                        if (!error) self->OnReadable();
                      });
  }

  void OnReadable() {
    if (reading == Reading::kNothing) return;
    const bool peek = reading == Reading::kEnd;
    HttpIoError error;
    const size_t count =
        peek ? socket.receive(boost::asio::buffer(scratch, 1), HttpTcp::socket::message_peek, error)
             : socket.read_some(boost::asio::buffer(scratch), error);
    if (error == boost::asio::error::would_block) return Arm();
    if (error) return Tell([](HttpSocketEvents& e) { e.OnEnd(); });
    if (peek) return;
    Tell([&](HttpSocketEvents& e) { e.OnInput({scratch.data(), count}); });
    Arm();
  }

  HttpTcp::socket socket;
  std::vector<char>& scratch;
  std::weak_ptr<HttpSocketEvents> events;
  Reading reading = Reading::kNothing;
  bool armed = false;
  std::string writing;
};

HttpSocket::HttpSocket(boost::asio::io_context& io, int socket, std::vector<char>& scratch,
                       std::weak_ptr<HttpSocketEvents> events) {
  try {
    state_ = std::make_shared<State>(io, scratch, std::move(events));
    state_->socket.assign(HttpTcp::v4(), socket);  // IPv6 is used in the same way
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
  state_->Arm();
}

void HttpSocket::Write(std::string bytes) {
  state_->writing = std::move(bytes);
  boost::asio::async_write(state_->socket, boost::asio::buffer(state_->writing),
                           [state = state_](const HttpIoError& error, size_t) {
                             state->Tell([&](HttpSocketEvents& e) { e.OnWritten(!error); });
                           });
}

void HttpSocket::WriteAtOnce(std::string_view bytes) {
  HttpIoError ignored;
  state_->socket.write_some(boost::asio::buffer(bytes.data(), bytes.size()), ignored);
}

void HttpSocket::EndSending() {
  HttpIoError ignored;
  state_->socket.shutdown(HttpTcp::socket::shutdown_send, ignored);
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
