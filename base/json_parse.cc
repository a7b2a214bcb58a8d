// SPDX-License-Identifier: Apache-2.0
// Builds the tree of a JSON text. The library's own builder compares each key of an object with all
// that came before it, which takes quadratic time; this one appends, and looks for repeated keys by
// sorting when the object is complete.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMaxDepth = 256;
constexpr size_t kLongestFault = 300;  // bytes of the library's words, which repeat the text's

using Members = Json::object_t::Container;  // a vector of keys and values

Members& MembersOf(Json& object) { return object.get_ref<Json::object_t&>(); }

// A key that occurs twice, or null.
const std::string* RepeatedKey(const Members& members) {
  std::vector<const std::string*> keys;
  keys.reserve(members.size());
  for (const auto& member : members) keys.push_back(&member.first);
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  const auto same = [](const std::string* a, const std::string* b) { return *a == *b; };
  std::sort(keys.begin(), keys.end(), less);
  const auto found = std::adjacent_find(keys.begin(), keys.end(), same);
  return found == keys.end() ? nullptr : *found;
}

// Keeps the last member of each key, in the places of the last ones.
void KeepLast(Members& members) {
  std::vector<size_t> order(members.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return members[a].first < members[b].first; });
  std::vector<size_t> kept;
  for (size_t i = 0; i < order.size(); ++i) {
    const bool last =
        i + 1 == order.size() || members[order[i]].first != members[order[i + 1]].first;
    if (last) kept.push_back(order[i]);
  }
  std::sort(kept.begin(), kept.end());
  Members out;
  out.reserve(kept.size());
  for (const size_t i : kept) out.emplace_back(members[i].first, std::move(members[i].second));
  members.swap(out);
}

class TreeBuilder final : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(const std::string& where, RepeatedKeys repeated)
      : where_(where), repeated_(repeated) {}

  Json Take() { return std::move(root_); }

  bool null() override { return Value(nullptr); }
  bool boolean(bool v) override { return Value(v); }
  bool number_integer(number_integer_t v) override { return Value(v); }
  bool number_unsigned(number_unsigned_t v) override { return Value(v); }
  bool number_float(number_float_t v, const string_t&) override { return Value(v); }
  bool string(string_t& v) override { return Value(std::move(v)); }
  bool binary(binary_t&) override { return false; }  // is in no text
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool key(string_t& key) override {
    key_ = std::move(key);
    return true;
  }

  bool end_object() override {
    Members& members = MembersOf(*open_.back());
    const std::string* key = members.size() > 1 ? RepeatedKey(members) : nullptr;
    if (key && repeated_ == RepeatedKeys::kRefuse) {
      throw InputError(where_, ": key ", Quoted(Place() + *key),
                       " is given twice; keep one of them");
    }
    if (key) KeepLast(members);
    open_.pop_back();
    return true;
  }

  // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax error ...", or
  // "[json.exception.out_of_range.406] number overflow parsing '1e999'"
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    const std::string_view what = e.what();
    const size_t at = what.find("at line "), named = what.find("] ");
    const std::string_view words = at != std::string_view::npos      ? what.substr(at)
                                   : named != std::string_view::npos ? what.substr(named + 2)
                                                                     : what;
    throw InputError(where_, ": not JSON: ", OneLine(words, kLongestFault));
  }

 private:
  // Puts the value into the innermost open object or array and returns its place.
  Json* Put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      auto& list = parent.get_ref<Json::array_t&>();
      list.push_back(std::move(value));
      return &list.back();
    }
    Members& members = MembersOf(parent);
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool Value(Json value) {
    Put(std::move(value));
    return true;
  }
  // A place in a vector stays valid while its value is open: nothing is appended beside it.
  bool Open(Json value) {
    if (open_.size() == kMaxDepth)
      throw InputError(where_, ": nested deeper than ", kMaxDepth, " levels");
    open_.push_back(Put(std::move(value)));
    return true;
  }
  // "rope_scaling." inside of that member; short, as it is for a message.
  std::string Place() const {
    std::string out;
    for (size_t i = 0; i + 1 < open_.size() && out.size() < kLongestQuote; ++i) {
      const Json& level = *open_[i];
      if (level.is_array())
        out += Cat("[", level.size() - 1, "].");
      else
        out += Cat(OneLine(level.get_ref<const Json::object_t&>().back().first, 60), ".");
    }
    return out;
  }

  const std::string& where_;
  const RepeatedKeys repeated_;
  Json root_;
  std::string key_;          // of the value that follows
  std::vector<Json*> open_;  // from the outermost to the innermost
};

}  // namespace

void RefuseNul(std::string_view text, const std::string& where) {
  const size_t at = text.find('\0');
  if (at == std::string_view::npos) return;
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = at - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw InputError(where, ": not JSON: a NUL character at line ", line, ", column ", column);
}

Json ParseJson(std::string_view text, const std::string& where, bool allow_comments,
               RepeatedKeys repeated) {
  RefuseNul(text, where);
  TreeBuilder builder(where, repeated);
  Json::sax_parse(text, &builder, Json::input_format_t::json, /*strict=*/true, allow_comments);
  return builder.Take();
}

void AddMember(Json& object, std::string key, Json value) {
  if (object.is_null()) object = Json::object();
  MembersOf(object).emplace_back(std::move(key), std::move(value));
}

}  // namespace retort
