// SPDX-License-Identifier: Apache-2.0
// Requests and answers of HTTP/1.1 as plain data, and answers as bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace retort {

// A request's first line and header fields. Trailers are never among them.
struct HttpHead {
  std::string method;
  std::string target;     // as sent
  std::string path;       // without query, percent escapes decoded
  std::string authority;  // of a target in absolute form, "http://AUTHORITY/path"; else empty
  int version = 11;       // 10 or 11
  bool keep_alive = false;
  bool has_body = false;                                    // a body is announced
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

  // The first field of this name (in lower case), or "".
  const std::string& Field(std::string_view name) const;
  int Count(std::string_view name) const;
};

// A request's share of the memory that all bodies may take together. Given back on destruction, on
// any thread.
class BodyShare {
 public:
  explicit BodyShare(std::shared_ptr<std::atomic<int64_t>> used) : used_(std::move(used)) {}
  ~BodyShare() { Clear(); }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  int64_t bytes() const { return bytes_; }
  void Grow(int64_t bytes) {
    bytes_ += bytes;
    *used_ += bytes;
  }
  void Clear() { Grow(-bytes_); }

 private:
  std::shared_ptr<std::atomic<int64_t>> used_;
  int64_t bytes_ = 0;
};

struct HttpRequest {
  HttpHead head;
  std::string body;
  std::shared_ptr<BodyShare> share;  // to be kept as long as the body
  std::string id;                    // the answer's X-Request-Id
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

// The beginning of an answer that is sent piece by piece.
struct HttpStream {
  std::string content_type;
  std::string ping;        // sent after some seconds of silence; empty: nothing is
  std::string last_words;  // sent as the last piece if the server stops before the stream's end
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// A reason to refuse a request, with the status to answer.
struct HttpFault {
  int status = 400;
  std::string message;
};

// An answer as bytes. with_body: false for HEAD, whose answer has the header alone.
std::string AnswerBytes(const HttpAnswer& answer, int version, bool keep_alive, bool with_body);
// The header of a stream: chunks for HTTP/1.1; for 1.0 the connection's end is the stream's.
std::string StreamHeadBytes(const HttpStream& stream, int version, bool keep_alive);
std::string ChunkBytes(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The value of a name in the target's query, as sent; "" if there is none.
std::string_view QueryValue(const HttpHead& head, std::string_view name);

// "%2F" as "/". Nullopt if an escape is not followed by two hexadecimal digits.
std::optional<std::string> DecodePercent(std::string_view text);

}  // namespace retort
