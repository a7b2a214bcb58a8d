// SPDX-License-Identifier: Apache-2.0
#include "data/answer_check.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"

namespace retort {
namespace {

// The answers that are checked.
std::vector<std::string_view> LearntAnswers(const Row& row, bool last) {
  if (!row.wanted.value_or(true)) return {};
  if (row.kind == RowFormat::kPromptCompletion) return {row.completion};
  if (row.kind != RowFormat::kMessages) {
    throw InputError(row.where,
                     ": data.schema needs rows of prompt and completion, or of messages");
  }
  std::vector<std::string_view> answers;
  for (const Message& m : row.messages) {
    const std::string_view content = Strip(m.content);
    if (m.role == "assistant" && m.learn && !content.empty()) answers.push_back(content);
  }
  if (last && answers.size() > 1) answers = {answers.back()};
  return answers;
}

constexpr std::string_view kLead = " ";  // that completions may begin with

GrammarSource SourceOf(const std::string& schema, JsonSpace space, std::string_view before) {
  return {GrammarSource::Kind::kSchema, schema, space, std::string(before)};
}

// What the answers have in common that satisfy the schema with any white space.
class SpaceSearch {
 public:
  SpaceSearch(const std::string& schema, const std::string& where)
      : schema_(schema),
        compact_(SourceOf(schema, JsonSpace::kCompact, ""), where),
        spaced_(SourceOf(schema, JsonSpace::kSpaced, ""), where),
        flexible_(SourceOf(schema, JsonSpace::kFlexible, ""), where) {}

  void LookAt(std::string_view answer) {
    const bool led = answer.starts_with(kLead);
    if (led) answer.remove_prefix(kLead.size());
    const bool compact = all_compact_ && compact_.Get()->Matches(answer),
               spaced = all_spaced_ && spaced_.Get()->Matches(answer);
    if (!compact && !spaced && !flexible_.Get()->Matches(answer)) return;
    all_compact_ = compact;
    all_spaced_ = spaced;
    led_ += led;
    ++seen_;
  }
  GrammarSource Found() const {
    const JsonSpace strictest = all_compact_  ? JsonSpace::kCompact
                                : all_spaced_ ? JsonSpace::kSpaced
                                              : JsonSpace::kFlexible;
    return SourceOf(schema_, strictest, seen_ > 0 && led_ == seen_ ? kLead : "");
  }

 private:
  const std::string& schema_;
  LastingGrammar compact_, spaced_, flexible_;
  bool all_compact_ = true, all_spaced_ = true;
  int64_t seen_ = 0, led_ = 0;
};

GrammarSource FoundIn(const Rows& rows, bool last, const std::string& schema,
                      const std::string& where) {
  SpaceSearch search(schema, where);
  const int64_t count = std::min(rows.size(), AnswerCheck::kMostSearched);
  for (int64_t i = 0; i < count; ++i) {
    try {
      const Row row = rows.Read(i);
      for (const std::string_view answer : LearntAnswers(row, last)) search.LookAt(answer);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      // A faulty row is told with all others, when examples are made of them.
    }
  }
  return search.Found();
}

}  // namespace

AnswerCheck::AnswerCheck(const std::string& schema, const std::string& where, const Rows& rows,
                         bool last, const Tokenizer& tokenizer)
    : last_(last),
      grammar_(FoundIn(rows, last, schema, where), where,
               std::make_shared<const Vocabulary>(tokenizer)),
      flexible_(SourceOf(schema, JsonSpace::kFlexible, source().before), where) {}

std::string AnswerCheck::Note() const {
  const JsonSpace space = source().space;
  return Cat("answers are held to ", grammar_.where(), ", written ",
             space == JsonSpace::kCompact  ? "without white space"
             : space == JsonSpace::kSpaced ? "with a space behind commas and colons"
                                           : "with white space of several kinds",
             source().before.empty() ? "" : ", a space before them");
}

void AnswerCheck::Check(const Row& row) const {
  for (const std::string_view answer : LearntAnswers(row, last_)) {
    if (grammar_.Get()->Matches(answer)) continue;
    const bool fits = flexible_.Get()->Matches(answer);
    const size_t read = (fits ? grammar_ : flexible_).Get()->CountRead(answer);
    throw InputError(row.where, ": the answer is not what ", grammar_.where(), " allows",
                     fits ? " with the white space of the other rows" : "", ": ",
                     read < answer.size()
                         ? Cat("at ", Quoted(answer.substr(read)), ", byte ", read + 1)
                         : Cat("it ends too early, behind byte ", read));
  }
}

void AnswerCheck::LeaveForced(Example& example) const {
  const int64_t size = example.size();
  for (int64_t i = 0; i < size; ++i) {
    const auto learnt = [&](int64_t at) {
      return at < size && example.labels[static_cast<size_t>(at)] != kNoLoss;
    };
    if (!learnt(i)) continue;
    int64_t end = i;
    while (learnt(end)) ++end;
    Matcher at(grammar_.Get());
    do {
      for (int64_t left = CountForced(at, example, i, end); left > 0; --left)
        example.labels[static_cast<size_t>(i++)] = kNoLoss;
    } while (i < end && at.Accept(example.ids[static_cast<size_t>(i++)]));
    i = end;  // the rest is no answer of the schema, or the end token
  }
}

// The tokens from `begin` on that are forced; reads them. One that might be longer is a choice.
int64_t AnswerCheck::CountForced(Matcher& at, const Example& example, int64_t begin, int64_t end) {
  const std::string forced = at.ForcedText();
  std::string_view left = forced;
  std::vector<Matcher> places = {at};  // before each token, and behind the last
  for (int64_t i = begin; i < end; ++i) {
    const int32_t id = example.ids[static_cast<size_t>(i)];
    const std::string& text = at.vocabulary().TextOf(id);
    if (text.empty() || !left.starts_with(text)) break;
    left.remove_prefix(text.size());
    places.push_back(places.back());
    places.back().Accept(id);
  }
  auto count = std::ssize(places) - 1;
  while (count > 0 && places[static_cast<size_t>(count - 1)].MayBeLonger(
                          example.ids[static_cast<size_t>(begin + count - 1)]))
    --count;
  at = places[static_cast<size_t>(count)];
  return count;
}

}  // namespace retort
