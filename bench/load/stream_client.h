// SPDX-License-Identifier: Apache-2.0
// A client of an OpenAI-compatible server: requests over one connection that is kept, whose answers
// are read as they come.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace retort {

// A server by its URL: "http://127.0.0.1:8080", with a path if its API is not at /v1.
struct ServerAddress {
  std::string url, host, port, path;
};
// Throws Error{kInput} if it is no http:// URL.
ServerAddress ParseServerUrl(const std::string& url);

class StreamClient {
 public:
  // key: sent as Authorization: Bearer KEY; "": none. seconds: how long to wait for the next bytes.
  StreamClient(ServerAddress server, std::string key, int seconds);
  ~StreamClient() { Close(); }
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;

  // path: behind the server's, as "/models". Both throw Error{kFailure} if there is no answer or
  // its status is not 200.
  std::string Get(std::string_view path);
  // on_data: called with each piece of the body as it comes.
  void Post(std::string_view path, const std::string& body,
            const std::function<void(std::string_view piece)>& on_data);

 private:
  void Connect();
  void Close();
  void Exchange(const std::string& request, const std::function<void(std::string_view)>& on_data);
  void ReadBody(std::string_view head, const std::function<void(std::string_view)>& on_data);
  std::string HeadOf(std::string_view method, std::string_view path) const;
  void Send(std::string_view bytes);
  bool Receive();                            // appends to arrived_; false: the connection has ended
  std::string ReadTo(std::string_view end);  // what comes before `end`, which is taken too
  void ReadBytes(size_t count, const std::function<void(std::string_view)>& on_data);

  const ServerAddress server_;
  const std::string key_;
  const int seconds_;
  int socket_ = -1;
  std::string arrived_;
};

}  // namespace retort
