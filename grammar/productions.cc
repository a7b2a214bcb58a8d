// SPDX-License-Identifier: Apache-2.0
#include "grammar/productions.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace retort {

Productions::Productions() : nodes_(2) {
  nodes_[kEmpty].nullable = nodes_[kEmpty].productive = true;
  nodes_[kNothing].kind = Kind::kNothing;
}

NodeId Productions::Add(Node node) {
  if (nodes_.size() >= kMostNodes)
    throw InputError("the grammar has more than ", kMostNodes, " parts; make it smaller");
  nodes_.push_back(node);
  return static_cast<NodeId>(nodes_.size() - 1);
}

NodeId Productions::Terminal(ExpressionId expression) {
  if (expression == Expressions::kNothing) return kNothing;
  if (expression == Expressions::kEmpty) return kEmpty;
  return Add({Kind::kTerminal, false, false, expression});
}

NodeId Productions::Sequence(NodeId a, NodeId b) {
  if (a == kNothing || b == kNothing) return kNothing;
  if (a == kEmpty) return b;
  if (b == kEmpty) return a;
  return Add({Kind::kSequence, false, false, a, b});
}

NodeId Productions::Sequence(std::span<const NodeId> parts) {
  NodeId id = kEmpty;
  for (auto at = parts.rbegin(); at != parts.rend(); ++at) id = Sequence(*at, id);
  return id;
}

NodeId Productions::Choice(const std::vector<NodeId>& parts) {
  const auto begin = static_cast<uint32_t>(parts_.size());
  for (const NodeId part : parts) {
    if (part == kNothing) continue;
    if (std::find(parts_.begin() + begin, parts_.end(), part) == parts_.end() || parts.size() > 64)
      parts_.push_back(part);
  }
  const auto count = static_cast<uint32_t>(parts_.size()) - begin;
  const NodeId first = count == 0 ? kNothing : parts_[begin];
  if (count > 1) return Add({Kind::kChoice, false, false, begin, count});
  parts_.resize(begin);
  return first;
}

NodeId Productions::Repeat(NodeId a, uint32_t least, uint32_t most) {
  if (most == 0 || a == kEmpty) return kEmpty;
  if (a == kNothing) return least == 0 ? kEmpty : kNothing;
  if (least == 1 && most == 1) return a;
  return Add({Kind::kRepeat, false, false, a, least, most});
}

NodeId Productions::Rule() { return Add({Kind::kRule, false, false, kUndefined}); }

void Productions::Define(NodeId rule, NodeId body) { nodes_[rule].a = body; }

// Whether the node is now known to have more.
bool Productions::Improve(Node& node, Expressions& expressions) const {
  if (node.productive && node.nullable) return false;
  const Node before = node;
  switch (node.kind) {
    case Kind::kEmpty:
    case Kind::kNothing:
      return false;
    case Kind::kTerminal:
      node.productive = node.productive || !expressions.IsNothing(node.a);
      node.nullable = expressions.Nullable(node.a);
      break;
    case Kind::kSequence:
      node.productive = Body(node.a).productive && Body(node.b).productive;
      node.nullable = Body(node.a).nullable && Body(node.b).nullable;
      break;
    case Kind::kChoice:
      for (const NodeId part : PartsOf(node)) {
        node.productive |= Body(part).productive;
        node.nullable |= Body(part).nullable;
      }
      break;
    case Kind::kRepeat:
      node.productive = node.b == 0 || Body(node.a).productive;
      node.nullable = node.b == 0 || Body(node.a).nullable;
      break;
    case Kind::kRule:
      node.productive = nodes_[node.a].productive;
      node.nullable = nodes_[node.a].nullable;
      break;
  }
  return node.productive != before.productive || node.nullable != before.nullable;
}

bool Productions::MayStandForText(NodeId id, Expressions& expressions) const {
  std::vector<NodeId> reached = {id};
  std::unordered_map<NodeId, bool> stands = {{id, false}};
  const auto reach = [&](NodeId next) {
    if (stands.try_emplace(next, false).second) reached.push_back(next);
  };
  for (size_t i = 0; i < reached.size(); ++i) {
    const Node& node = nodes_[reached[i]];
    if (node.kind == Kind::kChoice) {
      for (const NodeId part : PartsOf(node)) reach(part);
    } else if (node.kind != Kind::kTerminal && node.a != kUndefined) {
      reach(node.a);
      if (node.kind == Kind::kSequence) reach(node.b);
    }
  }
  const auto holds = [&](const Node& node) {
    switch (node.kind) {
      case Kind::kTerminal:
        return !expressions.IsNothing(node.a);
      case Kind::kSequence:
        return stands[node.a] && stands[node.b];
      case Kind::kChoice:
        return std::ranges::any_of(PartsOf(node), [&](NodeId part) { return stands[part]; });
      case Kind::kRepeat:
        return node.b == 0 || stands[node.a];
      case Kind::kRule:
        return node.a == kUndefined || stands[node.a];
      default:
        return node.kind == Kind::kEmpty;
    }
  };
  for (bool better = true; better && !stands[id];) {
    better = false;
    for (auto at = reached.rbegin(); at != reached.rend(); ++at) {
      if (stands[*at] || !holds(nodes_[*at])) continue;
      better = stands[*at] = true;
    }
  }
  return stands[id];
}

void Productions::Finish(NodeId start, Expressions& expressions) {
  start_ = start;
  for (const Node& node : nodes_)
    RETORT_CHECK(node.kind != Kind::kRule || node.a != kUndefined, "a rule without a body");
  // Parts mostly stand before what is made of them, so few rounds are needed; each rule that is
  // used before it is defined may take one more.
  for (bool better = true; better;) {
    better = false;
    for (Node& node : nodes_) better |= Improve(node, expressions);
  }
  if (!nodes_[start].productive) throw InputError("the grammar allows no text at all");
  RefuseLeftRecursion();
}

// A depth-first search along the nodes that may begin a node.
void Productions::RefuseLeftRecursion() const {
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(nodes_.size(), Mark::kNew);
  struct Visit {
    NodeId id;
    uint32_t next = 0;
  };
  constexpr NodeId kNoMore = UINT32_MAX;
  const auto beginning = [&](const Node& node, uint32_t index) -> NodeId {
    switch (node.kind) {
      case Kind::kSequence:
        if (index == 0) return node.a;
        return index == 1 && nodes_[node.a].nullable ? node.b : kNoMore;
      case Kind::kChoice:
        return index < node.b ? parts_[node.a + index] : kNoMore;
      case Kind::kRepeat:
      case Kind::kRule:
        return index == 0 ? node.a : kNoMore;
      default:
        return kNoMore;
    }
  };
  std::vector<Visit> path = {{start_}};
  for (NodeId root = 0; root < nodes_.size(); ++root) {
    if (marks[root] != Mark::kNew || !nodes_[root].productive) continue;
    path = {{root}};
    while (!path.empty()) {
      Visit& visit = path.back();
      marks[visit.id] = Mark::kOpen;
      const NodeId next = beginning(nodes_[visit.id], visit.next++);
      if (next == kNoMore) {
        marks[visit.id] = Mark::kDone;
        path.pop_back();
      } else if (marks[next] == Mark::kOpen) {
        throw InputError(
            "the grammar has a rule that begins with itself (left recursion); write it as a "
            "repetition");
      } else if (marks[next] == Mark::kNew && nodes_[next].productive) {
        path.push_back({next});
      }
    }
  }
}

}  // namespace retort
