// SPDX-License-Identifier: Apache-2.0
#include "recipes/quickstart/messages.h"

#include <cctype>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "recipes/quickstart/phrases.h"

namespace retort::quickstart {
namespace {

// In test rows, one frame in three never occurs in training.
template <class Kind>
std::string PickFrame(const Kind& kind, Part part, RandomStream& random) {
  const bool unseen = part == Part::kTest && random.Below(3) == 0;
  return std::string(unseen ? Pick(kind.unseen, random) : Pick(kind.seen, random));
}

// The sentence that identifies the team. Half of those in training rows are training_only frames.
std::string PickTeamFrame(const Team& team, Part part, RandomStream& random) {
  const bool own = part == Part::kTrain && random.Below(2) == 0;
  return own ? std::string(Pick(team.training_only, random)) : PickFrame(team, part, random);
}

std::string FiveDigits(Part part, RandomStream& random) {
  for (;;) {
    const auto number = static_cast<int64_t>(10000 + random.Below(90000));
    if (PartOfNumber(number) == part) return std::to_string(number);
  }
}

std::string OtherNumber(Part part, RandomStream& random) {
  std::string text(Pick(kOtherNumbers, random));
  text = ReplaceAll(text, "{c}", FiveDigits(part, random));
  text = ReplaceAll(text, "{p}", Cat("555-0", 100 + random.Below(900)));
  text = ReplaceAll(text, "{a}", Amount(random));
  return ReplaceAll(text, "{d}", std::to_string(2 + random.Below(19)));
}

bool IsQuestion(const std::string& sentence) {
  for (const char* word :
       {"do ", "what ", "is ", "can ", "which ", "when ", "where ", "how ", "why ", "has "}) {
    if (StartsWith(sentence, word)) return true;
  }
  return false;
}

// Swaps two letters, or removes or doubles one, inside a word of at least five letters.
std::string WithTypo(std::string text, RandomStream& random) {
  std::vector<std::pair<size_t, size_t>> words;  // begin, length
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end]))) ++end;
    if (end - begin >= 5) words.emplace_back(begin, end - begin);
    begin = end + 1;
  }
  if (words.empty()) return text;
  const auto [begin, length] = words[random.Below(words.size())];
  const size_t at = begin + 1 + random.Below(length - 2);
  switch (random.Below(3)) {
    case 0:
      std::swap(text[at], text[at + 1]);
      break;
    case 1:
      text.erase(at, 1);
      break;
    default:
      text.insert(at, 1, text[at]);
  }
  return text;
}

// Removes words half of the time, and appends another frame of the same team half of the time.
std::string Sloppy(std::string frame, const Team& team, Part part, RandomStream& random) {
  if (Chance(0.5, random)) {
    const std::string other = ReplaceAll(PickTeamFrame(team, part, random), "{o}", "");
    frame += Cat(Chance(0.5, random) ? ", " : " and ", other);
  }
  if (Chance(0.5, random)) return frame;
  std::vector<std::string> kept;
  for (const std::string& word : Split(frame, ' ')) {
    if (word.find('{') != std::string::npos || Chance(0.75, random)) kept.push_back(word);
  }
  return kept.empty() ? frame : Join(kept, " ");
}

// The request itself. `mention` of the order may be empty: it can also be in its own sentence.
std::string Request(const Team& team, Part part, const std::string& mention, Writer writer,
                    RandomStream& random) {
  std::string text = PickTeamFrame(team, part, random);
  if (writer == Writer::kSloppy) text = Sloppy(std::move(text), team, part, random);
  text = ReplaceAll(text, "{o}", mention);
  text = ReplaceAll(text, "{i}", Pick(kItems, random));
  text += IsQuestion(text) ? "?" : ".";
  if (Chance(0.7, random)) text[0] = static_cast<char>(std::toupper(text[0]));
  return text;
}

}  // namespace

Part PartOfNumber(int64_t number) {
  const uint32_t draw = Philox({static_cast<uint32_t>(number), 0, 0, 0}, {2, 9})[0] % 10;
  return draw < 2 ? Part::kTest : draw == 2 ? Part::kEval : Part::kTrain;
}

std::string OrderNumber(Part part, RandomStream& random) {
  const std::string digits = FiveDigits(part, random);
  return Chance(0.5, random) ? digits : Cat(static_cast<char>('A' + random.Below(6)), "-", digits);
}

std::string Amount(RandomStream& random) {
  const std::string cents = std::to_string(100 + random.Below(100)).substr(1);
  return Cat("$", 5 + random.Below(295), ".", cents);
}

Message MakeMessage(Part part, RandomStream& random, Writer writer) {
  Message m;
  const Team& team = kTeams[random.Below(kTeams.size())];
  m.team = team.name;
  std::string mention, own_sentence;
  const bool has_order = Chance(0.75, random);
  if (has_order) {
    m.order = OrderNumber(part, random);
    const std::string written = Chance(0.25, random) ? "#" + m.order : m.order;
    const bool inside = Chance(0.6, random);
    (inside ? mention : own_sentence) = ReplaceAll(
        std::string(inside ? Pick(kOrderMentions, random) : Pick(kOrderSentences, random)), "{n}",
        written);
  }

  std::vector<std::string> sentences = {Request(team, part, mention, writer, random)};
  const auto add = [&](std::string sentence) {  // before or after the other sentences
    if (Chance(0.3, random))
      sentences.insert(sentences.begin(), std::move(sentence));
    else
      sentences.push_back(std::move(sentence));
  };
  if (!own_sentence.empty()) add(own_sentence);
  if (Chance(0.4, random)) add(OtherNumber(part, random));
  if (!has_order && Chance(0.2, random)) add(std::string(Pick(kNoNumber, random)));
  const uint64_t urgency = random.Below(3);
  m.urgency = "normal";
  if (urgency < kUrgencies.size()) {
    m.urgency = kUrgencies[urgency].name;
    add(PickFrame(kUrgencies[urgency], part, random));
  }

  if (Chance(0.4, random))
    sentences.insert(sentences.begin(), std::string(Pick(kGreetings, random)));
  if (Chance(0.3, random)) {
    m.name = Pick(kNames, random);
    sentences.push_back(Cat(Pick(kClosings, random), " ", m.name));
  }
  m.text = Join(sentences, " ");
  if (Chance(0.2, random)) m.text = WithTypo(std::move(m.text), random);
  return m;
}

std::string AnswerTo(const Message& m) {
  const std::string order = m.order.empty() ? "null" : Cat('"', m.order, '"');
  return Cat("{\"team\": \"", m.team, "\", \"urgency\": \"", m.urgency, "\", \"order\": ", order,
             "}");
}

}  // namespace retort::quickstart
