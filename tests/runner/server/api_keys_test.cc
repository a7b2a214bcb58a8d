// SPDX-License-Identifier: Apache-2.0
#include "runner/server/api_keys.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "runner/api/error.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

constexpr auto kOwner = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;

class ApiKeys : public testing::Test {
 protected:
  std::vector<ApiKey> Read(const std::string& text,
                           std::filesystem::perms permissions = kOwner) const {
    const Path file = folder_.Put("keys.json", text);
    std::filesystem::permissions(file, permissions);
    return ReadApiKeys(file);
  }
  std::string Fault(const std::string& text, std::filesystem::perms permissions = kOwner) const {
    try {
      Read(text, permissions);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(ApiKeys, AreReadWithTheirLimits) {
  const auto keys = Read(R"([{"key": "k1", "name": "shop", "requests_per_minute": 2},
      {"key": "k2", "name": "lab", "tokens_per_minute": 100, "parallel": 1}])");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].requests_per_minute, 2);
  EXPECT_EQ(keys[0].parallel, 0);
  EXPECT_EQ(keys[1].tokens_per_minute, 100);
  EXPECT_NE(Fault("[]").find("keys.json"), std::string::npos);
  EXPECT_NE(Fault(R"([{"key": "k"}])").find("key 1"), std::string::npos);
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a", "rpm": 1}])").find("'rpm'"), std::string::npos);
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a", "parallel": -1}])"), "");
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a"}, {"key": "k", "name": "b"}])").find("key 2"),
            std::string::npos);
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a"}, {"key": "l", "name": "a"}])"), "");
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a"}])", kOwner | std::filesystem::perms::others_read)
                .find("chmod 600"),
            std::string::npos);
}

TEST_F(ApiKeys, AreNotToldInErrors) {
  EXPECT_EQ(Fault(R"([{"key": "sesame" "name": "a"}])").find("sesame"), std::string::npos);
  EXPECT_NE(Fault("[oh").find("no valid JSON"), std::string::npos);
  // What is not private is not read.
  EXPECT_NE(Fault("[oh", kOwner | std::filesystem::perms::others_read).find("chmod 600"),
            std::string::npos);
  EXPECT_NE(Fault(R"([{"key": " k", "name": "a"}])").find("blanks"), std::string::npos);
  EXPECT_NE(Fault(R"([{"key": "k", "name": "a\n"}])").find("blanks"), std::string::npos);
}

int StatusOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const ApiError& e) {
    return e.status;
  }
  return 200;
}

TEST(KeyRing, KnowsItsKeys) {
  const KeyRing ring({{"k1", "shop"}, {"k2", "lab"}});
  EXPECT_EQ(ring.NameOf(ring.Find("k2")), "lab");
  EXPECT_EQ(StatusOf([&] { ring.Find("k3"); }), 401);
  EXPECT_EQ(StatusOf([&] { ring.Find(""); }), 401);
  const KeyRing open({});
  EXPECT_EQ(open.Find("anything"), -1);
  EXPECT_EQ(open.NameOf(-1), "");
}

TEST(KeyRing, LimitsEachKeyByItself) {
  KeyRing ring({{"k1", "shop", 2, 0, 0}, {"k2", "lab", 0, 100, 0}, {"k3", "one", 0, 0, 1}});
  const KeyRing::Clock::time_point start;
  const auto at = [&](int key, std::chrono::seconds since) {
    return StatusOf([&] { ring.Admit(key, start + since); });
  };
  EXPECT_EQ(at(0, 0s), 200);
  EXPECT_EQ(at(0, 10s), 200);
  EXPECT_EQ(at(0, 20s), 429);
  EXPECT_EQ(at(0, 59s), 429);
  EXPECT_EQ(at(0, 60s), 200);  // the first one is a minute ago
  EXPECT_EQ(at(0, 61s), 429);
  try {
    ring.Admit(0, start + 61s);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.code, "rate_limit_exceeded");
    ASSERT_EQ(e.headers.size(), 1u);
    EXPECT_EQ(e.headers[0].second, "9");  // until the second one is
  }
  EXPECT_EQ(at(1, 0s), 200);
  ring.Spend(1, 60, start + 1s);
  EXPECT_EQ(at(1, 2s), 200);
  ring.Spend(1, 40, start + 3s);
  EXPECT_EQ(at(1, 4s), 429);
  EXPECT_EQ(at(1, 62s), 200);
  {
    const auto first = ring.Admit(2, start);
    EXPECT_EQ(at(2, 0s), 429);
  }
  EXPECT_EQ(at(2, 0s), 200);
  EXPECT_EQ(at(-1, 0s), 200);
}

TEST(KeyRing, WaitsUntilTheSumOfTokensIsBelowTheLimit) {
  KeyRing ring({{"k", "lab", 0, 100, 0}});
  const KeyRing::Clock::time_point start;
  ring.Spend(0, 0, start);
  ring.Spend(0, 1, start + 1s);
  ring.Spend(0, 150, start + 20s);
  try {
    ring.Admit(0, start + 30s);
    FAIL();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.headers.at(0).second, "50");  // the first one alone would not do
  }
  EXPECT_EQ(StatusOf([&] { ring.Admit(0, start + 79s); }), 429);
  EXPECT_EQ(StatusOf([&] { ring.Admit(0, start + 80s); }), 200);
}

}  // namespace
}  // namespace retort
