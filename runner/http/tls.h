// SPDX-License-Identifier: Apache-2.0
// TLS 1.2 and 1.3 for a server's connections, by OpenSSL. It turns bytes into bytes: the sockets
// are somebody else's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace retort {

// What the sessions of a server share: its certificate and key.
class TlsContext {
 public:
  // Files in PEM form: the certificate, with those that lead to a known authority behind it, and
  // its key, without a password. Throws Error{kInput} if one cannot be read or they do not belong
  // together.
  TlsContext(Path certificate, Path key);
  ~TlsContext();

  // Reads both files again, for the sessions that begin from now on. If it throws, what was read
  // before stays in use.
  void Reload();

 private:
  friend class TlsSession;
  struct State;
  const Path certificate_, key_;
  std::unique_ptr<State> state_;
};

// The server's side of one connection. What it has to send, for itself or the caller, is to be
// taken and sent after each call.
class TlsSession {
 public:
  explicit TlsSession(const TlsContext& context);
  ~TlsSession();

  // Takes what has arrived, and appends what the client said to `plain`. False: the client has
  // ended the session, or what came is no TLS.
  bool Receive(std::string_view arrived, std::string& plain);
  // May be called once the client has said something.
  void Send(std::string_view plain);
  void End();
  std::string TakeOutgoing();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
