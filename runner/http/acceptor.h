// SPDX-License-Identifier: Apache-2.0
// Takes the clients of one listener into the connections of a server, as far as there is room.
#pragma once

#include <memory>

#include "runner/http/connection.h"
#include "runner/http/listener.h"

namespace retort {

class HttpAcceptor {
 public:
  // Used on the thread of `io`. shared and tls, which may be null, must outlive it.
  HttpAcceptor(boost::asio::io_context& io, HttpShared& shared, HttpListener listener,
               const TlsContext* tls = nullptr);
  ~HttpAcceptor();
  HttpAcceptor(const HttpAcceptor&) = delete;
  HttpAcceptor& operator=(const HttpAcceptor&) = delete;

  const HttpListener& listener() const;
  void Close();  // accepts no more

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
