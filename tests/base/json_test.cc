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

// The library takes NUL for the end of the text and would ignore what follows.
TEST(Json, ANulIsRefusedWhereverItStands) {
  const auto text = [](const char* before, const char* after) {
    return std::string(before) + '\0' + after;
  };
  EXPECT_EQ(MessageOf([&] { ParseJson(text("{}", "garbage"), "f.json"); }),
            "f.json: not JSON: a NUL character at line 1, column 3");
  EXPECT_EQ(MessageOf([&] { ParseJson(text("{\n \"a", "\": 1}"), "f.json"); }),
            "f.json: not JSON: a NUL character at line 2, column 4");
  EXPECT_NE(MessageOf([&] { ParseJson(text("{} // ", ""), "f.json", true); }), "");
  EXPECT_EQ(MessageOf([] { RefuseNul("a\\u0000", "f"); }), "")
      << "an escape is a text's own affair";
}

TEST(Json, AKeyGivenTwiceIsRefusedByName) {
  EXPECT_EQ(MessageOf([] { ParseJson(R"({"a": 1, "b": 2, "a": 1})", "f.json"); }),
            "f.json: key 'a' is given twice; keep one of them");
  EXPECT_EQ(MessageOf([] { ParseJson(R"({"x": {"y": [0, {"a": 1, "\u0061": 2}]}})", "f.json"); }),
            "f.json: key 'x.y.[1].a' is given twice; keep one of them");
  EXPECT_EQ(ParseJson(R"({"a": {"b": 1}, "b": {"b": 2}})", "f").dump(),
            R"({"a":{"b":1},"b":{"b":2}})");
  EXPECT_EQ(ParseJson(R"({"a": 1, "b": 2, "a": 3})", "f", false, RepeatedKeys::kLast).dump(),
            R"({"b":2,"a":3})");
}

// As the library itself builds it.
TEST(Json, TheTreeIsTheLibrarys) {
  const char* const text = R"( {"z": [1, -2, 2.5, true, false, null, "é\n", [], {}],
    "a": {"b": {"c": [[[1]], {"d": 18446744073709551615}]}, "": ""}, "k": -0.0})";
  EXPECT_EQ(ParseJson(text, "f"), Json::parse(text));
  EXPECT_EQ(ParseJson(text, "f").dump(), Json::parse(text).dump());
  for (const char* plain : {"1", "\"a\"", "null", "[]", " {} "})
    EXPECT_EQ(ParseJson(plain, "f"), Json::parse(plain));
  for (const char* broken : {"", " ", "{", "[1,]", "{\"a\":1,}", "1 2", "{} x", "nul", "'a'"})
    EXPECT_NE(MessageOf([&] { ParseJson(broken, "f"); }).find("f: not JSON: "), std::string::npos);
}

// Compared in pairs, the keys of either object would take hours.
TEST(Json, AnObjectOfManyKeysTakesLinearTime) {
  const std::string start(1000, 'k');
  std::string text = "{", alike = "{";
  for (int i = 0; i < 300000; ++i) text += Cat(i ? "," : "", "\"", i, "\":0");
  for (int i = 0; i < 20000; ++i) alike += Cat(i ? "," : "", "\"", start, i, "\":0");
  EXPECT_EQ(ParseJson(text + "}", "f").size(), 300000u);
  EXPECT_EQ(ParseJson(alike + "}", "f").size(), 20000u);
  Json built;
  for (int i = 0; i < 300000; ++i) AddMember(built, Cat(i), 0);
  EXPECT_EQ(built.dump().size(), text.size() + 1);
}

TEST(Json, AnErrorRepeatsLittleOfTheText) {
  const std::string message =
      MessageOf([] { ParseJson("{\"a\": \"" + std::string(1 << 20, 'x') + "\n\"}", "f.json"); });
  EXPECT_LE(message.size(), 400u);
  EXPECT_TRUE(message.starts_with("f.json: not JSON: at line ")) << message;
}

}  // namespace
}  // namespace retort
