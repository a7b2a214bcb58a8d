// SPDX-License-Identifier: Apache-2.0
// Compiles a JSON Schema to productions.
//
// What a value must satisfy is a `Goal`: a set of subschemas, all of which hold. Expanding a goal
// replaces references and "allOf" by what they stand for, and turns "anyOf", "oneOf", "if" and the
// like into alternatives, each a goal with the keyword marked as done. A goal without alternatives
// becomes a choice over the types that it leaves. Equal goals are one rule, so recursion ends.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/work_budget.h"
#include "grammar/json_terms.h"
#include "grammar/schema_document.h"

namespace retort {

class SchemaCompiler {
 public:
  // What the schemas of one grammar may take together, in items of goals.
  static constexpr uint64_t kMostWork = 200'000;

  // Draws from `work`.
  SchemaCompiler(SchemaDocument& document, GrammarParts& parts, JsonSpace space, WorkBudget& work,
                 StringForm form = {});

  // The node of the whole schema. Throws Error{kInput} naming the place of what is not supported.
  NodeId Compile() { return CompilePart(document_.root()); }
  // Of the objects that satisfy it, and of a schema within the document.
  NodeId CompileObject();
  NodeId CompilePart(const Json& schema) { return Rule({{&schema}}); }

 private:
  // Keywords of an item that have been dealt with.
  enum Done : uint32_t {
    kFlat = 1,    // references, "allOf", "not"
    kHidden = 2,  // it says nothing itself (any more)
    kAnyOf = 4,
    kOneOf = 8,
    kIf = 16,
    kDependent = 32,
    kValues = 64,  // "enum" and "const"
  };
  struct Item {
    const Json* schema;
    uint32_t done = 0;
    const Json* parent = nullptr;  // whose keyword added it
  };
  using Goal = std::vector<Item>;
  struct Group {
    size_t item;  // which one's keyword
    uint32_t bit;
    std::vector<Goal> alternatives;
  };
  struct Expanded {
    bool never = false;
    Goal items;
    std::vector<Group> groups;
  };
  // Schemas, what is done of them and, where it matters, whose keywords added them.
  using GoalKey = std::vector<std::tuple<const Json*, uint32_t, const Json*>>;

  enum Types : uint32_t {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,
    kFraction = 8,
    kString = 16,
    kArray = 32,
    kObject = 64,
    kAnyType = 127,
  };

  struct Counts {
    uint32_t least, most;
  };

  // Work is counted in items of goals; so many nodes, members or values cost as much as one.
  static constexpr size_t kPartsPerWork = 64;
  static constexpr size_t kTextsPerWork = 4;  // each of which becomes an expression
  // Takes work from the budget.
  void Spend(uint64_t work);
  // What an item says of a keyword; null if nothing.
  const Json* Get(const Item& item, const char* key) const;

  // schema_compiler.cc
  void Descend(const Goal& goal);
  NodeId Rule(const Goal& goal);
  NodeId Body(const Goal& goal);
  NodeId Leaf(const Goal& items);
  uint32_t TypesOf(const Goal& items) const;
  static Goal With(const Expanded& expanded, const Group& group, const Goal& alternative);
  NodeId Values(Goal items, size_t which);
  NodeId ValueUnder(const Json& value, const Goal& goal);
  NodeId ValueUnderLeaf(const Json& value, const Goal& items);
  // Whether a "not" of an item lists the value.
  bool Excluded(const Goal& items, const Json& value);

  // schema_expansion.cc
  Expanded Expand(const Goal& goal);
  void Add(Expanded& expanded, const Json& schema, const Item& by);
  void Flatten(Expanded& expanded, size_t at);
  void FindGroups(Expanded& expanded, size_t at);
  void RefuseUnsupported(const Json& schema) const;
  const Json& Dependent(const std::string& name, const Json& needs);

  // schema_one_of.cc
  std::vector<Goal> OneOfAlternatives(const Goal& items, const Json& owner);
  bool Exclusive(const Goal& items, const Json& a, const Json& b);
  bool ClearlyExclusive(const Json& a, const Json& b);
  bool DisjointLists(const Json& a, const Json& b);
  bool Requires(const Json& schema, const std::string& name);
  void SpendReached(NodeId id);

  // schema_negation.cc
  static bool IsAtom(const Json& negated);
  // An item's "not" that is an atom, or null: Flatten adds the negation of any other.
  const Json* NegatedAtom(const Item& item) const;
  const Json& Negation(const Json& schema, int depth = 0);
  const Json& NegationOf(const Json& schema, const std::string& keyword, int depth);
  const Json& NewNegation(const Json& schema, int depth);
  const Json& NewNegationOf(const Json& schema, const std::string& keyword, int depth);

  // schema_scalars.cc
  ExpressionId StringOf(const Goal& items);
  ExpressionId PatternOf(const Json& schema, const Json& pattern);
  ExpressionId NumberOf(const Goal& items, uint32_t types);
  bool Accepts(ExpressionId expression, std::string_view text);

  // schema_unevaluated.cc
  using Evaluates = std::function<bool(const Item& part)>;
  // What an item's keyword `key` says of a member or element; null if nothing, or if another schema
  // that holds says something of it.
  const Json* Unevaluated(const Goal& items, const Item& whole, const char* key,
                          const Evaluates& evaluates);
  bool BelongsTo(const Goal& items, const Item& part, const Item& whole);

  // schema_unique.cc
  bool IsUnique(const Goal& items) const;
  bool AreUnique(const Json& elements);
  NodeId UniqueArray(const Goal& items, const Counts& counts);
  bool AddFewValues(const Goal& goal, Json& values);
  bool AddFewOfLeaf(const Goal& items, Json& values);

  // schema_arrays.cc
  NodeId ArrayOf(const Goal& items);
  NodeId ArrayValue(const Json& value, const Goal& items);
  Goal ElementGoal(const Goal& items, size_t index);

  // schema_objects.cc
  struct Members;
  NodeId ObjectOf(const Goal& items);
  NodeId ObjectValue(const Json& value, const Goal& items);
  Members MembersOf(const Goal& items);
  Goal MemberGoal(const Goal& items, const std::string& name);
  NodeId FurtherMembers(const Goal& items, const Members& members);
  std::optional<ExpressionId> NamesOf(const Goal& items);

  uint32_t CountOf(const Json& schema, const char* key, uint32_t fallback) const;
  Counts CountsOf(const Goal& items, const char* least, const char* most) const;

  SchemaDocument& document_;
  Expressions& e_;
  Productions& p_;
  JsonTerms terms_;
  WorkBudget& work_;
  int depth_ = 0;  // goals that are being compiled, each for another
  // While two schemas are checked for a value of both: what is compiled then may allow more than
  // the schemas do, never less.
  bool checking_ = false;
  std::map<std::pair<GoalKey, bool>, NodeId> rules_;
  std::unordered_map<std::string, ExpressionId> patterns_;
  // Made schemas, one for each use, so that equal goals have equal items.
  std::map<std::pair<const Json*, std::string>, const Json*> negations_;
  std::unordered_set<const Json*> negated_;  // schemas that are negations
  std::unordered_map<const Json*, const Json*> dependents_;
};

}  // namespace retort
