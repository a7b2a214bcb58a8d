// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace retort {
namespace {

std::string Text(const InspectReport& report) {
  std::string out;
  for (const std::string& line : report.Lines()) out += line + "\n";
  return out;
}

TEST(InspectReport, IsTwoTablesOrOneObject) {
  InspectReport report("GGUF file", "m.gguf");
  report.AddFact("version", 3);
  report.AddFact("general.name", "naïve");
  report.AddTensor("a.weight", "F32", {2, 3}, 24);
  EXPECT_EQ(Text(report),
            "m.gguf: GGUF file\n"
            "  version       3\n"
            "  general.name  naïve\n"
            "\n"
            "  a.weight  F32  [2, 3]  24 B\n");
  EXPECT_EQ(report.JsonLine(),
            R"({"kind":"GGUF file","path":"m.gguf","facts":{"version":3,"general.name":"naïve"},)"
            R"("tensors":[{"name":"a.weight","type":"F32","shape":[2,3],"bytes":24}]})");
}

TEST(InspectReport, NestedObjectsAreFactsOfTheirOwn) {
  InspectReport report("run", "r");
  report.AddFacts({{"a", {{"b", 1}, {"c", {{"d", true}}}}}, {"e", {1, 2}}}, "recipe.");
  EXPECT_EQ(ParseJson(report.JsonLine(), "x")["facts"],
            Json({{"recipe.a.b", 1}, {"recipe.a.c.d", true}, {"recipe.e", {1, 2}}}));
}

TEST(InspectReport, WhatATerminalWouldActOnIsEscaped) {
  const auto shown = [](const std::string& text) {
    InspectReport report("GGUF file", "m");
    report.AddFact("key", text);
    const std::string line = report.Lines()[1];
    EXPECT_TRUE(StartsWith(line, "  key  ")) << line;
    return line.substr(7);
  };
  EXPECT_EQ(shown("a\x1b]0;owned\x07\n\x7f"), "a\\x1b]0;owned\\x07\\n\\x7f");
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m \xe2\x80\xae"
                  "abc"),
            "\\u009b31m \\u202eabc");
  EXPECT_EQ(shown("東京 😀"), "東京 😀");
  EXPECT_LT(shown(std::string(1 << 20, 'x')).size(), 300u);
}

// One long key does not pad the lines of the others, and a key with many members is not repeated
// before each.
TEST(InspectReport, StaysInProportionToTheFile) {
  InspectReport report("GGUF file", "m");
  const std::string key(65'535, 'k');
  report.AddFact(key, std::string(1 << 20, 'v'));
  Json members = Json::object();
  for (int i = 0; i < 300; ++i) members[Cat(i)] = i;
  report.AddFacts({{key, members}});
  for (int i = 0; i < 60'000; ++i) report.AddFact(Cat("x", i), i);
  report.AddTensor(std::string(5000, 't'), std::string(5000, 'y'),
                   std::vector<int64_t>(64, INT64_MAX), 1);
  EXPECT_LT(Text(report).size(), 8u << 20);
  EXPECT_LT(report.JsonLine().size(), 4u << 20);
}

// Equal labels stay apart, and thousands of them take no time.
TEST(InspectReport, LabelsAreUnique) {
  InspectReport report("GGUF file", "m");
  report.AddFact("version", 3);
  for (int i = 0; i < 60'000; ++i) report.AddFact("version", i);
  const std::string json = report.JsonLine();
  EXPECT_NE(json.find(R"({"version":3,"version #2":0,)"), std::string::npos);
  EXPECT_NE(json.find(R"("version #60001":59999})"), std::string::npos);
}

}  // namespace
}  // namespace retort
