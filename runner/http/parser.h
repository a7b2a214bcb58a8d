// SPDX-License-Identifier: Apache-2.0
// Reads requests out of a connection's bytes, one after the other, as they arrive. It knows no
// sockets and never keeps more than a header, a body and one piece of input.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/http/message.h"

namespace retort {

class HttpParser {
 public:
  // header_limit: bytes of a request's header; also of a chunk's header and of all trailers, which
  // are read past. body_limit: bytes of a body.
  HttpParser(int64_t header_limit, int64_t body_limit);
  ~HttpParser();

  void Put(std::string_view bytes);  // input that follows the earlier one
  void Next();                       // begins another request with the input that is left
  // Whether anything of the present request has arrived. Empty lines before it are not counted.
  bool started() const;

  // Reads on. True once the header is complete; then head() may be read. False: it needs more
  // input, or there is a fault().
  bool ReadHead();
  // The same for the body, after the header. A body of more than the limit is a fault, known at
  // once if the header announces its size.
  bool ReadBody();
  // What the body has and will have is thrown away, and has no limit.
  void DropBody();

  const std::optional<HttpFault>& fault() const;
  const HttpHead& head() const;
  int64_t body_bytes() const;  // that have arrived
  std::string TakeBody();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
