// SPDX-License-Identifier: Apache-2.0
// A client of an OpenAI-compatible server: requests over one connection that is kept, whose answers
// are read as they come.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "bench/load/server_address.h"

namespace retort {

class StreamClient {
 public:
  using Clock = std::chrono::steady_clock;
  // A piece of a body, and when it came: the same time for all that came at once.
  using OnData = std::function<void(std::string_view piece, Clock::time_point when)>;

  // server: with its endpoints. key: sent as Authorization: Bearer KEY; "": none. seconds: how long
  // a whole answer may take, with connecting.
  StreamClient(const ServerAddress& server, std::string key, int seconds);
  ~StreamClient() { Close(); }
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;

  // path: behind the server's, as "/models". Both throw Error{kFailure} if there is no answer, it
  // does not end in time, or its status is not 200. Get refuses bodies above 16 MiB.
  std::string Get(std::string_view path);
  void Post(std::string_view path, const std::string& body, const OnData& on_data);

 private:
  void Connect();
  void Close();
  void Exchange(const std::string& request, const OnData& on_data);
  void ReadBody(std::string_view head, const OnData& on_data);
  void ReadChunks(const OnData& on_data);
  [[noreturn]] void ThrowStatus(size_t status, std::string_view head);
  std::string HeadOf(std::string_view method, std::string_view path) const;
  void Send(std::string_view bytes);
  bool Receive();                            // appends to arrived_; false: the connection has ended
  std::string ReadTo(std::string_view end);  // what comes before `end`, which is taken too
  void ReadBytes(size_t count, const OnData& on_data);
  void WaitFor(short event) const;  // of the socket, until the deadline
  [[noreturn]] void ThrowCutOff() const;

  const ServerAddress& server_;
  const std::string key_;
  const int seconds_;
  Clock::time_point deadline_;
  Clock::time_point received_;  // when the last of arrived_ came
  int socket_ = -1;
  std::string arrived_;
};

}  // namespace retort
