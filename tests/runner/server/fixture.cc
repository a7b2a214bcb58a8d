// SPDX-License-Identifier: Apache-2.0
#include "tests/runner/server/fixture.h"

#include <nlohmann/json.hpp>

namespace retort {

std::vector<Json> Events(const std::string& body) {
  std::vector<Json> events;
  size_t at = 0;
  while (at < body.size()) {
    const size_t end = body.find("\n\n", at);
    EXPECT_EQ(body.compare(at, 6, "data: "), 0) << body.substr(at, 60);
    if (end == std::string::npos) break;
    const std::string data = body.substr(at + 6, end - at - 6);
    at = end + 2;
    if (data == "[DONE]") {
      EXPECT_EQ(at, body.size()) << "something after [DONE]";
      return events;
    }
    events.push_back(ParseJson(data, "event"));
  }
  ADD_FAILURE() << "no [DONE]";
  return events;
}

Json ServerTest::AskJson(const std::string& request) {
  return ParseJson(Ask(request).body, "answer");
}

Json ServerTest::Refused(int status, const RawAnswer& answer) {
  EXPECT_EQ(answer.status, status) << answer.body;
  if (answer.status != status) return {};
  const Json error = ParseJson(answer.body, "error")["error"];
  EXPECT_TRUE(error["message"].is_string() && error["type"].is_string());
  EXPECT_TRUE(error.contains("param") && error.contains("code"));
  return error;
}

Json ServerTest::Refused(int status, const std::string& path, const std::string& body) {
  return Refused(status, Ask(Post(path, body)));
}

}  // namespace retort
