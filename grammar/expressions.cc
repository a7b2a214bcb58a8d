// SPDX-License-Identifier: Apache-2.0
#include "grammar/expressions.h"

#include <algorithm>

#include "base/error.h"
#include "base/seeded_hash.h"

namespace retort {
namespace {

// Expressions that a search for a text may look at.
constexpr size_t kMostSearched = 20'000;
// Parts that are copied in about the time that a derivative takes.
constexpr size_t kPartsPerStep = 4;

void SortUnique(std::vector<ExpressionId>& ids) {
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

// The sum or product of counts, where kNoLimit stays what it is.
uint32_t TimesCount(uint32_t a, uint32_t b) {
  if (a == 0 || b == 0) return 0;
  if (a == Expressions::kNoLimit || b == Expressions::kNoLimit) return Expressions::kNoLimit;
  return static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{a} * b, Expressions::kNoLimit - uint64_t{1}));
}

uint32_t LessOne(uint32_t count) {
  return count == Expressions::kNoLimit || count == 0 ? count : count - 1;
}

}  // namespace

Expressions::Expressions() : known_(64, Hash{this}, Same{this}) {
  nodes_.resize(3);
  nodes_[kEmpty].nullable = nodes_[kAll].nullable = true;
}

size_t Expressions::HashOf(ExpressionId id) const {
  const Node& node = nodes_[id];
  uint64_t hash = SeededHash(static_cast<uint64_t>(node.kind));
  if (node.kind == Kind::kUnion || node.kind == Kind::kBoth) {
    for (const ExpressionId part : PartsOf(node)) hash = SeededHash(hash ^ part);
    return hash;
  }
  return SeededHash(SeededHash(hash ^ (uint64_t{node.a} << 32 | node.b)) ^ node.c);
}

bool Expressions::AreSame(ExpressionId x, ExpressionId y) const {
  const Node &a = nodes_[x], &b = nodes_[y];
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::kUnion || a.kind == Kind::kBoth)
    return std::ranges::equal(PartsOf(a), PartsOf(b));
  return a.a == b.a && a.b == b.b && a.c == b.c;
}

// A chain of parts, one behind the other, is gone along without calls.
uint32_t Expressions::DepthOf(const Node& node) const {
  switch (node.kind) {
    case Kind::kConcat:
      return std::max(nodes_[node.a].depth + 1, nodes_[node.b].depth);
    case Kind::kNot:
    case Kind::kRepeat:
      return nodes_[node.a].depth + 1;
    case Kind::kUnion:
    case Kind::kBoth: {
      uint32_t depth = 0;
      for (const ExpressionId part : PartsOf(node)) depth = std::max(depth, nodes_[part].depth);
      return depth + 1;
    }
    default:
      return 1;
  }
}

ExpressionId Expressions::Intern(Node node) {
  node.depth = DepthOf(node);
  if (node.depth > kMostDepth) {
    throw InputError("the grammar nests more than ", kMostDepth,
                     " levels deep; write it with fewer groups within groups");
  }
  const auto id = static_cast<ExpressionId>(nodes_.size());
  nodes_.push_back(node);
  const auto [at, added] = known_.insert(id);
  if (!added) nodes_.pop_back();
  if (nodes_.size() > kMostNodes) {
    throw InputError("the grammar needs more than ", kMostNodes,
                     " expressions; write it with fewer and smaller repetitions");
  }
  return *at;
}

ExpressionId Expressions::InternParts(Kind kind, const std::vector<ExpressionId>& parts) {
  Node node{kind};
  node.a = static_cast<uint32_t>(parts_.size());
  node.b = static_cast<uint32_t>(parts.size());
  node.nullable = kind == Kind::kBoth;
  node.plain = kind == Kind::kUnion;
  for (const ExpressionId part : parts) {
    if (kind == Kind::kUnion)
      node.nullable |= nodes_[part].nullable;
    else
      node.nullable &= nodes_[part].nullable;
    node.plain &= nodes_[part].plain;
  }
  parts_.insert(parts_.end(), parts.begin(), parts.end());
  const size_t before = nodes_.size();
  const ExpressionId id = Intern(node);
  if (nodes_.size() == before) parts_.resize(node.a);
  return id;
}

ExpressionId Expressions::Bytes(const ByteSet& set) {
  if (set.none()) return kNothing;
  const auto [at, added] = set_ids_.try_emplace(set, static_cast<uint32_t>(sets_.size()));
  if (added) sets_.push_back(set);
  Node node{Kind::kBytes};
  node.a = at->second;
  return Intern(node);
}

