// SPDX-License-Identifier: Apache-2.0
// Where a server listens, and whom it lets in: --host, --port, --listen, --tls-cert, --api-key and
// what goes with them.
#pragma once

#include <string>
#include <vector>

#include "runner/http/server.h"
#include "runner/server/api_keys.h"

namespace CLI {  // NOLINT: the library's own
class App;
class Option;
}  // namespace CLI

namespace retort {

class ListenFlags {
 public:
  void Add(CLI::App& command);
  // Throws Error{kInput} for an address that is none, and for certificates without a port.
  HttpOptions Http() const;
  // Reads the file of keys. Throws Error{kInput} if it is faulty, or if a key is empty.
  std::vector<ApiKey> Keys() const;

 private:
  HttpOptions http_;
  std::string listen_, certificate_, tls_key_, api_key_, keys_;
  const CLI::Option* host_given_ = nullptr;
  const CLI::Option* port_given_ = nullptr;
  const CLI::Option* key_given_ = nullptr;
};

}  // namespace retort
