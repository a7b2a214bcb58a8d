// SPDX-License-Identifier: Apache-2.0
#include "runner/http/parser.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace retort {
namespace {

struct Parsed {
  std::string method, path, body;
  int fault = 0;  // a status; 0: none
  bool whole = false;
};

// Everything that `input` says, given in pieces of `size` bytes.
std::vector<Parsed> ParseAll(const std::string& input, size_t size, int64_t header_limit = 1000,
                             int64_t body_limit = 1000) {
  HttpParser parser(header_limit, body_limit);
  std::vector<Parsed> all;
  size_t at = 0;
  for (;;) {
    Parsed one;
    bool head = false;
    while (!one.whole && one.fault == 0) {
      head = head || parser.ReadHead();
      one.whole = head && parser.ReadBody();
      if (parser.fault()) one.fault = parser.fault()->status;
      if (one.whole || one.fault != 0) break;
      if (at >= input.size()) break;
      parser.Put(std::string_view(input).substr(at, size));
      at += size;
    }
    if (!parser.started() && one.fault == 0) return all;
    one.method = parser.head().method;
    one.path = parser.head().path;
    one.body = parser.TakeBody();
    all.push_back(one);
    if (!one.whole) return all;
    parser.Next();
  }
}

const std::vector<size_t> kPieces = {1, 2, 3, 7, 64, 100000};

TEST(HttpParser, ReadsRequestsInAnyPieces) {
  const std::string input =
      "\r\nGET /a%20b?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n"
      "POST http://h:1/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n"
      "GET http://h HTTP/1.1\r\n\r\n";
  for (const size_t size : kPieces) {
    const std::vector<Parsed> all = ParseAll(input, size);
    ASSERT_EQ(all.size(), 4u) << size;
    EXPECT_EQ(all[0].path, "/a b");
    EXPECT_EQ(all[1].body, "hello");
    EXPECT_EQ(all[2].path, "/c");
    EXPECT_EQ(all[2].body, "abcde");
    EXPECT_EQ(all[3].path, "/");
    EXPECT_TRUE(all[3].whole);
  }
}

TEST(HttpParser, KeepsTrailersOutOfTheHeader) {
  HttpParser parser(1000, 1000);
  parser.Put("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: x\r\n\r\n");
  ASSERT_TRUE(parser.ReadHead());
  ASSERT_TRUE(parser.ReadBody());
  EXPECT_EQ(parser.head().fields.size(), 1u);
}

TEST(HttpParser, BoundsHeadersChunksTrailersAndBodies) {
  const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string x5000(5000, '0');
  const std::vector<std::pair<std::string, int>> cases = {
      {"GET /" + x5000, 431},
      {"GET / HTTP/1.1\r\nX: " + x5000, 431},
      {"GET / HTTP/1.1\r\n" + x5000 + ": 1", 431},
      {chunked + "0\r\nX: " + x5000, 431},
      {chunked + "0\r\n" + x5000, 431},
      {chunked + "1;e=" + x5000, 431},
      {chunked + "1" + x5000, 431},
      {chunked + "3e9\r\n", 413},
      {chunked + "1\r\na\r\nfffffffffffffff0\r\n", 413},
      {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {chunked + "x\r\n\r\n", 400},
      {"GET /%zz HTTP/1.1\r\n\r\n", 400},
      {"nonsense\r\n\r\n", 400}};
  for (const auto& [input, status] : cases) {
    for (const size_t size : {size_t{1}, size_t{37}}) {
      const std::vector<Parsed> all = ParseAll(input, size);
      ASSERT_EQ(all.size(), 1u) << input.substr(0, 60);
      EXPECT_EQ(all[0].fault, status) << input.substr(0, 60) << " in pieces of " << size;
    }
  }
}

TEST(HttpParser, ALongTrailerInOnePieceThrowsNothing) {
  for (const size_t size : {size_t{65533}, size_t{65534}, size_t{70000}}) {
    const std::string field(size, '0');
    for (const std::string& trailer : {"X: " + field, field + ": v"}) {
      const std::string input =
          Cat("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", trailer, "\r\n\r\n");
      const std::vector<Parsed> all = ParseAll(input, input.size());
      ASSERT_EQ(all.size(), 1u);
      EXPECT_TRUE(all[0].whole || all[0].fault != 0);
    }
  }
}

TEST(HttpParser, DropsABodyThatNobodyWants) {
  HttpParser parser(1000, 10);
  parser.Put("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n");
  ASSERT_TRUE(parser.ReadHead());
  parser.DropBody();
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(parser.ReadBody());
    parser.Put(std::string(100, 'x'));
  }
  EXPECT_TRUE(parser.ReadBody());
  EXPECT_EQ(parser.body_bytes(), 5000);
  EXPECT_EQ(parser.TakeBody(), "");
}

}  // namespace
}  // namespace retort
