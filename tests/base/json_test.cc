// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace retort {
namespace {

std::string MessageOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Json, ErrorsNameThePlace) {
  EXPECT_NE(MessageOf([] { ParseJson("{\"a\": }", "f.json"); }).find("f.json: not JSON: at line 1"),
            std::string::npos);
  const Json j = ParseJson(R"({"n": 3, "f": 2.5, "s": "t", "e": 1e3})", "f.json");
  EXPECT_EQ(GetInt(j, "n", "f.json"), 3);
  EXPECT_EQ(GetInt(j, "e", "f.json"), 1000);
  EXPECT_EQ(GetInt(j, "absent", "f.json", 7), 7);
  EXPECT_EQ(MessageOf([&] { GetInt(j, "f", "f.json"); }), "f.json: 'f' must be an integer");
  EXPECT_EQ(MessageOf([&] { GetString(j, "x", "f.json"); }), "f.json: 'x' is missing");
}

TEST(Json, NumbersBeyondDoubleAreRefused) {
  EXPECT_EQ(MessageOf([] { ParseJson("{\"a\": 1e999}", "f.json"); }),
            "f.json: not JSON: number overflow parsing '1e999'");
}

TEST(Json, CommentsOnlyWhereAllowed) {
  EXPECT_EQ(ParseJson("{/*c*/ \"a\": 1} // end", "r", true)["a"], 1);
  EXPECT_THROW(ParseJson("{/*c*/}", "r"), Error);
}

TEST(Json, DepthIsCapped) {
  const std::string deep(100000, '[');
  EXPECT_NE(MessageOf([&] { ParseJson(deep, "d"); }).find("nested deeper"), std::string::npos);
  EXPECT_NE(MessageOf([&] { ParseJson(deep, "d", true); }).find("nested deeper"),
            std::string::npos);
}

}  // namespace
}  // namespace retort
