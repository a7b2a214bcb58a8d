// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "template/jinja/call.h"
#include "template/jinja/characters.h"
#include "template/jinja/methods.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

std::vector<Value> CharactersOf(Runtime& rt, const Text& text) {
  const std::vector<size_t> starts = CharacterStarts(text.view());
  rt.Make(starts.size(), sizeof(Text) + sizeof(Value));
  std::vector<Value> out;
  out.reserve(starts.size());
  for (size_t i = 0; i + 1 < starts.size(); ++i)
    out.push_back(Value::Of(text.Sub(starts[i], starts[i + 1])));
  return out;
}

// An index from the end, if negative; nullopt outside.
std::optional<size_t> Index(int64_t index, int64_t size) {
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return static_cast<size_t>(index);
}

Value CharacterAt(Runtime& rt, const Text& text, int64_t index, const std::string* name) {
  rt.Step(text.size() / 32);
  const bool from_end = index < 0;
  const int64_t count = from_end || index >= static_cast<int64_t>(text.size())
                            ? CountCharacters(text.view())
                            : static_cast<int64_t>(text.size());
  const auto place = Index(index, count);
  if (!place) return Value::Missing(name);
  const size_t begin = ByteOfCharacter(text.view(), static_cast<int64_t>(*place));
  if (begin >= text.size()) return Value::Missing(name);
  const size_t size = ByteOfCharacter(text.view().substr(begin, 4), 1);
  return rt.NewText(text.Sub(begin, begin + size));
}

}  // namespace

std::shared_ptr<const List> Iterate(Runtime& rt, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      return std::make_shared<const List>(std::vector<Value>());
    case Value::Kind::kText:
      return std::make_shared<const List>(CharactersOf(rt, value.text()));
    case Value::Kind::kDict: {
      std::vector<Value> keys;
      rt.Make(value.dict().size(), sizeof(Value));
      for (const auto& entry : value.dict().entries()) keys.push_back(entry.first);
      return std::make_shared<const List>(std::move(keys));
    }
    case Value::Kind::kList: {
      const List& list = value.list();
      if (list.sort() != List::Sort::kGenerator) return value.list_ptr();
      if (list.spent()) return std::make_shared<const List>(std::vector<Value>());
      list.Spend();
      return value.list_ptr();
    }
    default:
      throw rt.Fault("a ", value.TypeName(), " has no items to go through");
  }
}

int64_t Length(Runtime& rt, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      return 0;
    case Value::Kind::kText:
      rt.Step(value.text().size() / 32);
      return CountCharacters(value.text().view());
    case Value::Kind::kDict:
      return static_cast<int64_t>(value.dict().size());
    case Value::Kind::kList:
      if (value.list().sort() != List::Sort::kGenerator)
        return static_cast<int64_t>(value.list().items().size());
      break;
    default:
      break;
  }
  throw rt.Fault("a ", value.TypeName(), " has no length");
}

Value GetItem(Runtime& rt, const Value& value, const Value& key, const std::string* name) {
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  if (value.IsDict()) {
    if (const Value* found = value.dict().Find(key)) return *found;
  } else if (const auto index = key.Integer()) {
    if (value.IsText()) return CharacterAt(rt, value.text(), *index, name);
    if (!value.IsList() || value.list().sort() == List::Sort::kGenerator)
      return Value::Missing(name);
    const auto& items = value.list().items();
    const auto place = Index(*index, static_cast<int64_t>(items.size()));
    return place ? items[*place] : Value::Missing(name);
  }
  if (!key.IsText()) return Value::Missing(name);
  const Value found = Attribute(rt, value, key.text().bytes());
  return found.IsUndefined() ? Value::Missing(name) : found;
}

Value GetAttribute(Runtime& rt, const Value& value, const std::string& name) {
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  Value found = Attribute(rt, value, name);
  if (!found.IsUndefined()) return found;
  if (value.IsDict()) {
    if (const Value* entry = value.dict().Find(name)) return *entry;
  }
  return Value::Missing(&name);
}

namespace {

struct Range {
  int64_t start, count, step;
};

// Which items a slice takes of `size`, as Python does.
Range SliceOf(Runtime& rt, int64_t size, const Value& start, const Value& stop, const Value& step) {
  const auto number = [&](const Value& v, int64_t fallback) {
    if (v.IsNone()) return fallback;
    if (const auto i = v.Integer()) return *i;
    throw rt.Fault(v.IsUndefined() ? v.MissingName()
                                   : Cat("a slice's bounds must be ints, not ", v.TypeName()));
  };
  const int64_t by = number(step, 1);
  if (by == 0) throw rt.Fault("a slice's step is 0");
  const int64_t low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const auto bound = [&](const Value& v, int64_t fallback) {
    int64_t at = number(v, fallback);
    if (v.IsNone()) return fallback;
    if (at < 0) at = at < -size ? low : at + size;
    return std::clamp(at, low, high);
  };
  const int64_t from = bound(start, by > 0 ? low : high), to = bound(stop, by > 0 ? high : low);
  const int64_t distance = by > 0 ? to - from : from - to;
  if (distance <= 0) return {from, 0, by};
  const uint64_t stride = by > 0 ? static_cast<uint64_t>(by) : 0 - static_cast<uint64_t>(by);
  return {from, static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1, by};
}

Value SliceText(Runtime& rt, const Text& text, const Value& start, const Value& stop,
                const Value& step) {
  rt.Step(text.size() / 8);
  const std::vector<size_t> starts = CharacterStarts(text.view());
  const Range range = SliceOf(rt, static_cast<int64_t>(starts.size()) - 1, start, stop, step);
  if (range.step == 1) {
    const auto first = static_cast<size_t>(range.start);
    return rt.NewText(text.Sub(starts[first], starts[first + static_cast<size_t>(range.count)]));
  }
  Text out;
  for (int64_t i = 0; i < range.count; ++i) {
    const auto at = static_cast<size_t>(range.start + i * range.step);
    out.Append(text, starts[at], starts[at + 1]);
  }
  out.html = text.html;
  return rt.NewText(std::move(out));
}

}  // namespace

Value Slice(Runtime& rt, const Value& value, const Value& start, const Value& stop,
            const Value& step) {
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  if (value.IsText()) return SliceText(rt, value.text(), start, stop, step);
  const bool has_places = value.IsList() && value.list().sort() != List::Sort::kGenerator &&
                          value.list().sort() != List::Sort::kView;
  if (!has_places) return Value();
  const auto& items = value.list().items();
  const Range range = SliceOf(rt, static_cast<int64_t>(items.size()), start, stop, step);
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(range.count));
  for (int64_t i = 0; i < range.count; ++i)
    out.push_back(items[static_cast<size_t>(range.start + i * range.step)]);
  return rt.NewList(std::move(out), value.list().sort());
}

}  // namespace retort::jinja
