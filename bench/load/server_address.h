// SPDX-License-Identifier: Apache-2.0
// Where a server is.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

namespace retort {

// A server by its URL: "http://127.0.0.1:8080", with a path if its API is not at /v1.
struct ServerAddress {
  struct Endpoint {
    sockaddr_storage address;
    socklen_t size;
  };

  std::string url, host, port, path;
  std::vector<Endpoint> endpoints;  // those of its name, in the order to try; once resolved

  // As a request's Host, where an IPv6 address stands in brackets.
  std::string HostField() const;
};

// Throws Error{kInput} if it is no http:// URL.
ServerAddress ParseServerUrl(const std::string& url);

// The same with its endpoints, so that no request waits for a name server. Throws Error{kFailure}
// if the name is not known.
ServerAddress ResolveServerUrl(const std::string& url);

}  // namespace retort
