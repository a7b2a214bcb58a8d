// SPDX-License-Identifier: Apache-2.0
#include "grammar/choice_places.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

constexpr size_t kMostValueBytes = 4096;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool EndsScalar(char c) { return IsSpace(c) || c == ',' || c == '}' || c == ']'; }

// Behind the string that begins the text; npos if it is not closed.
size_t StringEnd(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    at += text[at] == '\\';
  }
  return std::string_view::npos;
}

size_t ScalarSize(std::string_view text) {
  if (text.front() == '"') return StringEnd(text);
  return static_cast<size_t>(std::ranges::find_if(text, EndsScalar) - text.begin());
}

// What finding the values of an answer may still take.
struct Allowance {
  size_t values = kMostAnswerValues, bytes = kMostAnswerValueBytes;
};

// All values that may stand at a place. Every beginning of a text leads to a text, so a beginning
// that is not followed yet counts as a value.
class Values {
 public:
  Values(const Matcher& at, AnswerForm form, Allowance& allowance)
      : json_(form == AnswerForm::kJson), allowance_(allowance) {
    open_.push_back({at, ""});
  }

  // nullopt: too many, or an object or a list among them, or the allowance is used up.
  std::optional<std::vector<std::string>> Find() {
    while (!open_.empty()) {
      const Beginning beginning = std::move(open_.back());
      open_.pop_back();
      if (!Follow(beginning)) return std::nullopt;
      if (found_.size() + open_.size() > kMostChoiceValues) return std::nullopt;
    }
    // One value is no choice, and takes no weighing.
    const size_t values = found_.size() > 1 ? found_.size() : 0;
    if (values > allowance_.values) {
      allowance_ = {0, 0};
      return std::nullopt;
    }
    allowance_.values -= values;
    std::ranges::sort(found_);
    return std::move(found_);
  }

 private:
  struct Beginning {
    Matcher at;
    std::string text;
  };

  // Finds the beginning if it is a value, and opens those that go on with it.
  bool Follow(const Beginning& beginning) {
    const auto& [at, text] = beginning;
    if (text.size() > kMostValueBytes) return false;
    bool whole = at.CanEnd() && (!json_ || !text.empty());
    const ByteSet bytes = at.NextBytes();
    for (size_t byte = 0; byte < bytes.size(); ++byte) {
      if (!bytes[byte]) continue;
      if (allowance_.bytes == 0) return false;
      --allowance_.bytes;
      const char c = static_cast<char>(byte);
      Matcher next = at;
      if (!next.AcceptText({&c, 1})) continue;
      if (json_ && text.empty() && (c == '{' || c == '[')) return false;
      if (json_ && !text.starts_with('"') && EndsScalar(c))
        whole |= !text.empty();
      else if (json_ && text.starts_with('"') && StringEnd(text + c) != std::string::npos)
        found_.push_back(text + c);
      else
        open_.push_back({std::move(next), text + c});
    }
    if (whole) found_.push_back(text);
    return true;
  }

  const bool json_;
  Allowance& allowance_;
  std::vector<Beginning> open_;
  std::vector<std::string> found_;
};

// Goes through an answer with the grammar beside it.
class Walk {
 public:
  Walk(const Matcher& start, std::string_view answer) : at_(start), answer_(answer) {}

  std::vector<ChoicePlace> Text() {
    Take("", answer_.size(), AnswerForm::kText);
    return std::move(places_);
  }

  std::vector<ChoicePlace> JsonValues() {
    for (SkipSpace(); read_ < answer_.size(); SkipSpace()) {
      const char c = answer_[read_];
      const bool in_object = !levels_.empty() && levels_.back().object;
      if (c == '{' || c == '[') {
        levels_.push_back({c == '{'});
        Read(1);
      } else if (c == '}' || c == ']') {
        levels_.pop_back();
        Read(1);
      } else if (c == ',' || c == ':') {
        Separate(c);
      } else if (in_object && !levels_.back().named) {
        levels_.back().name = Name();
      } else {
        Take(Pointer(), ScalarSize(answer_.substr(read_)), AnswerForm::kJson);
      }
    }
    return std::move(places_);
  }

 private:
  struct Level {
    bool object = false;
    bool named = false;  // a member's colon is read
    std::string name = {};
    size_t index = 0;
  };

  void Read(size_t bytes) {
    at_.AcceptText(answer_.substr(read_, bytes));
    read_ += bytes;
  }
  void SkipSpace() {
    while (read_ < answer_.size() && IsSpace(answer_[read_])) Read(1);
  }
  void Separate(char c) {
    levels_.back().named = c == ':';
    levels_.back().index += c == ',';
    Read(1);
  }
  std::string Name() {
    const size_t size = ScalarSize(answer_.substr(read_));
    const Json name = ParseJson(answer_.substr(read_, size), "the answer");
    Read(size);
    return name.get<std::string>();
  }
  std::string Pointer() const {
    std::string pointer;
    for (const Level& level : levels_) {
      pointer += '/';
      const std::string part = level.object ? level.name : Cat(level.index);
      for (const char c : part) {
        if (c == '~')
          pointer += "~0";
        else if (c == '/')
          pointer += "~1";
        else
          pointer += c;
      }
    }
    return pointer;
  }
  void Take(std::string pointer, size_t size, AnswerForm form) {
    auto values = Values(at_, form, allowance_).Find();
    const size_t begin = read_;
    Read(size);
    if (!values || values->size() < 2) return;
    const auto said = std::ranges::find(*values, answer_.substr(begin, size));
    if (said == values->end()) return;
    const auto index = static_cast<size_t>(said - values->begin());
    places_.push_back({std::move(pointer), begin, begin + size, *std::move(values), index});
  }

  Matcher at_;
  std::string_view answer_;
  size_t read_ = 0;
  std::vector<Level> levels_;
  Allowance allowance_;
  std::vector<ChoicePlace> places_;
};

}  // namespace

std::vector<ChoicePlace> ChoicePlaces(const Matcher& start, std::string_view answer,
                                      AnswerForm form) {
  Walk walk(start, answer);
  return form == AnswerForm::kText ? walk.Text() : walk.JsonValues();
}

}  // namespace retort
