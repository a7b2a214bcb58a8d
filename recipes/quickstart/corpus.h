// SPDX-License-Identifier: Apache-2.0
// Text for the quickstart's small base model.
#pragma once

#include <string>

#include "base/random.h"

namespace retort::quickstart {

// A line about the shop: a message with a clerk's reply, a record copied out of a sentence, numbers
// read back, a remark. It teaches the words and how to repeat what stands before; it never says
// which team a message goes to, nor how urgent one is.
std::string CorpusLine(RandomStream& random);

// "lamp 48213 A-55119 Maria": two to nine things, half of them order numbers.
std::string ThingsInARow(RandomStream& random);

}  // namespace retort::quickstart
