// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "runner/answer/call_reader.h"
#include "runner/answer/json_follower.h"

namespace retort {
namespace {

// nullopt: no JSON.
std::optional<Json> JsonIn(std::string_view text) {
  try {
    return ParseJson(text, "", false, RepeatedKeys::kLast);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// {"name": NAME, "arguments": {...}}, its members in any order and with others among them. The
// arguments may be an object, the text of one, or absent.
class ObjectReader : public CallReader {
 public:
  // bare: without marks around it, an object with other members than a call's is none.
  ObjectReader(bool name_is_key, bool bare) : name_is_key_(name_is_key), bare_(bare) {}
  State Push(char c) override;

 private:
  using Event = JsonFollower::Event;
  enum class Role { kNone, kName, kArguments, kArgumentsText, kOther };

  State KeyEnd();
  State ValueBegin(char c);
  State ValueEnd();
  State Done();
  State BeginArguments(char c);

  bool name_is_key_, bare_;
  JsonFollower follower_;
  Role role_ = Role::kNone;
  std::string text_;  // since the last member, or of a value that is a text
  std::string key_;
};

CallReader::State ObjectReader::Push(char c) {
  const Event event = follower_.Push(c);
  if (event == Event::kBroken) return State::kBroken;
  if (event == Event::kValueBegin && ValueBegin(c) == State::kBroken) return State::kBroken;
  if (role_ == Role::kArguments)
    arguments_ += c;
  else if (role_ != Role::kOther)
    text_ += c;
  switch (event) {
    case Event::kKeyEnd:
      return KeyEnd();
    case Event::kValueEnd:
      return ValueEnd();
    case Event::kDone:
      return Done();
    default:
      return State::kGoing;
  }
}

CallReader::State ObjectReader::KeyEnd() {
  const auto key = JsonIn(std::string_view(text_).substr(text_.find('"')));
  if (!key) return State::kBroken;
  key_ = key->get<std::string>();
  const bool known = key_ == "name" || key_ == "tool_name" || key_ == "function" ||
                     key_ == "arguments" || key_ == "parameters" || key_ == "type" || key_ == "id";
  return known || !bare_ || name_is_key_ ? State::kGoing : State::kBroken;
}

CallReader::State ObjectReader::ValueBegin(char c) {
  text_.clear();
  const bool text = c == '"', structured = text || c == '{' || c == '[';
  role_ = structured ? Role::kOther : Role::kNone;  // the end of others is not told
  if (name_is_key_) {
    if (!name_.empty() || c != '{') return State::kBroken;
    name_ = key_;
    return BeginArguments(c);
  }
  if (key_ == "function" && c == '{' && name_.empty()) {  // {"type": "function", "function": {...}}
    role_ = Role::kNone;
    follower_.Watch(follower_.depth());
  } else if (key_ == "name" || key_ == "tool_name" || key_ == "function") {
    if (!text || !name_.empty()) return State::kBroken;
    role_ = Role::kName;
  } else if (key_ == "arguments" || key_ == "parameters") {
    return BeginArguments(c);
  }
  return State::kGoing;
}

CallReader::State ObjectReader::BeginArguments(char c) {
  if (arguments_begun_) return State::kBroken;
  if (c == 'n') return State::kGoing;  // null
  if (c != '{' && c != '"') return State::kBroken;
  arguments_begun_ = c == '{';
  role_ = c == '{' ? Role::kArguments : Role::kArgumentsText;
  return State::kGoing;
}

CallReader::State ObjectReader::ValueEnd() {
  const Role role = std::exchange(role_, Role::kNone);
  const std::string text = std::exchange(text_, "");
  if (role != Role::kName && role != Role::kArgumentsText) return State::kGoing;
  const auto said = JsonIn(text);
  if (!said) return State::kBroken;
  if (role == Role::kName) {
    name_ = said->get<std::string>();
    return name_.empty() ? State::kBroken : State::kGoing;
  }
  const auto inner = JsonIn(said->get<std::string>());
  if (!inner || !inner->is_object()) return State::kBroken;
  arguments_ = said->get<std::string>();
  arguments_begun_ = true;
  return State::kGoing;
}

CallReader::State ObjectReader::Done() {
  if (name_.empty()) return State::kBroken;
  if (!arguments_begun_) arguments_ = "{}";
  arguments_begun_ = true;
  return State::kDone;
}

}  // namespace

std::unique_ptr<CallReader> MakeObjectReader(const CallFormat& format) {
  return std::make_unique<ObjectReader>(format.name_is_key, format.IsBare());
}

std::unique_ptr<CallReader> MakeCallReader(const CallFormat& format,
                                           const std::vector<Tool>& tools) {
  switch (format.shape) {
    case CallFormat::Shape::kNamed:
      return MakeNamedReader(format);
    case CallFormat::Shape::kTagged:
      return MakeTaggedReader(format, tools);
    default:
      return MakeObjectReader(format);
  }
}

}  // namespace retort
