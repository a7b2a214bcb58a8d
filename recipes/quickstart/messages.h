// SPDX-License-Identifier: Apache-2.0
// Generates support messages from phrases, with their correct answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"

namespace retort::quickstart {

// Order numbers, and all numbers that look like them, are assigned to the parts by a cipher
// (Philox). A number of a held-out row therefore never occurs in training, not even with another
// meaning.
enum class Part : uint32_t { kTrain = 0, kEval = 1, kTest = 2 };
Part PartOfNumber(int64_t number);

struct Message {
  std::string text;
  std::string team;
  std::string urgency;
  std::string order;  // "48213" or "A-48213"; "" for none
  std::string name;   // of the sender; "" when unsigned
};

// Eval rows have the frames of training, but their own numbers. Test rows have their own numbers,
// and a third of their frames never occur in training. Sloppy writers leave out words and say two
// things at once. Training rows include them, so that the model learns the team from the words and
// not from whole sentences.
enum class Writer { kCareful, kSloppy };
Message MakeMessage(Part part, RandomStream& random, Writer writer = Writer::kCareful);

// {"team": "billing", "urgency": "high", "order": "A-48213"}
std::string AnswerTo(const Message& message);

// Used for the messages and for the base's training text.
std::string OrderNumber(Part part, RandomStream& random);
std::string Amount(RandomStream& random);

template <class List>
std::string_view Pick(const List& list, RandomStream& random) {
  return list[random.Below(list.size())];
}

inline bool Chance(double p, RandomStream& random) { return random.Uniform() < p; }

}  // namespace retort::quickstart
