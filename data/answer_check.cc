// SPDX-License-Identifier: Apache-2.0
#include "data/answer_check.h"

#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace retort {
namespace {

std::vector<std::string_view> AnswersOf(const Row& row) {
  if (row.kind == RowFormat::kPromptCompletion) return {row.completion};
  if (row.kind != RowFormat::kMessages) {
    throw InputError(row.where,
                     ": data.schema needs rows of prompt and completion, or of messages");
  }
  std::vector<std::string_view> answers;
  for (const Message& m : row.messages)
    if (m.role == "assistant" && m.learn && !m.content.empty()) answers.push_back(m.content);
  return answers;
}

GrammarSource Spaced(const std::string& schema, JsonSpace space) {
  return {GrammarSource::Kind::kSchema, schema, space};
}

// Which kinds of white space the answers have that satisfy the schema with any.
class SpaceSearch {
 public:
  SpaceSearch(const std::string& schema, const std::string& where)
      : compact_(CompileGrammar(Spaced(schema, JsonSpace::kCompact), where, nullptr)),
        spaced_(CompileGrammar(Spaced(schema, JsonSpace::kSpaced), where, nullptr)),
        flexible_(CompileGrammar(Spaced(schema, JsonSpace::kFlexible), where, nullptr)) {}

  void LookAt(std::string_view answer) {
    const bool compact = all_compact_ && compact_->Matches(answer),
               spaced = all_spaced_ && spaced_->Matches(answer);
    if (compact == all_compact_ && spaced == all_spaced_) return;
    if (!flexible_->Matches(answer)) return;
    all_compact_ = compact;
    all_spaced_ = spaced;
  }
  bool open() const { return all_compact_ || all_spaced_; }
  JsonSpace strictest() const {
    return all_compact_  ? JsonSpace::kCompact
           : all_spaced_ ? JsonSpace::kSpaced
                         : JsonSpace::kFlexible;
  }

 private:
  std::shared_ptr<const Grammar> compact_, spaced_, flexible_;
  bool all_compact_ = true, all_spaced_ = true;
};

JsonSpace SpaceOf(const std::string& schema, const std::string& where, const Rows& rows) {
  SpaceSearch search(schema, where);
  for (int64_t i = 0; i < rows.size() && search.open(); ++i) {
    try {
      const Row row = rows.Read(i);
      for (const std::string_view answer : AnswersOf(row)) search.LookAt(answer);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      // A faulty row is told with all others, when examples are made of them.
    }
  }
  return search.strictest();
}

}  // namespace

AnswerCheck::AnswerCheck(const std::string& schema, const std::string& where, const Rows& rows,
                         const Tokenizer& tokenizer)
    : where_(where),
      source_(Spaced(schema, SpaceOf(schema, where, rows))),
      grammar_(CompileGrammar(source_, where, std::make_shared<const Vocabulary>(tokenizer))),
      flexible_(CompileGrammar(Spaced(schema, JsonSpace::kFlexible), where, nullptr)) {}

void AnswerCheck::Check(const Row& row) const {
  for (const std::string_view answer : AnswersOf(row)) {
    if (grammar_->Matches(answer)) continue;
    const Grammar& fits = flexible_->Matches(answer) ? *grammar_ : *flexible_;
    const size_t read = fits.CountRead(answer);
    throw InputError(row.where, ": the answer is not what ", where_, " allows: ",
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
    Matcher at(grammar_);
    do {
      for (int64_t left = CountForced(at, example, i, end); left > 0; --left)
        example.labels[static_cast<size_t>(i++)] = kNoLoss;
    } while (i < end && at.Accept(example.ids[static_cast<size_t>(i++)]));
    i = end;  // the rest is no answer of the schema, or the end token
  }
}

// The tokens from `begin` on that are forced; reads them. One that might be longer is a choice.
int64_t AnswerCheck::CountForced(Matcher& at, const Example& example, int64_t begin,
                                 int64_t end) const {
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
