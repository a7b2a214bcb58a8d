// SPDX-License-Identifier: Apache-2.0
// What a request's header must fulfil, whatever it asks for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/http/message.h"

namespace retort {

// The hosts by which a server may be called. A web page whose own name was made to lead to this
// machine ("DNS rebinding") calls it by that name, and could otherwise read its answers.
struct HostRule {
  bool any = false;                // every host is allowed
  std::vector<std::string> hosts;  // in lower case, without port; "[::1]" for an IPv6 address
};

// The rule of a server that listens on `bound` ("127.0.0.1", "::1"), as it was told to by `host`.
// Without `more`, one that other machines can reach may be called by any name. Throws Error{kInput}
// if one of `more` is no host name.
HostRule HostsOf(const std::string& host, const std::string& bound, bool loopback,
                 const std::vector<std::string>& more);

// The fault of a header: framing that is not understood (the connection cannot be used further), a
// field twice that may stand once, a host that is missing or not allowed.
std::optional<HttpFault> CheckHead(const HttpHead& head, const HostRule& hosts);

// The id by which a request is known in logs and to its client: the one in its X-Request-Id, if
// that is a word of at most 128 letters, digits, '-', '_' and '.', or a random one.
std::string RequestIdOf(const HttpHead& head);

}  // namespace retort
