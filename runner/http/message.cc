// SPDX-License-Identifier: Apache-2.0
#include "runner/http/message.h"

#include <algorithm>

#include "base/hex.h"
#include "base/strings.h"

namespace retort {
namespace {

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

// The status line and the fields that all answers have, without the empty line.
std::string HeadBytes(int status, std::string_view content_type, int version, bool keep_alive) {
  std::string head = Cat(version >= 11 ? "HTTP/1.1 " : "HTTP/1.0 ", status, " ", ReasonOf(status),
                         "\r\nServer: retort\r\n");
  if (!content_type.empty()) head += Cat("Content-Type: ", content_type, "\r\n");
  if (!keep_alive) head += "Connection: close\r\n";
  if (keep_alive && version < 11) head += "Connection: keep-alive\r\n";
  return head;
}

std::string FieldBytes(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string bytes;
  for (const auto& [name, value] : fields) bytes += Cat(name, ": ", value, "\r\n");
  return bytes;
}

}  // namespace

const std::string& HttpHead::Field(std::string_view name) const {
  static const std::string none;
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& field) { return field.first == name; });
  return at == fields.end() ? none : at->second;
}

int HttpHead::Count(std::string_view name) const {
  return static_cast<int>(std::count_if(fields.begin(), fields.end(),
                                        [&](const auto& field) { return field.first == name; }));
}

std::string AnswerBytes(const HttpAnswer& answer, int version, bool keep_alive, bool with_body) {
  std::string bytes = HeadBytes(answer.status, answer.content_type, version, keep_alive);
  bytes += FieldBytes(answer.headers);
  if (answer.status != 204) bytes += Cat("Content-Length: ", answer.body.size(), "\r\n");
  bytes += "\r\n";
  if (with_body) bytes += answer.body;
  return bytes;
}

std::string StreamHeadBytes(const HttpStream& stream, int version, bool keep_alive) {
  return Cat(HeadBytes(200, stream.content_type, version, keep_alive && version >= 11),
             "Cache-Control: no-cache\r\n", FieldBytes(stream.headers),
             version >= 11 ? "Transfer-Encoding: chunked\r\n" : "", "\r\n");
}

std::string ChunkBytes(std::string_view bytes) {
  std::string size;
  for (size_t left = bytes.size(); left > 0; left /= 16)
    size.insert(size.begin(), kHexDigits[left % 16]);
  return Cat(size, "\r\n", bytes, "\r\n");
}

std::string_view QueryValue(const HttpHead& head, std::string_view name) {
  std::string_view left = head.target;
  for (size_t at = left.find('?'); at != std::string_view::npos; at = left.find('&')) {
    left.remove_prefix(at + 1);
    const std::string_view pair = left.substr(0, left.find_first_of("&#"));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      return pair.substr(equals + 1);
  }
  return "";
}

std::optional<std::string> DecodePercent(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(16 * high + low);
    i += 2;
  }
  return decoded;
}

}  // namespace retort
