// SPDX-License-Identifier: Apache-2.0
// A context-free grammar over regular languages: what every notation is compiled to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "grammar/expressions.h"

namespace retort {

using NodeId = uint32_t;

// A grammar's right-hand sides as a graph of nodes; a rule is a node that names another.
class Productions {
 public:
  static constexpr NodeId kEmpty = 0;    // the empty text
  static constexpr NodeId kNothing = 1;  // no text
  static constexpr size_t kMostNodes = 1'000'000;
  static constexpr uint32_t kNoLimit = Expressions::kNoLimit;

  enum class Kind : uint8_t { kEmpty, kNothing, kTerminal, kSequence, kChoice, kRepeat, kRule };
  struct Node {
    Kind kind = Kind::kEmpty;
    bool nullable = false;    // stands for the empty text, among others
    bool productive = false;  // stands for some text
    // kTerminal: the expression. kSequence: both parts. kRepeat: a, least b, most c. kRule: the
    // body. kChoice: b parts from index a on.
    uint32_t a = 0, b = 0, c = 0;
  };

  Productions();

  NodeId Terminal(ExpressionId expression);
  NodeId Sequence(NodeId a, NodeId b);
  NodeId Sequence(std::span<const NodeId> parts);
  NodeId Choice(const std::vector<NodeId>& parts);
  NodeId Repeat(NodeId a, uint32_t least, uint32_t most);
  // A rule whose body is given later, by Define.
  NodeId Rule();
  void Define(NodeId rule, NodeId body);

  // Finds out which nodes stand for some text and which for the empty one. Throws Error{kInput} if
  // `start` has no text, or if a rule begins with itself: such a rule has no next byte.
  void Finish(NodeId start, Expressions& expressions);

  // Whether a node stands for some text, before Finish(). Rules that are not defined yet may.
  bool MayStandForText(NodeId id, Expressions& expressions) const;

  const Node& operator[](NodeId id) const { return nodes_[id]; }
  // The node, or the body of a rule.
  const Node& Body(NodeId id) const {
    return nodes_[nodes_[id].kind == Kind::kRule ? nodes_[id].a : id];
  }
  std::span<const NodeId> PartsOf(const Node& choice) const {
    return std::span(parts_).subspan(choice.a, choice.b);
  }
  NodeId start() const { return start_; }

 private:
  static constexpr NodeId kUndefined = UINT32_MAX;

  NodeId Add(Node node);
  bool Improve(Node& node, Expressions& expressions) const;
  void RefuseLeftRecursion() const;

  std::vector<Node> nodes_;
  std::vector<NodeId> parts_;
  NodeId start_ = kNothing;
};

}  // namespace retort
