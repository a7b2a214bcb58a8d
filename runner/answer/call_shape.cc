// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_shape.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "runner/answer/json_follower.h"

namespace retort {
namespace {

constexpr size_t kNowhere = std::string::npos;

struct Span {
  size_t begin = kNowhere, end = kNowhere;
  bool found() const { return begin != kNowhere; }
};

// Behind the JSON object or list that begins there; npos if none does.
size_t BehindJson(std::string_view text, size_t begin) {
  JsonFollower follower;
  for (size_t at = begin; at < text.size(); ++at) {
    const JsonFollower::Event event = follower.Push(text[at]);
    if (event == JsonFollower::Event::kDone) return at + 1;
    if (event == JsonFollower::Event::kBroken) break;
  }
  return kNowhere;
}

Json Parsed(std::string_view text) {
  try {
    return ParseJson(text, "", false, RepeatedKeys::kLast);
  } catch (const Error&) {
    return {};
  }
}

Marks operator+(Marks a, const Marks& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Marks First(const Marks& marks, size_t count) {
  return {marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(count)};
}
Marks Behind(const Marks& marks, size_t count) {
  return {marks.begin() + static_cast<std::ptrdiff_t>(count), marks.end()};
}
size_t CommonEnd(const Marks& a, const Marks& b) {
  const auto [x, y] = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return static_cast<size_t>(x - a.rbegin());
}
size_t CommonBeginning(const Marks& a, const Marks& b) {
  const auto [x, y] = std::ranges::mismatch(a, b);
  return static_cast<size_t>(x - a.begin());
}

// What stands before the first call, between the two, and behind the last.
void SetMarks(const Marks& before, const Marks& gap, bool two, const Marks& behind,
              CallFormat& format) {
  if (!two) {
    format.call_open = before;
    format.call_close = behind;
    return;
  }
  const size_t open = CommonEnd(before, gap);
  format.section_open = First(before, before.size() - open);
  format.call_open = Behind(before, before.size() - open);
  const size_t close = CommonBeginning(behind, First(gap, gap.size() - open));
  format.call_close = First(behind, close);
  format.section_close = Behind(behind, close);
}

// Marks with "" for a call's id, or for a number at the end of a mark.
Marks LooseMarks(const std::string& text, const std::string& id) {
  if (const size_t at = text.find(id); at != kNowhere)
    return SplitMarks(text.substr(0, at)) + Marks{""} + SplitMarks(text.substr(at + id.size()));
  Marks out;
  for (const std::string& mark : SplitMarks(text)) {
    const size_t digits = mark.find_last_not_of("0123456789") + 1;
    if (digits > 0) out.push_back(mark.substr(0, digits));
    if (digits < mark.size()) out.push_back("");
  }
  return out;
}

class ShapeFinder {
 public:
  ShapeFinder(const ProbeCalls& probe, const std::string& one, const std::string& two)
      : probe_(probe), one_(one), two_(two) {
    name_ = Find(one, probe.names[0], 0);
    if (!name_.found()) return;
    const size_t key = one.find(probe.keys[0]);
    const size_t begin = key == kNowhere ? kNowhere : one.rfind('{', key);
    if (begin == kNowhere) return;
    const size_t end = BehindJson(one, begin);
    const Json wanted = {{probe.keys[0], probe.values[0]}, {probe.keys[1], probe.values[1]}};
    if (end != kNowhere && Parsed(std::string_view(one).substr(begin, end - begin)) == wanted)
      arguments_ = {begin, end};
  }

  std::optional<CallFormat> Shape() {
    if (!name_.found()) return std::nullopt;
    std::optional<CallFormat> format;
    if (!arguments_.found())
      format = Tagged();
    else if (const Span object = Object(); object.found())
      format = InObject(object);
    else if (name_.end <= arguments_.begin)
      format = Named();
    if (!format) return format;
    format->before_name = one_.substr(0, name_.begin);
    // An id cannot be asked for before it is known.
    for (std::string* asked : {&format->before_name, &format->before_arguments}) {
      if (asked->find(probe_.ids[0]) != kNowhere) asked->clear();
    }
    return format;
  }

 private:
  static Span Find(const std::string& text, const std::string& wanted, size_t from) {
    const size_t at = from == kNowhere ? kNowhere : text.find(wanted, from);
    return at == kNowhere ? Span{} : Span{at, at + wanted.size()};
  }

  // The outermost object that holds both the name and the arguments.
  Span Object() const {
    Span out;
    for (size_t at = one_.find('{'); at <= std::min(name_.begin, arguments_.begin);
         at = one_.find('{', at + 1)) {
      const size_t end = BehindJson(one_, at);
      if (end == kNowhere || end < name_.end || end < arguments_.end) continue;
      out = {at, end};
      break;
    }
    return out;
  }

  std::optional<CallFormat> InObject(const Span& object) const {
    CallFormat format;
    const Json said =
        Parsed(std::string_view(one_).substr(object.begin, object.end - object.begin));
    format.name_is_key = said.size() == 1 && said.contains(probe_.names[0]);
    std::string before = one_.substr(0, object.begin), behind = one_.substr(object.end);
    const std::string_view left = Strip(before), right = Strip(behind);
    format.list = EndsWith(left, "[") && StartsWith(right, "]");
    if (name_.end <= arguments_.begin)
      format.before_arguments = one_.substr(name_.end, arguments_.begin - name_.end);
    if (format.list) {
      format.section_open = SplitMarks(left.substr(0, left.size() - 1));
      format.section_close = SplitMarks(right.substr(1));
      return format;
    }
    const Span gap = Gap(object.begin, '{');
    SetMarks(SplitMarks(before), SplitMarks(GapText(gap)), gap.found(), SplitMarks(behind), format);
    return format;
  }

  // Between the first call, whose object or arguments begin there, and the second, which begins
  // with `next`.
  Span Gap(size_t begin, char next) const {
    if (two_.empty() || two_.compare(0, begin, one_, 0, begin) != 0) return {};
    const size_t end = BehindJson(two_, begin);
    const size_t second = two_.find(probe_.names[1]);
    if (end == kNowhere || second == kNowhere || second < end) return {};
    return {end, next == '\0' ? second : two_.find(next, end)};
  }
  std::string GapText(const Span& gap) const {
    return gap.found() ? two_.substr(gap.begin, gap.end - gap.begin) : "";
  }

  std::optional<CallFormat> Named() const {
    CallFormat format;
    format.shape = CallFormat::Shape::kNamed;
    const std::string between = one_.substr(name_.end, arguments_.begin - name_.end);
    format.after_name = LooseMarks(between, probe_.ids[0]);
    // Of a number, only the first call's is known.
    format.before_arguments = between;
    const Span gap = Gap(arguments_.begin, '\0');
    SetMarks(SplitMarks(one_.substr(0, name_.begin)), SplitMarks(GapText(gap)), gap.found(),
             SplitMarks(one_.substr(arguments_.end)), format);
    const bool told = !format.section_open.empty() || !format.call_open.empty();
    return told ? std::optional(format) : std::nullopt;
  }

  std::optional<CallFormat> Tagged() const {
    std::array<Span, 4> at;
    size_t from = name_.end;
    for (size_t i = 0; i < 4; ++i) {
      at[i] = Find(one_, i % 2 == 0 ? probe_.keys[i / 2] : probe_.values[i / 2], from);
      from = at[i].end;
    }
    if (!at[3].found()) return std::nullopt;
    const auto between = [&](size_t a, size_t b) { return one_.substr(a, b - a); };
    const std::string to_key = between(name_.end, at[0].begin),
                      to_value = between(at[0].end, at[1].begin),
                      to_next = between(at[1].end, at[2].begin), rest = one_.substr(at[3].end);
    CallFormat format;
    format.shape = CallFormat::Shape::kTagged;
    const Marks first = SplitMarks(to_key), next = SplitMarks(to_next);
    const size_t open = CommonEnd(first, next);
    format.after_name = First(first, first.size() - open);
    format.argument_open = Behind(first, first.size() - open);
    format.argument_value = SplitMarks(to_value);
    format.argument_close = First(next, next.size() - open);
    format.value_lines = EndsWith(to_value, "\n") || StartsWith(to_next, "\n");
    const Marks behind = SplitMarks(rest);
    const size_t closing = format.argument_close.size();
    if (format.argument_open.empty() || format.argument_value.empty() || closing == 0 ||
        CommonBeginning(behind, format.argument_close) != closing || behind.size() == closing)
      return std::nullopt;
    // The marks between two calls, behind the last of the first one's arguments.
    const size_t second = two_.find(probe_.names[1], at[3].end);
    const bool two = second != kNowhere && two_.compare(0, at[3].end, one_, 0, at[3].end) == 0;
    const Marks gap = two ? SplitMarks(two_.substr(at[3].end, second - at[3].end)) : Marks{};
    if (two && CommonBeginning(gap, format.argument_close) != closing) return std::nullopt;
    SetMarks(SplitMarks(one_.substr(0, name_.begin)), two ? Behind(gap, closing) : gap, two,
             Behind(behind, closing), format);
    format.before_arguments = to_key.substr(0, to_key.find(format.argument_open.front()));
    const bool told = !format.section_open.empty() || !format.call_open.empty();
    return told && !format.call_close.empty() ? std::optional(format) : std::nullopt;
  }

  const ProbeCalls& probe_;
  const std::string& one_;
  const std::string& two_;
  Span name_, arguments_;
};

}  // namespace

std::optional<CallFormat> CallShape(const ProbeCalls& probe, const std::string& one,
                                    const std::string& two) {
  return ShapeFinder(probe, one, two).Shape();
}

}  // namespace retort