ExpressionId Expressions::Range(uint8_t first, uint8_t last) {
  ByteSet set;
  for (unsigned byte = first; byte <= last; ++byte) set.set(byte);
  return Bytes(set);
}

ExpressionId Expressions::Literal(std::string_view text) {
  ExpressionId id = kEmpty;
  for (auto at = text.rbegin(); at != text.rend(); ++at) {
    const auto byte = static_cast<uint8_t>(*at);
    id = Concat(Range(byte, byte), id);
  }
  return id;
}

ExpressionId Expressions::AnyOf(std::vector<std::string_view> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return AnyOfSorted(texts, 0);
}

// The texts agree in their first `at` bytes.
ExpressionId Expressions::AnyOfSorted(std::span<const std::string_view> texts, size_t at) {
  if (texts.empty()) return kNothing;
  if (texts.size() == 1) return Literal(texts[0].substr(at));
  size_t same = at;  // the first and the last text differ earliest
  while (same < texts.front().size() && texts.front()[same] == texts.back()[same]) ++same;
  std::vector<ExpressionId> parts;
  for (size_t begin = 0; begin < texts.size();) {
    if (texts[begin].size() == same) {
      parts.push_back(kEmpty);
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < texts.size() && texts[end][same] == texts[begin][same]) ++end;
    const auto byte = static_cast<uint8_t>(texts[begin][same]);
    const ExpressionId rest = AnyOfSorted(texts.subspan(begin, end - begin), same + 1);
    parts.push_back(Concat(Range(byte, byte), rest));
    begin = end;
  }
  return Concat(Literal(texts.front().substr(at, same - at)), Union(std::move(parts)));
}

ExpressionId Expressions::Concat(ExpressionId a, ExpressionId b) {
  if (a == kNothing || b == kNothing) return kNothing;
  if (a == kEmpty) return b;
  if (b == kEmpty) return a;
  const auto join = [&](ExpressionId first, ExpressionId rest) {
    return Intern({Kind::kConcat, nodes_[first].nullable && nodes_[rest].nullable,
                   nodes_[first].plain && nodes_[rest].plain, first, rest});
  };
  std::vector<ExpressionId> parts;
  for (; nodes_[a].kind == Kind::kConcat; a = nodes_[a].b) parts.push_back(nodes_[a].a);
  Charge(parts.size() / kPartsPerStep);
  b = join(a, b);
  for (; !parts.empty(); parts.pop_back()) b = join(parts.back(), b);
  return b;
}

ExpressionId Expressions::Concat(std::span<const ExpressionId> parts) {
  ExpressionId id = kEmpty;
  for (auto at = parts.rbegin(); at != parts.rend(); ++at) id = Concat(*at, id);
  return id;
}

ExpressionId Expressions::Union(std::vector<ExpressionId> parts) {
  SortUnique(parts);
  std::vector<ExpressionId> all;
  all.reserve(parts.size());
  ByteSet bytes;
  for (const ExpressionId part : parts) {
    const Node& node = nodes_[part];
    if (part == kAll) return kAll;
    if (node.kind == Kind::kUnion) {
      Charge(node.b / kPartsPerStep);
      for (const ExpressionId inner : PartsOf(node)) {
        if (nodes_[inner].kind == Kind::kBytes)
          bytes |= sets_[nodes_[inner].a];
        else
          all.push_back(inner);
      }
    } else if (node.kind == Kind::kBytes) {
      bytes |= sets_[node.a];
    } else if (part != kNothing) {
      all.push_back(part);
    }
  }
  if (bytes.any()) all.push_back(Bytes(bytes));
  SortUnique(all);
  if (all.empty()) return kNothing;
  if (all.size() == 1) return all[0];
  const auto others_end_too = [&](ExpressionId id) { return id != kEmpty && nodes_[id].nullable; };
  if (all[0] == kEmpty && std::ranges::any_of(all, others_end_too)) all.erase(all.begin());
  if (all.size() == 1) return all[0];
  return InternParts(Kind::kUnion, all);
}

