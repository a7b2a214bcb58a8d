// SPDX-License-Identifier: Apache-2.0
// Support messages made up from phrases, with the answer that each deserves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"

namespace retort::quickstart {

// Order numbers, and all numbers that look like them, are dealt out to the parts by a cipher: one
// that a held-out row has occurs nowhere in training, not even as something else.
enum class Part : uint32_t { kTrain = 0, kEval = 1, kTest = 2 };
Part PartOfNumber(int64_t number);

struct Message {
  std::string text;
  std::string team;
  std::string urgency;
  std::string order;  // "48213" or "A-48213"; "" for none
  std::string name;   // of the sender; "" when unsigned
};

// Eval rows have the frames of training and their own numbers; test rows have a third of their
// frames, and all of their numbers, to themselves.
// Sloppy writers leave words out and say two things at once; training has them, so that the words
// tell the team and not the sentence.
enum class Writer { kCareful, kSloppy };
Message MakeMessage(Part part, RandomStream& random, Writer writer = Writer::kCareful);

// {"team": "billing", "urgency": "high", "order": "A-48213"}
std::string AnswerTo(const Message& message);

// The pieces that the base's training text shares with the messages.
std::string OrderNumber(Part part, RandomStream& random);
std::string Amount(RandomStream& random);

template <class List>
std::string_view Pick(const List& list, RandomStream& random) {
  return list[random.Below(list.size())];
}

inline bool Chance(double p, RandomStream& random) { return random.Uniform() < p; }

}  // namespace retort::quickstart
