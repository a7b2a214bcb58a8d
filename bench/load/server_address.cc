// SPDX-License-Identifier: Apache-2.0
#include "bench/load/server_address.h"

#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace retort {

std::string ServerAddress::HostField() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? Cat("[", host, "]:", port) : Cat(host, ":", port);
}

ServerAddress ParseServerUrl(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  ServerAddress server;
  server.url = url;
  if (!StartsWith(url, kScheme))
    throw InputError(Quoted(url), " is no URL of a server; it begins with http://");
  std::string_view rest = std::string_view(url).substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  server.path = rest.substr(slash);
  while (EndsWith(server.path, "/")) server.path.pop_back();
  if (server.path.empty()) server.path = "/v1";
  rest = rest.substr(0, slash);
  const size_t bracket = StartsWith(rest, "[") ? rest.find(']') : 0;
  const size_t colon = bracket == std::string_view::npos ? bracket : rest.find(':', bracket);
  server.host = rest.substr(bracket > 0, bracket > 0 ? bracket - 1 : colon);
  server.port = colon == std::string_view::npos ? "80" : std::string(rest.substr(colon + 1));
  if (server.host.empty() || server.port.empty())
    throw InputError(Quoted(url), " is no URL of a server; as http://127.0.0.1:8080");
  return server;
}

ServerAddress ResolveServerUrl(const std::string& url) {
  ServerAddress server = ParseServerUrl(url);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int fault = ::getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &found);
  if (fault != 0) throw Failure(url, ": ", ::gai_strerror(fault));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    ServerAddress::Endpoint& endpoint = server.endpoints.emplace_back();
    endpoint.size = a->ai_addrlen;
    std::memcpy(&endpoint.address, a->ai_addr, a->ai_addrlen);
  }
  return server;
}

}  // namespace retort
