// SPDX-License-Identifier: Apache-2.0
// Generates the training text of the quickstart's small base model.
#pragma once

#include <string>

#include "base/random.h"

namespace retort::quickstart {

// A line about the shop: a message with a clerk's reply, a record copied from a sentence, numbers
// read back, or a remark. It teaches the vocabulary and how to copy earlier text. It never contains
// the team or the urgency of a message.
std::string CorpusLine(RandomStream& random);

// "lamp 48213 A-55119 Maria": two to nine things, most of them order numbers.
std::string ThingsInARow(RandomStream& random);

}  // namespace retort::quickstart