ExpressionId Expressions::Both(std::vector<ExpressionId> parts) {
  SortUnique(parts);
  std::vector<ExpressionId> all;
  all.reserve(parts.size());
  for (const ExpressionId part : parts) {
    const Node& node = nodes_[part];
    if (part == kNothing) return kNothing;
    if (node.kind == Kind::kBoth) {
      Charge(node.b / kPartsPerStep);
      const auto inner = PartsOf(node);
      all.insert(all.end(), inner.begin(), inner.end());
    } else if (part != kAll) {
      all.push_back(part);
    }
  }
  SortUnique(all);
  if (all.empty()) return kAll;
  if (all.size() == 1) return all[0];
  if (all[0] == kEmpty) {  // the empty text or nothing
    const bool all_end = std::ranges::all_of(all, [&](auto id) { return nodes_[id].nullable; });
    return all_end ? kEmpty : kNothing;
  }
  return InternParts(Kind::kBoth, all);
}

ExpressionId Expressions::Not(ExpressionId a) {
  if (a == kNothing) return kAll;
  if (a == kAll) return kNothing;
  if (nodes_[a].kind == Kind::kNot) return nodes_[a].a;
  return Intern({Kind::kNot, !nodes_[a].nullable, false, a});
}

ExpressionId Expressions::Repeat(ExpressionId a, uint32_t least, uint32_t most) {
  if (a == kNothing) return least == 0 ? kEmpty : kNothing;
  if (a == kEmpty || most == 0) return kEmpty;
  if (least == 1 && most == 1) return a;
  if (nodes_[a].nullable) least = 0;
  const Node inner = nodes_[a];
  if (inner.kind == Kind::kRepeat) {
    // Counts of counts are multiplied where they leave no gaps.
    if (inner.b == 0) return Repeat(inner.a, 0, TimesCount(inner.c, most));
    if (inner.b == 1) return Repeat(inner.a, least, TimesCount(inner.c, most));
  }
  return Intern({Kind::kRepeat, least == 0, inner.plain, a, least, most});
}

ExpressionId Expressions::MultiplesFrom(uint32_t divisor, uint32_t remainder) {
  return Intern({Kind::kMultiples, remainder == 0, false, divisor, remainder});
}

ExpressionId Expressions::Multiples(uint32_t divisor) {
  counts_ = true;
  return MultiplesFrom(divisor, 0);
}

ExpressionId Expressions::DerivativeOfConcat(ExpressionId id, uint8_t byte) {
  std::vector<ExpressionId> parts;
  while (nodes_[id].kind == Kind::kConcat) {
    const Node node = nodes_[id];
    parts.push_back(Concat(Derivative(node.a, byte), node.b));
    if (!nodes_[node.a].nullable) return Union(std::move(parts));
    id = node.b;
  }
  parts.push_back(Derivative(id, byte));
  return Union(std::move(parts));
}

void Expressions::Charge(uint64_t steps) {
  if (steps_left_ >= steps) [[likely]] {
    steps_left_ -= steps;
    return;
  }
  steps_left_ = 0;
  throw InputError("the grammar takes more than ", allowed_,
                   " steps at one place; state fewer and simpler conditions on one text");
}

ExpressionId Expressions::Derivative(ExpressionId id, uint8_t byte) {
  Charge(1);
  const Node node = nodes_[id];
  switch (node.kind) {
    case Kind::kConstant:
      return id == kAll ? kAll : kNothing;
    case Kind::kBytes:
      return sets_[node.a][byte] ? kEmpty : kNothing;
    case Kind::kConcat:
      return DerivativeOfConcat(id, byte);
    case Kind::kNot:
      return Not(Derivative(node.a, byte));
    case Kind::kRepeat:
      return Concat(Derivative(node.a, byte), Repeat(node.a, LessOne(node.b), LessOne(node.c)));
    case Kind::kMultiples:
      if (byte < '0' || byte > '9') return kNothing;
      return MultiplesFrom(node.a,
                           static_cast<uint32_t>((uint64_t{node.b} * 10 + byte - '0') % node.a));
    case Kind::kUnion:
    case Kind::kBoth:
      break;
  }
  std::vector<ExpressionId> parts;
  parts.reserve(node.b);
  for (uint32_t i = 0; i < node.b; ++i) {
    parts.push_back(Derivative(parts_[node.a + i], byte));
    if (node.kind == Kind::kBoth && parts.back() == kNothing) return kNothing;
  }
  return node.kind == Kind::kUnion ? Union(std::move(parts)) : Both(std::move(parts));
}

