// SPDX-License-Identifier: Apache-2.0
// A connected socket that never blocks, for one connection of a server. Everything but Waker()'s
// result is used on the server's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace retort {

class TlsContext;

// Called from the server's loop, never from within a call to the socket. An exception closes the
// connection, through OnFailure().
class HttpSocketEvents {
 public:
  virtual ~HttpSocketEvents() = default;
  virtual void OnInput(std::string_view bytes) = 0;  // valid during the call only
  virtual void OnEnd() = 0;                          // the client has closed, if only its half
  virtual void OnWritten(bool all) = 0;
  virtual void OnWake() = 0;
  virtual void OnFailure() = 0;
};

class HttpSocket {
 public:
  enum class Reading {
    kNothing,
    kInput,  // OnInput() and OnEnd()
    kEnd,    // only OnEnd(). It may not be noticed after the client has sent more input.
  };

  // Takes over a connected socket. `scratch`, which sockets may share, holds what one read gives.
  // With `tls`, what is read and written is what the client says and is told within the session; a
  // handshake is no input.
  HttpSocket(boost::asio::io_context& io, int socket, std::vector<char>& scratch,
             std::weak_ptr<HttpSocketEvents> events, const TlsContext* tls = nullptr);
  ~HttpSocket();  // closes
  HttpSocket(const HttpSocket&) = delete;
  HttpSocket& operator=(const HttpSocket&) = delete;

  void Read(Reading what);
  // Leads to OnWritten(). One at a time.
  void Write(std::string bytes);
  // Writes what the system takes at once.
  void WriteAtOnce(std::string_view bytes);
  void EndSending();
  void Close();  // no event follows
  // A function that leads to OnWake(). May be called on any thread, and does nothing after the
  // socket is gone.
  std::function<void()> Waker() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace retort
