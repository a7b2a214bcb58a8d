// SPDX-License-Identifier: Apache-2.0
#include "runner/http/message.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "runner/http/rules.h"

namespace retort {
namespace {

HttpHead HeadWith(std::vector<std::pair<std::string, std::string>> fields) {
  HttpHead head;
  head.fields = std::move(fields);
  return head;
}

int StatusOf(const HttpHead& head, const HostRule& rule) {
  const auto fault = CheckHead(head, rule);
  return fault ? fault->status : 200;
}

TEST(HttpMessage, WritesChunksWithTheirSizes) {
  EXPECT_EQ(ChunkBytes("a"), "1\r\na\r\n");
  EXPECT_EQ(ChunkBytes(std::string(300, 'x')), "12c\r\n" + std::string(300, 'x') + "\r\n");
}

TEST(HttpMessage, DecodesPercentEscapes) {
  EXPECT_EQ(DecodePercent("/a%2Fb%2f%20"), "/a/b/ ");
  EXPECT_EQ(DecodePercent("%41%zz"), std::nullopt);
  EXPECT_EQ(DecodePercent("%4"), std::nullopt);
  EXPECT_EQ(DecodePercent("%"), std::nullopt);
  EXPECT_EQ(DecodePercent("%41"), "A");
}

TEST(HttpRules, AHostThatOthersCanReachMayBeCalledByAnyName) {
  const HostRule any = HostsOf("0.0.0.0", "0.0.0.0", false, {});
  EXPECT_EQ(StatusOf(HeadWith({{"host", "any.example:80"}}), any), 200);
  EXPECT_EQ(StatusOf(HeadWith({}), any), 400);
  const HostRule named = HostsOf("0.0.0.0", "0.0.0.0", false, {"one.example"});
  EXPECT_EQ(StatusOf(HeadWith({{"host", "one.example"}}), named), 200);
  EXPECT_EQ(StatusOf(HeadWith({{"host", "any.example"}}), named), 403);
  const HostRule v6 = HostsOf("::1", "::1", true, {"fd00::2"});
  EXPECT_EQ(StatusOf(HeadWith({{"host", "[::1]:8080"}}), v6), 200);
  EXPECT_EQ(StatusOf(HeadWith({{"host", "[FD00::2]"}}), v6), 200);
  EXPECT_EQ(StatusOf(HeadWith({{"host", "[::1"}}), v6), 400);
  EXPECT_EQ(StatusOf(HeadWith({{"host", "localhost:80:80"}}), v6), 400);
}

TEST(HttpRules, AnAllowedHostHasNoPort) {
  for (const char* bad : {"", "a.example:80", "http://a.example", "a b"}) {
    EXPECT_THROW(HostsOf("127.0.0.1", "127.0.0.1", true, {bad}), Error) << bad;
  }
}

TEST(HttpRules, RefusesCodingsThatItDoesNotKnow) {
  const HostRule rule = HostsOf("127.0.0.1", "127.0.0.1", true, {});
  for (const char* coding :
       {"xchunked", "gzip", "identity", "chunked, gzip", "gzip, chunked", "chunked,", ""}) {
    EXPECT_EQ(StatusOf(HeadWith({{"host", "localhost"}, {"transfer-encoding", coding}}), rule), 501)
        << coding;
  }
  HttpHead head = HeadWith({{"host", "localhost"}, {"transfer-encoding", "Chunked"}});
  EXPECT_EQ(StatusOf(head, rule), 200);
  head.version = 10;
  EXPECT_EQ(StatusOf(head, rule), 400);
  EXPECT_EQ(StatusOf(HeadWith({{"host", "localhost"}, {"expect", "bananas"}}), rule), 417);
}

}  // namespace
}  // namespace retort
