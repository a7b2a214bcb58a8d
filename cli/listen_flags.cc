// SPDX-License-Identifier: Apache-2.0
#include "cli/listen_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/strings.h"

namespace retort {
namespace {

Path SocketFile(std::string_view listen) {
  constexpr std::string_view kScheme = "unix:";
  if (!StartsWith(listen, kScheme))
    throw InputError("--listen '", listen,
                     "' must be unix:FILE; --host and --port name an address");
  return Path(listen.substr(kScheme.size()));
}

}  // namespace

void ListenFlags::Add(CLI::App& command) {
  host_given_ = command.add_option("--host", http_.host, "address to listen on");
  port_given_ =
      command.add_option("--port", http_.port, "port; 0: a free one")->check(CLI::Range(0, 65535));
  CLI::Option* certificate = command.add_option(
      "--tls-cert", certificate_,
      "a PEM file with the certificate of TLS, and with those that lead to a known authority");
  CLI::Option* tls_key =
      command.add_option("--tls-key", tls_key_, "a PEM file with the certificate's key");
  certificate->needs(tls_key);
  tls_key->needs(certificate);
  command.add_option("--listen", listen_,
                     "unix:FILE, a socket to listen on, instead of the port or beside it");
  command
      .add_option("--allow-host", http_.allowed_hosts,
                  "a further host name by which clients may call the server")
      ->allow_extra_args(false);
  key_given_ =
      command
          .add_option("--api-key", api_key_, "what clients must send as Authorization: Bearer KEY")
          ->envname("RETORT_API_KEY");
  command.add_option("--keys", keys_,
                     "a JSON list of keys with names and limits, one for each client");
}

HttpOptions ListenFlags::Http() const {
  HttpOptions http = http_;
  if (!listen_.empty()) {
    http.file = SocketFile(listen_);
    http.on_port = host_given_->count() + port_given_->count() > 0;
  }
  if (!certificate_.empty() && !http.on_port)
    throw InputError("--tls-cert is of a port, and --listen alone has none; give a --port too");
  http.certificate = certificate_;
  http.key = tls_key_;
  return http;
}

std::vector<ApiKey> ListenFlags::Keys() const {
  // An empty key would let everybody in, which is hardly what was meant.
  if (key_given_->count() > 0 && api_key_.empty())
    throw InputError("--api-key is empty; leave it out to serve without a key");
  std::vector<ApiKey> keys;
  if (!keys_.empty()) keys = ReadApiKeys(keys_);
  if (!api_key_.empty()) keys.push_back({api_key_, "api-key"});
  return keys;
}

}  // namespace retort
