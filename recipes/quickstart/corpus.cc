// SPDX-License-Identifier: Apache-2.0
#include "recipes/quickstart/corpus.h"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "recipes/quickstart/messages.h"
#include "recipes/quickstart/phrases.h"

namespace retort::quickstart {
namespace {

constexpr std::array<std::string_view, 5> kRepliesWithOrder = {
    "thank you for your message about order {n}.", "we have found order {n} and will look at it.",
    "order {n} is on my desk now.", "I have opened order {n} and will write again.",
    "we are sorry for the trouble with order {n}."};
constexpr std::array<std::string_view, 4> kRepliesWithout = {
    "thank you for your message.", "please tell us your order number.", "which order is it about?",
    "we need the order number to help you."};

constexpr std::array<std::string_view, 10> kRemarks = {
    "Every team of the shop reads its messages in the morning.",
    "Route a message with care: a team can only answer what it gets to see.",
    "The urgency of a letter is judged by its words, not by its length.",
    "Normal days are quiet; before a holiday the desks are full.",
    "High shelves hold the light goods, low shelves the heavy ones.",
    "A null in a record says that nobody told us.",
    "Sales are up this spring, and returns are down.",
    "Technical questions come in at night, billing and shipping questions on Monday.",
    "An account is made in a minute and kept for years.",
    "Write to the customer in short words and say thank you."};

std::string Reply(RandomStream& random) {
  const Message m = MakeMessage(Part::kTrain, random);
  const std::string to = m.name.empty() ? "Hello" : "Hello " + m.name;
  const std::string reply =
      m.order.empty() ? std::string(Pick(kRepliesWithout, random))
                      : ReplaceAll(std::string(Pick(kRepliesWithOrder, random)), "{n}", m.order);
  return Cat("Message: ", m.text, " Reply: ", to, ", ", reply);
}

// A sentence that lists some fields, and the record that results from it.
std::string Record(RandomStream& random) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"item", std::string(Pick(kItems, random))},
      {"name", std::string(Pick(kNames, random))},
      {"price", Amount(random)},
      {"ref", OrderNumber(Part::kTrain, random)},
      {"ticket", OrderNumber(Part::kTrain, random)}};
  for (size_t i = fields.size(); i > 1; --i) std::swap(fields[i - 1], fields[random.Below(i)]);
  fields.resize(2 + random.Below(2));
  std::string said, record;
  for (const auto& [key, value] : fields) {
    const bool known = Chance(0.85, random);
    if (known) said += Cat(said.empty() ? "" : ", ", key, " ", value);
    record +=
        Cat(record.empty() ? "" : ", ", '"', key, "\": ", known ? Cat('"', value, '"') : "null");
  }
  return Cat("Note: ", said.empty() ? "nothing is known" : said, ". Record:{", record, "}");
}

// An element of a list. Words are easy to learn to copy, digits are hard.
std::string Thing(RandomStream& random) {
  const double kind = random.Uniform();
  if (kind < 0.2) return std::string(Pick(kItems, random));
  if (kind < 0.3) return std::string(Pick(kNames, random));
  if (kind < 0.4) return Amount(random);
  return OrderNumber(Part::kTrain, random);
}

std::string ReadBack(RandomStream& random) {
  std::vector<std::string> things;
  for (uint64_t n = 1 + random.Below(6); n > 0; --n) things.push_back(Thing(random));
  const std::string list = Join(things, ", ");
  return Chance(0.5, random) ? Cat("The list is ", list, ". I repeat: ", list, ".")
                             : Cat("Please note ", list, ". Noted: ", list, ".");
}

}  // namespace

std::string CorpusLine(RandomStream& random) {
  const double kind = random.Uniform();
  if (kind < 0.35) return Reply(random);
  if (kind < 0.60) return Record(random);
  if (kind < 0.97) return ReadBack(random);
  return std::string(Pick(kRemarks, random));
}

std::string ThingsInARow(RandomStream& random) {
  std::vector<std::string> things;
  for (uint64_t n = 2 + random.Below(8); n > 0; --n) things.push_back(Thing(random));
  return Join(things, " ");
}

}  // namespace retort::quickstart
