// SPDX-License-Identifier: Apache-2.0
#include "runner/server/routes.h"

#include <algorithm>
#include <set>

#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

std::string PathOf(const Endpoint& endpoint) {
  return endpoint.path == "/models/" || endpoint.path == "/v1/models/"
             ? std::string(endpoint.path) + "tiny"
             : std::string(endpoint.path);
}

TEST(Routes, FewEndpointsNeedNoKey) {
  std::set<std::string_view> open;
  for (const Endpoint& endpoint : Endpoints()) {
    if (endpoint.access == Access::kOpen) open.insert(endpoint.path);
  }
  EXPECT_EQ(open, (std::set<std::string_view>{"/", "/health", "/v1/health", "/livez", "/readyz"}));
}

TEST(Routes, EachPathFindsItsOwnRow) {
  for (const Endpoint& endpoint : Endpoints()) {
    HttpHead head;
    head.path = PathOf(endpoint);
    head.method = endpoint.method == Method::kPost ? "POST" : "GET";
    const Route route = FindRoute(head);
    EXPECT_EQ(route.endpoint, &endpoint) << head.path;
    EXPECT_EQ(DialectOf(head.path), endpoint.dialect) << head.path;
    EXPECT_EQ(route.rest, head.path.substr(endpoint.path.size()));
    head.method = endpoint.method == Method::kPost ? "GET" : "POST";
    EXPECT_THROW(FindRoute(head), ApiError) << head.path;
  }
}

TEST(Routes, UnknownPathsHaveADialectToo) {
  EXPECT_EQ(DialectOf("/api/nothing"), Dialect::kOllama);
  EXPECT_EQ(DialectOf("/v1/messages/nothing"), Dialect::kAnthropic);
  EXPECT_EQ(DialectOf("/nothing"), Dialect::kOpenAi);
}

TEST_F(ServerTest, EveryOtherEndpointWantsAKey) {
  options_.keys = {{"secret", "someone"}};
  Start();
  for (const Endpoint& endpoint : Endpoints()) {
    const std::string path = PathOf(endpoint);
    const RawAnswer answer = Ask(endpoint.method == Method::kPost ? Post(path, "{}") : Get(path));
    EXPECT_EQ(answer.status == 401, endpoint.access == Access::kWithKey) << path;
  }
}

}  // namespace
}  // namespace retort
