// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/json_follower.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

using JsonEvent = JsonFollower::Event;

// Bytes up to the one that ends the value, or -1.
int64_t EndOf(const std::string& text) {
  JsonFollower follower;
  for (size_t i = 0; i < text.size(); ++i) {
    const JsonEvent event = follower.Push(text[i]);
    if (event == JsonEvent::kDone) return static_cast<int64_t>(i) + 1;
    if (event == JsonEvent::kBroken) return -1;
  }
  return -1;
}

bool IsJson(const std::string& text) {
  try {
    ParseJson(text, "", false, RepeatedKeys::kLast);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(JsonFollower, TakesWhatTheParserTakes) {
  const std::vector<std::string> whole = {
      R"({"a": [1, -2.5, 0, {"b": null, "c": [true, false]}], "d\n\"": "\u00e9\\/"})",
      R"([[], {}, [[1]], "x", {"a": {}}])", R"({})", R"([ ])", "{ \"a\" :\t1 ,\n\"b\":2\r}"};
  const std::string letters = "{}[]\",:0123456789.-\\utrfalsn \n\t\x01x\"\"}]";
  std::mt19937 random(5);
  size_t taken = 0;
  for (const std::string& text : whole) {
    ASSERT_EQ(EndOf(text), static_cast<int64_t>(text.size())) << text;
    for (int i = 0; i < 20000; ++i) {
      std::string mutated = text;
      for (unsigned k = 0; k < 1 + random() % 3; ++k) {
        const size_t at = random() % mutated.size();
        const char letter = letters[random() % letters.size()];
        switch (random() % 3) {
          case 0:
            mutated[at] = letter;
            break;
          case 1:
            mutated.insert(at, 1, letter);
            break;
          default:
            if (mutated.size() > 1) mutated.erase(at, 1);
        }
      }
      const int64_t end = EndOf(mutated);
      const bool container = mutated.find_first_of("{[") == mutated.find_first_not_of(" \n\t\r");
      if (end < 0)
        EXPECT_FALSE(container && IsJson(mutated)) << mutated;
      else
        EXPECT_TRUE(IsJson(mutated.substr(0, static_cast<size_t>(end)))) << mutated;
      taken += end > 0;
    }
  }
  EXPECT_GT(taken, 5000u);
}

TEST(JsonFollower, KnowsNumbers) {
  for (const char* good : {"0", "-0", "10", "1.5", "1e5", "1E-5", "-2.50e+07"})
    EXPECT_GT(EndOf(Cat("[", good, "]")), 0) << good;
  for (const char* bad : {"01", "-", "1.", ".5", "1e", "1e+", "+1", "1.e5", "--1", "1.2.3", "0x1"})
    EXPECT_LT(EndOf(Cat("[", bad, "]")), 0) << bad;
}

TEST(JsonFollower, TellsTheMembersOfTheWatchedObject) {
  JsonFollower follower;
  std::string events;
  for (const char c : std::string(R"({"a": {"x": "}"}, "b": [1, {"y": 2}], "c": 3, "d": "e"})")) {
    const JsonEvent event = follower.Push(c);
    if (event == JsonEvent::kKeyEnd) events += 'k';
    if (event == JsonEvent::kValueBegin) events += 'v';
    if (event == JsonEvent::kValueEnd) events += 'e';
    if (event == JsonEvent::kDone) events += '.';
  }
  EXPECT_EQ(events, "kvekvekvkve.");
}

TEST(JsonFollower, DepthIsBounded) {
  EXPECT_EQ(EndOf(std::string(256, '[') + std::string(256, ']')), 512);
  EXPECT_EQ(EndOf(std::string(257, '[') + std::string(257, ']')), -1);
  EXPECT_EQ(EndOf(std::string(10'000'000, '[')), -1);
}

}  // namespace
}  // namespace retort
