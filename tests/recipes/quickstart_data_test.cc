// SPDX-License-Identifier: Apache-2.0
// Checks on the quickstart's rows what its documentation says about them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/strings.h"
#include "recipes/quickstart/corpus.h"
#include "recipes/quickstart/messages.h"
#include "recipes/quickstart/phrases.h"

namespace retort::quickstart {
namespace {

RandomStream Stream(uint64_t row) { return RandomStream(MakeKey(7, RandomUse::kData, 1, row)); }

std::vector<Message> Messages(Part part, int count) {
  std::vector<Message> messages;
  for (int i = 0; i < count; ++i) {
    RandomStream random = Stream(static_cast<uint64_t>(i));
    messages.push_back(MakeMessage(part, random));
  }
  return messages;
}

// Every run of exactly five digits: what an order number looks like.
std::set<std::string> FiveDigitRuns(const std::string& text) {
  std::set<std::string> runs;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    if (end - begin == 5) runs.insert(text.substr(begin, 5));
    begin = end + 1;
  }
  return runs;
}

// Whether the message holds the frame's words, its slots left open.
bool HasFrame(const std::string& message, std::string_view frame) {
  std::string text = message;
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  std::string wanted(frame);
  std::ranges::transform(wanted, wanted.begin(), [](unsigned char c) { return std::tolower(c); });
  wanted = ReplaceAll(ReplaceAll(wanted, "{i}", "\n"), "{o}", "\n");
  size_t at = 0;
  for (const std::string& part : Split(wanted, '\n')) {
    at = text.find(part, at);
    if (at == std::string::npos) return false;
    at += part.size();
  }
  return true;
}

TEST(QuickstartData, HeldOutNumbersNeverOccurInTraining) {
  std::set<std::string> training, held_out;
  for (const Message& m : Messages(Part::kTrain, 3000)) training.merge(FiveDigitRuns(m.text));
  for (uint64_t line = 0; line < 3000; ++line) {
    RandomStream random = Stream(line);
    training.merge(FiveDigitRuns(CorpusLine(random)));
  }
  for (const Message& m : Messages(Part::kTest, 3000)) held_out.merge(FiveDigitRuns(m.text));
  ASSERT_GT(training.size(), 3000u);
  ASSERT_GT(held_out.size(), 2000u);
  for (const std::string& number : held_out) EXPECT_FALSE(training.contains(number)) << number;
}

TEST(QuickstartData, AThirdOfTheHeldOutFramesAreNew) {
  const auto unseen_share = [](Part part) {
    int unseen = 0;
    const auto messages = Messages(part, 3000);
    for (const Message& m : messages) {
      const auto team = std::ranges::find(kTeams, m.team, &Team::name);
      const auto has = [&](std::string_view frame) { return HasFrame(m.text, frame); };
      unseen += std::ranges::any_of(team->unseen, has) && !std::ranges::any_of(team->seen, has);
    }
    return unseen / static_cast<double>(messages.size());
  };
  EXPECT_EQ(unseen_share(Part::kTrain), 0);
  EXPECT_EQ(unseen_share(Part::kEval), 0);
  EXPECT_GT(unseen_share(Part::kTest), 0.25);  // a third, less those with a typo in the frame
}

TEST(QuickstartData, NoFrameServesTwoTeams) {
  std::set<std::string_view> frames;
  for (const Team& team : kTeams) {
    for (const auto frame : team.seen) EXPECT_TRUE(frames.insert(frame).second) << frame;
    for (const auto frame : team.unseen) EXPECT_TRUE(frames.insert(frame).second) << frame;
    for (const auto frame : team.training_only) EXPECT_TRUE(frames.insert(frame).second) << frame;
  }
  EXPECT_EQ(frames.size(), 162u);
}

TEST(QuickstartData, AnswersAreJsonAndTheirOrdersStandInTheMessage) {
  int none = 0, two_alike = 0, none_beside_another = 0;
  for (const Message& m : Messages(Part::kTest, 2000)) {
    const Json answer = ParseJson(AnswerTo(m), "answer");
    EXPECT_EQ(answer.size(), 3u);
    EXPECT_EQ(answer["team"], m.team);
    const size_t numbers = FiveDigitRuns(m.text).size();
    if (m.order.empty()) {
      EXPECT_TRUE(answer["order"].is_null());
      ++none;
      none_beside_another += numbers > 0;
    } else {
      EXPECT_EQ(answer["order"], m.order);
      EXPECT_NE(m.text.find(m.order), std::string::npos) << m.text;
      two_alike += numbers > 1;
    }
  }
  // The hard cases are there: no number, only a wrong one, and a wrong one beside the right one.
  EXPECT_GT(none, 300);
  EXPECT_GT(none_beside_another, 50);
  EXPECT_GT(two_alike, 150);
}

TEST(QuickstartData, TheBasesTextNeverRoutes) {
  for (uint64_t line = 0; line < 5000; ++line) {
    RandomStream random = Stream(line);
    const std::string text = CorpusLine(random);
    EXPECT_EQ(text.find("\"team\""), std::string::npos) << text;
    EXPECT_EQ(text.find("\"urgency\""), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace retort::quickstart
