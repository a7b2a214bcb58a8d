// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "grammar/schema_compiler.h"

namespace retort {
namespace {

// Values that a schema lists itself.
std::span<const Json> Listed(const Json* list, const Json* single) {
  if (list && list->is_array()) return list->get_ref<const Json::array_t&>();
  return single ? std::span(single, 1) : std::span<const Json>();
}

}  // namespace

// Whether both list values, and none is in both lists.
bool SchemaCompiler::DisjointLists(const Json& a, const Json& b) {
  const auto listed = [&](const Json& schema) {
    return Listed(document_.Member(schema, "enum"), document_.Member(schema, "const"));
  };
  const auto x = listed(a), y = listed(b);
  if (x.empty() || y.empty()) return false;
  Spend(x.size() * y.size() / kPartsPerWork);
  return std::ranges::find_first_of(x, y) == x.end();
}

bool SchemaCompiler::Requires(const Json& schema, const std::string& name) {
  const Json* required = document_.Member(schema, "required");
  if (!required || !required->is_array()) return false;
  Spend(required->size() / kPartsPerWork);
  return std::ranges::find(*required, Json(name)) != required->end();
}

// Cheap cases of what Exclusive finds out: disjoint lists of values, also of a member that both
// require.
bool SchemaCompiler::ClearlyExclusive(const Json& a, const Json& b) {
  const auto both = [&](const char* key) {
    return std::pair(document_.Member(a, key), document_.Member(b, key));
  };
  const auto [a_refers, b_refers] = both("$ref");
  if (document_.draft7() && (a_refers || b_refers)) return false;
  if (DisjointLists(a, b)) return true;
  const auto [a_type, b_type] = both("type");
  if (!a_type || !b_type) return false;
  const uint32_t types = TypesOf({{&a}}) & TypesOf({{&b}});
  if (types == 0) return true;
  const auto [a_members, b_members] = both("properties");
  if (!a_members || !b_members || !a_members->is_object() || types != kObject) return false;
  Spend(a_members->size() / kPartsPerWork);
  for (const auto& [name, schema] : a_members->get_ref<const Json::object_t&>()) {
    const Json* other = document_.Member(*b_members, name);
    if (other && DisjointLists(schema, *other) && Requires(a, name) && Requires(b, name))
      return true;
  }
  return false;
}

// Takes work for a search of what a node is made of.
void SchemaCompiler::SpendReached(NodeId id) {
  std::vector<NodeId> reached;
  std::vector<bool> known;
  const auto reach = [&](NodeId next) {
    if (next >= known.size()) known.resize(next + size_t{1});
    if (known[next]) return;
    known[next] = true;
    reached.push_back(next);
    if (reached.size() % kPartsPerWork == 0) Spend(1);
  };
  reach(id);
  for (size_t i = 0; i < reached.size(); ++i) {
    const Productions::Node& node = p_[reached[i]];
    if (node.kind == Productions::Kind::kChoice) {
      for (const NodeId part : p_.PartsOf(node)) reach(part);
    } else if (node.kind != Productions::Kind::kTerminal) {
      reach(node.a);
      if (node.kind == Productions::Kind::kSequence) reach(node.b);
    }
  }
}

// Whether no value satisfies the items and both schemas: nothing is left of them together.
bool SchemaCompiler::Exclusive(const Goal& items, const Json& a, const Json& b) {
  Goal goal = items;
  goal.push_back({&a});
  goal.push_back({&b});
  checking_ = true;
  const NodeId rule = Rule(goal);
  checking_ = false;
  SpendReached(rule);
  return !p_.MayStandForText(rule, e_);
}

// Each branch, without what other branches satisfy too.
std::vector<SchemaCompiler::Goal> SchemaCompiler::OneOfAlternatives(const Goal& items,
                                                                    const Json& owner) {
  const Json& branches = *document_.Member(owner, "oneOf");
  Spend(branches.size() * branches.size() / kPartsPerWork);
  std::vector<Goal> alternatives;
  alternatives.reserve(branches.size());
  for (const Json& branch : branches) alternatives.push_back({{&branch}});
  for (size_t i = 0; i < branches.size() && !checking_; ++i) {
    for (size_t j = i + 1; j < branches.size(); ++j) {
      const Json &a = branches[i], &b = branches[j];
      if (ClearlyExclusive(a, b) || Exclusive(items, a, b)) continue;
      alternatives[i].push_back({&Negation(b)});
      alternatives[j].push_back({&Negation(a)});
    }
  }
  return alternatives;
}

}  // namespace retort
