// SPDX-License-Identifier: Apache-2.0
#include "runner/http/rules.h"

#include <algorithm>
#include <random>

#include "base/ascii.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/random_text.h"
#include "base/strings.h"
#include "base/text.h"

namespace retort {
namespace {

// As a Host field spells it: an IPv6 address in brackets.
std::string Bracketed(const std::string& host) {
  const bool v6 = host.front() != '[' && std::count(host.begin(), host.end(), ':') > 1;
  return LowerCase(v6 ? Cat("[", host, "]") : host);
}

// "localhost" of "localhost:8080". Nullopt if the text is no host with an optional port.
std::optional<std::string> HostWithoutPort(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const size_t colon = text.find(':', bracket);
  const std::string_view host = text.substr(0, colon);
  const bool number = colon == std::string_view::npos ||
                      text.find_first_not_of(kDigits, colon + 1) == std::string_view::npos;
  const bool plain = std::none_of(host.begin(), host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '@' || c == ',' || c == '\\';
  });
  if (!number || !plain) return std::nullopt;
  return LowerCase(host);
}

bool IsWordCharacter(char c) {
  constexpr std::string_view kMarks = "-_.";
  return IsLetterOrDigit(c) || kMarks.find(c) != std::string_view::npos;
}

// A coding that is not understood would hide where the body ends, and so where the next request
// begins.
std::optional<HttpFault> CheckCoding(const HttpHead& head) {
  if (head.Count("transfer-encoding") == 0) return std::nullopt;
  const std::string& coding = head.Field("transfer-encoding");
  if (head.version < 11) return HttpFault{400, "HTTP/1.0 has no Transfer-Encoding"};
  if (head.Count("transfer-encoding") > 1 || !SameIgnoringCase(coding, "chunked")) {
    return HttpFault{
        501, Cat("Transfer-Encoding '", Shortened(coding), "' is not supported, only 'chunked'")};
  }
  return std::nullopt;
}

std::optional<HttpFault> CheckHost(const HttpHead& head, const HostRule& rule) {
  const int count = head.Count("host");
  if (count == 0 && head.version >= 11) return HttpFault{400, "the header has no Host"};
  if (count == 0 && head.authority.empty()) return std::nullopt;
  const std::string& called = head.authority.empty() ? head.Field("host") : head.authority;
  const auto host = HostWithoutPort(called);
  if (!host) return HttpFault{400, Cat("Host '", Shortened(called), "' is no host")};
  const auto end = rule.hosts.end();
  if (rule.any || std::find(rule.hosts.begin(), end, *host) != end) return std::nullopt;
  return HttpFault{403, Cat("this server does not answer to the host '", Shortened(*host),
                            "'; call it by its address, or start it with --allow-host NAME")};
}

}  // namespace

HostRule HostsOf(const std::string& host, const std::string& bound, bool loopback,
                 const std::vector<std::string>& more) {
  HostRule rule;
  rule.any = !loopback && more.empty();
  rule.hosts = {"localhost", "127.0.0.1", "[::1]", Bracketed(host), Bracketed(bound)};
  for (const std::string& name : more) {
    rule.hosts.push_back(name.empty() ? name : Bracketed(name));
    if (name.empty() || HostWithoutPort(rule.hosts.back()) != rule.hosts.back())
      throw InputError("--allow-host '", Shortened(name), "' must be a host's name without a port");
  }
  return rule;
}

std::string RequestIdOf(const HttpHead& head) {
  constexpr size_t kMostBytes = 128;
  const std::string& given = head.Field("x-request-id");
  if (!given.empty() && given.size() <= kMostBytes && std::ranges::all_of(given, IsWordCharacter))
    return given;
  thread_local std::mt19937_64 random{std::random_device{}()};
  return "req_" + RandomText(random, kHexDigits, 24);
}

std::optional<HttpFault> CheckHead(const HttpHead& head, const HostRule& hosts) {
  if (auto fault = CheckCoding(head)) return fault;
  for (const char* name :
       {"host", "authorization", "content-type", "content-encoding", "content-length"}) {
    if (head.Count(name) > 1)
      return HttpFault{400, Cat("the header has more than one '", name, "'")};
  }
  if (auto fault = CheckHost(head, hosts)) return fault;
  const std::string& expected = head.Field("expect");
  if (head.Count("expect") > 0 && !SameIgnoringCase(expected, "100-continue"))
    return HttpFault{417, Cat("'Expect: ", Shortened(expected), "' is not supported")};
  return std::nullopt;
}

}  // namespace retort