bool Expressions::IsNothing(ExpressionId id) {
  if (nodes_[id].plain) return id == kNothing;
  if (const auto at = nothing_.find(id); at != nothing_.end()) return at->second;
  // Breadth first: the shortest text is found. A letter is tried first, and a quote behind every
  // text at once, since most conditions are about strings that may end behind any letter.
  std::vector<uint8_t> samples = {'a'};
  const std::vector<uint8_t>& classes = ByteClasses().samples;
  samples.insert(samples.end(), classes.begin(), classes.end());
  std::vector<ExpressionId> seen = {id};
  std::unordered_set<ExpressionId> known = {id};
  const auto has_text = [&](ExpressionId next) {
    const auto at = nothing_.find(next);
    if (nodes_[next].plain) return next != kNothing;
    return nodes_[next].nullable || (at != nothing_.end() && !at->second);
  };
  bool found = has_text(id) || has_text(Derivative(id, '"'));
  for (size_t i = 0; i < seen.size() && !found; ++i) {
    for (size_t c = 0; c < samples.size() && !found; ++c) {
      const ExpressionId next = Derivative(seen[i], samples[c]);
      found = has_text(next);
      if (found || next == kNothing || nothing_.contains(next) || !known.insert(next).second)
        continue;
      seen.push_back(next);
      found = has_text(Derivative(next, '"'));
      if (found) nothing_[next] = false;
    }
    if (seen.size() > kMostSearched) {
      throw InputError("the grammar has conditions on one text that take more than ", kMostSearched,
                       " steps to be combined; state fewer or simpler ones");
    }
  }
  // If no text was found, none of the expressions that were reached has one.
  if (found)
    nothing_[id] = false;
  else
    for (const ExpressionId reached : seen) nothing_[reached] = true;
  return !found;
}

const Expressions::Classes& Expressions::ByteClasses() {
  const size_t sets = sets_.size() + (counts_ ? 1 : 0);
  if (classed_ == sets) return classes_;
  classed_ = sets;
  std::vector<int> of(256, 0);
  int count = 1;
  // Divides each class into the bytes within the set and those without.
  const auto refine = [&](const ByteSet& set) {
    const auto n = static_cast<size_t>(count);
    std::vector<int> split(n, -1), size(n, 0), inside(n, 0);
    for (size_t byte = 0; byte < 256; ++byte)
      ++size[of[byte]], inside[of[byte]] += set[byte] ? 1 : 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      const int was = of[byte];
      if (!set[byte] || inside[was] == size[was]) continue;
      if (split[was] < 0) split[was] = count++;
      of[byte] = split[was];
    }
  };
  for (const ByteSet& set : sets_) refine(set);
  for (size_t digit = '0'; counts_ && digit <= '9'; ++digit) refine(ByteSet().set(digit));
  classes_.samples.resize(static_cast<size_t>(count));
  for (size_t byte = 256; byte-- > 0;) {
    classes_.of[byte] = static_cast<uint8_t>(of[byte]);
    classes_.samples[static_cast<size_t>(of[byte])] = static_cast<uint8_t>(byte);
  }
  return classes_;
}

Expressions::Counted Expressions::AsCounted(ExpressionId id) const {
  Counted counted{kNothing, kEmpty};
  if (nodes_[id].kind == Kind::kConcat) counted.rest = nodes_[id].b, id = nodes_[id].a;
  if (nodes_[id].kind != Kind::kRepeat) return {kNothing, kNothing};
  const Node& node = nodes_[id];
  counted.item = node.a, counted.least = node.b, counted.most = node.c;
  return counted;
}

ByteSet Expressions::FirstBytes(ExpressionId id) const {
  const Node& node = nodes_[id];
  ByteSet bytes;
  switch (node.kind) {
    case Kind::kConstant:
      return id == kAll ? bytes.set() : bytes;
    case Kind::kBytes:
      return sets_[node.a];
    case Kind::kConcat:
      for (; nodes_[id].kind == Kind::kConcat; id = nodes_[id].b) {
        bytes |= FirstBytes(nodes_[id].a);
        if (!nodes_[nodes_[id].a].nullable) return bytes;
      }
      return bytes | FirstBytes(id);
    case Kind::kNot:
      return bytes.set();
    case Kind::kRepeat:
      return FirstBytes(node.a);
    case Kind::kMultiples:
      for (int digit = '0'; digit <= '9'; ++digit) bytes.set(static_cast<size_t>(digit));
      return bytes;
    case Kind::kUnion:
      for (const ExpressionId part : PartsOf(node)) bytes |= FirstBytes(part);
      return bytes;
    case Kind::kBoth:
      bytes.set();
      for (const ExpressionId part : PartsOf(node)) bytes &= FirstBytes(part);
      return bytes;
  }
  return bytes;
}

}  // namespace retort
