// SPDX-License-Identifier: Apache-2.0
// Regular languages over bytes as expressions with Brzozowski derivatives. Equal expressions have
// equal ids, so an expression is a state of the automaton that recognises it: its derivative by a
// byte is the next one. Counted repetition, intersection and complement cost nothing until they are
// met.
#pragma once

#include <bitset>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace retort {

using ByteSet = std::bitset<256>;
using ExpressionId = uint32_t;

class Expressions {
 public:
  static constexpr ExpressionId kNothing = 0;  // no text at all
  static constexpr ExpressionId kEmpty = 1;    // the empty text
  static constexpr ExpressionId kAll = 2;      // every text
  static constexpr uint32_t kNoLimit = UINT32_MAX;
  static constexpr size_t kMostNodes = 400'000;
  static constexpr uint32_t kMostDepth = 1000;  // of expressions within expressions

  Expressions();
  Expressions(const Expressions&) = delete;
  Expressions& operator=(const Expressions&) = delete;

  // All of them simplify, and throw Error{kInput} beyond kMostNodes and kMostDepth.
  ExpressionId Bytes(const ByteSet& set);
  ExpressionId Range(uint8_t first, uint8_t last);
  ExpressionId Literal(std::string_view text);
  // Shares common beginnings, so that thousands of texts cost what their letters cost.
  ExpressionId AnyOf(std::vector<std::string_view> texts);
  ExpressionId Concat(ExpressionId a, ExpressionId b);
  ExpressionId Concat(std::span<const ExpressionId> parts);
  ExpressionId Union(std::vector<ExpressionId> parts);
  ExpressionId Both(std::vector<ExpressionId> parts);  // intersection
  ExpressionId Not(ExpressionId a);                    // all other texts, of any bytes
  // Texts of any bytes no part of which is one of `a`.
  ExpressionId Without(ExpressionId a) { return Not(Concat(kAll, Concat(a, kAll))); }
  ExpressionId Repeat(ExpressionId a, uint32_t least, uint32_t most = kNoLimit);
  ExpressionId Optional(ExpressionId a) { return Union({a, kEmpty}); }
  // Decimal digits whose number is a multiple of `divisor` > 0; also the empty text.
  ExpressionId Multiples(uint32_t divisor);

  // How many steps may be taken from now on: derivatives, those of parts included, and what callers
  // charge for work of their own. Beyond it, Error{kInput} is thrown: an expression's size does not
  // tell what it costs.
  void Allow(uint64_t steps) { steps_left_ = allowed_ = steps; }
  void Charge(uint64_t steps);

  // Neither intersection nor complement is in it.
  bool Plain(ExpressionId id) const { return nodes_[id].plain; }
  bool Nullable(ExpressionId id) const { return nodes_[id].nullable; }
  ExpressionId Derivative(ExpressionId id, uint8_t byte);
  // Whether the language has no text. Only intersections and complements need a search, which
  // throws Error{kInput} if it takes too many steps.
  bool IsNothing(ExpressionId id);

  // Bytes that no expression tells apart have the same class.
  struct Classes {
    std::vector<uint8_t> of = std::vector<uint8_t>(256);  // of each byte
    std::vector<uint8_t> samples;                         // a byte of each class
  };
  // Of the expressions made so far; their derivatives need no others.
  const Classes& ByteClasses();

  // item{least,most} followed by `rest`. most is 0 if the expression is none.
  struct Counted {
    ExpressionId item, rest;
    uint32_t least = 0, most = 0;
  };
  Counted AsCounted(ExpressionId id) const;
  // Bytes with which a text may begin; a superset for intersections and complements.
  ByteSet FirstBytes(ExpressionId id) const;

  size_t size() const { return nodes_.size(); }

 private:
  enum class Kind : uint8_t {
    kBytes,
    kConcat,
    kUnion,
    kBoth,
    kNot,
    kRepeat,
    kMultiples,
    kConstant
  };
  struct Node {
    Kind kind = Kind::kConstant;
    bool nullable = false;
    bool plain = true;  // no intersection, no complement: not empty unless kNothing
    // kBytes: index of the set. kConcat: both parts. kNot: a. kRepeat: a, least b, most c.
    // kMultiples: divisor a, remainder b. kUnion, kBoth: b parts from index a on.
    uint32_t a = 0, b = 0, c = 0;
    uint32_t depth = 1;  // of calls that go down to each part
  };
  struct Hash {
    const Expressions* pool;
    size_t operator()(ExpressionId id) const { return pool->HashOf(id); }
  };
  struct Same {
    const Expressions* pool;
    bool operator()(ExpressionId x, ExpressionId y) const { return pool->AreSame(x, y); }
  };

  std::span<const ExpressionId> PartsOf(const Node& node) const {
    return std::span(parts_).subspan(node.a, node.b);
  }
  size_t HashOf(ExpressionId id) const;
  bool AreSame(ExpressionId x, ExpressionId y) const;
  uint32_t DepthOf(const Node& node) const;
  // The id of an equal node, or of this new one, whose depth is found here.
  ExpressionId Intern(Node node);
  ExpressionId InternParts(Kind kind, const std::vector<ExpressionId>& parts);
  ExpressionId AnyOfSorted(std::span<const std::string_view> texts, size_t at);
  ExpressionId MultiplesFrom(uint32_t divisor, uint32_t remainder);
  ExpressionId DerivativeOfConcat(ExpressionId id, uint8_t byte);

  std::vector<Node> nodes_;
  std::vector<ExpressionId> parts_;
  std::vector<ByteSet> sets_;
  std::unordered_map<ByteSet, uint32_t> set_ids_;
  std::unordered_set<ExpressionId, Hash, Same> known_;
  std::unordered_map<ExpressionId, bool> nothing_;  // of those that are not plain
  uint64_t steps_left_ = UINT64_MAX, allowed_ = UINT64_MAX;
  bool counts_ = false;  // there are Multiples
  Classes classes_;
  size_t classed_ = SIZE_MAX;  // sets that classes_ knows
};

}  // namespace retort
