// SPDX-License-Identifier: Apache-2.0
#include "runner/http/parser.h"

#include <boost/beast/http/basic_parser.hpp>

#include "base/strings.h"

namespace retort {
namespace {

namespace beast = boost::beast;
using ParseError = beast::error_code;

std::string_view Plain(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

// Collects what Beast finds. Beast's own collector throws at fields of 64 KiB and puts trailers
// among the header's fields, where they would be taken for what was judged before the body.
class HttpRequestCollector : public beast::http::basic_parser<true> {
 public:
  HttpRequestCollector(int64_t header_limit, int64_t most_body) : body_limit_(most_body) {
    // A header that needs more is limited by HttpParser, whose input it fills; a body here.
    this->header_limit(static_cast<uint32_t>(header_limit));
    this->body_limit(boost::none);
  }

  HttpHead head;
  std::string body;
  int64_t body_bytes = 0;
  bool drop = false, too_large = false;

  bool Fits(uint64_t bytes) {
    too_large = !drop && bytes > static_cast<uint64_t>(body_limit_ - body_bytes);
    return !too_large;
  }

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, ParseError&) override {
    head.method = Plain(method);
    head.target = Plain(target);
    head.version = version;
  }
  void on_response_impl(int, beast::string_view, int, ParseError&) override {}
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     ParseError&) override {
    if (!is_header_done()) head.fields.emplace_back(LowerCase(Plain(name)), Plain(value));
  }
  void on_header_impl(ParseError&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, ParseError&) override {}
  size_t on_body_impl(beast::string_view bytes, ParseError& error) override {
    return Keep(bytes, error);
  }
  void on_chunk_header_impl(uint64_t size, beast::string_view, ParseError& error) override {
    if (!Fits(size)) error = beast::http::error::body_limit;
  }
  size_t on_chunk_body_impl(uint64_t, beast::string_view bytes, ParseError& error) override {
    return Keep(bytes, error);
  }
  void on_finish_impl(ParseError&) override {}

  size_t Keep(beast::string_view bytes, ParseError& error) {
    if (!Fits(bytes.size())) {
      error = beast::http::error::body_limit;
      return 0;
    }
    body_bytes += static_cast<int64_t>(bytes.size());
    if (!drop) body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  int64_t body_limit_;
};

namespace {

// Fills path and authority from the target. False if the target is no path.
bool SplitTarget(HttpHead& head) {
  std::string_view path = head.target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!SameIgnoringCase(path.substr(0, scheme.size()), scheme)) continue;
    path.remove_prefix(scheme.size());
    const size_t end = std::min(path.find_first_of("/?"), path.size());
    head.authority = path.substr(0, end);
    path.remove_prefix(end);
    break;
  }
  path = path.substr(0, path.find_first_of("?#"));
  const auto decoded = DecodePercent(path);
  if (decoded) head.path = decoded->empty() ? "/" : *decoded;
  return decoded.has_value();
}

}  // namespace

struct HttpParser::State {
  State(int64_t header, int64_t body) : header_limit(header), body_limit(body) { Begin(); }

  void Begin() {
    collector = std::make_unique<HttpRequestCollector>(header_limit, body_limit);
    fault.reset();
    header_bytes = 0;
    head_read = false;
  }
  std::string_view Unread() const { return std::string_view(input).substr(at); }
  void Fail(int status, std::string message) { fault = HttpFault{status, std::move(message)}; }

  // Gives the collector what is unread. False if it needs more, or failed.
  bool Advance() {
    // Beast asserts that it has the five bytes of "0\r\n\r\n", which any chunked body needs to end.
    constexpr size_t kLeastChunked = 5;
    const bool chunked = collector->is_header_done() && collector->chunked();
    if (Unread().size() < (chunked ? kLeastChunked : 1)) return false;
    ParseError error;
    const size_t taken = collector->put({input.data() + at, input.size() - at}, error);
    at += taken;
    header_bytes = collector->is_header_done() ? 0 : header_bytes + static_cast<int64_t>(taken);
    if (error && error != beast::http::error::need_more) {
      Explain(error);
      return false;
    }
    // It needs more to read an unfinished header, chunk's header or trailer, never for body bytes.
    if (error && header_bytes + static_cast<int64_t>(Unread().size()) > header_limit) {
      Explain(beast::http::error::header_limit);
      return false;
    }
    return !error;
  }
  void Explain(const ParseError& error) {
    if (collector->too_large) {
      Fail(413, Cat("the body is larger than ", BytesText(body_limit)));
    } else if (error == beast::http::error::header_limit) {
      Fail(431, Cat(head_read ? "a chunk's header or the trailer" : "the header",
                    " is larger than ", BytesText(header_limit)));
    } else {
      Fail(400, Cat("not HTTP: ", error.message()));
    }
  }

  const int64_t header_limit, body_limit;
  std::string input;
  size_t at = 0;  // of the first unread byte of the input
  std::unique_ptr<HttpRequestCollector> collector;
  std::optional<HttpFault> fault;
  int64_t header_bytes = 0;
  bool head_read = false;
};

HttpParser::HttpParser(int64_t header_limit, int64_t body_limit)
    : state_(std::make_unique<State>(header_limit, body_limit)) {}
HttpParser::~HttpParser() = default;

void HttpParser::Put(std::string_view bytes) {
  state_->input.erase(0, state_->at);
  state_->at = 0;
  state_->input += bytes;
}

void HttpParser::Next() { state_->Begin(); }

bool HttpParser::started() const {
  return state_->collector->got_some() ||
         state_->Unread().find_first_not_of("\r\n") != std::string_view::npos;
}

bool HttpParser::ReadHead() {
  State& s = *state_;
  if (!s.collector->got_some()) {
    // Some clients send an empty line after a body, which belongs to nothing (RFC 9112, 2.2).
    s.at += std::min(s.Unread().find_first_not_of("\r\n"), s.Unread().size());
  }
  while (!s.fault && !s.head_read && s.Advance()) s.head_read = s.collector->is_header_done();
  if (!s.head_read || s.fault) return false;
  HttpHead& head = s.collector->head;
  if (!SplitTarget(head)) s.Fail(400, "the path has a % without two hexadecimal digits");
  head.keep_alive = s.collector->keep_alive();
  head.has_body = !s.collector->is_done();
  return !s.fault;
}

bool HttpParser::ReadBody() {
  State& s = *state_;
  if (s.fault) return false;
  const auto announced = s.collector->content_length();
  if (s.collector->body_bytes == 0 && announced && !s.collector->Fits(*announced)) {
    s.Explain({});
    return false;
  }
  while (!s.collector->is_done() && s.Advance()) {
  }
  return s.collector->is_done();
}

void HttpParser::DropBody() {
  state_->collector->drop = true;
  std::string().swap(state_->collector->body);
}

const std::optional<HttpFault>& HttpParser::fault() const { return state_->fault; }
const HttpHead& HttpParser::head() const { return state_->collector->head; }
int64_t HttpParser::body_bytes() const { return state_->collector->body_bytes; }
std::string HttpParser::TakeBody() { return std::move(state_->collector->body); }

}  // namespace retort
