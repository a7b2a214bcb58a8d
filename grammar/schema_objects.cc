// SPDX-License-Identifier: Apache-2.0
// Objects: the members that schemas name, in the order in which they are named, then any others.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "grammar/characters.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr size_t kMostPatterns = 6;     // all their combinations are looked at
constexpr uint32_t kMostCounted = 256;  // members, where their number is limited

}  // namespace

struct SchemaCompiler::Members {
  struct Named {
    std::string name;
    bool required = false;
  };
  std::vector<Named> named;
  std::vector<std::pair<const Json*, std::string>> patterns;  // a schema and its text
};

SchemaCompiler::Members SchemaCompiler::MembersOf(const Goal& items) {
  Members members;
  std::unordered_map<std::string, size_t> places;
  const auto place = [&](const std::string& name) -> Members::Named& {
    const auto [at, added] = places.try_emplace(name, members.named.size());
    if (added) members.named.push_back({name});
    return members.named[at->second];
  };
  std::unordered_set<std::string> patterns;
  for (const Item& item : items) {
    if (const Json* named = Get(item, "properties")) {
      if (!named->is_object()) document_.Refuse(*item.schema, "'properties' must be an object");
      for (const auto& [name, schema] : named->items()) place(name);
    }
    const Json* patterned = Get(item, "patternProperties");
    if (!patterned) continue;
    if (!patterned->is_object())
      document_.Refuse(*item.schema, "'patternProperties' must be an object");
    for (const auto& [pattern, schema] : patterned->items())
      if (patterns.insert(pattern).second) members.patterns.emplace_back(item.schema, pattern);
    if (members.patterns.size() > kMostPatterns)
      document_.Refuse(*item.schema, Cat("more than ", kMostPatterns, " patterns of members"));
  }
  for (const Item& item : items) {
    const Json* required = Get(item, "required");
    if (!required || required->is_boolean()) continue;  // draft 3 had a flag
    if (!required->is_array()) document_.Refuse(*item.schema, "'required' must be a list");
    for (const Json& name : *required) {
      if (!name.is_string()) document_.Refuse(*item.schema, "'required' must hold texts");
      place(name.get<std::string>()).required = true;
    }
  }
  Spend(members.named.size() * items.size() / kPartsPerWork + members.named.size() / kTextsPerWork);
  return members;
}

// What the value of a member must satisfy.
SchemaCompiler::Goal SchemaCompiler::MemberGoal(const Goal& items, const std::string& name) {
  Goal goal;
  const std::string text = terms_.QuotedText(name);
  const auto matches = [&](const Item& item, const std::string& pattern) {
    return Accepts(PatternOf(*item.schema, Json(pattern)), text);
  };
  const auto evaluates = [&](const Item& part) {
    const Json *properties = Get(part, "properties"), *patterns = Get(part, "patternProperties");
    if (Get(part, "additionalProperties")) return true;
    if (properties && document_.Member(*properties, name)) return true;
    if (!patterns) return false;
    const auto known = patterns->items();
    return std::any_of(known.begin(), known.end(),
                       [&](const auto& one) { return matches(part, one.key()); });
  };
  for (const Item& item : items) {
    bool known = false;
    const Json* properties = Get(item, "properties");
    if (const Json* schema = properties ? document_.Member(*properties, name) : nullptr) {
      goal.push_back({schema});
      known = true;
    }
    if (const Json* patterns = Get(item, "patternProperties")) {
      for (const auto& [pattern, schema] : patterns->items()) {
        if (!matches(item, pattern)) continue;
        goal.push_back({&schema});
        known = true;
      }
    }
    const Json* additional = Get(item, "additionalProperties");
    if (!known && additional) goal.push_back({additional});
    if (const Json* schema = Unevaluated(items, item, "unevaluatedProperties", evaluates))
      goal.push_back({schema});
  }
  return goal;
}

// The names that "propertyNames" allow, with their quotes; nullopt: all.
std::optional<ExpressionId> SchemaCompiler::NamesOf(const Goal& items) {
  Goal goal;
  const Item* from = nullptr;
  for (const Item& item : items)
    if (const Json* names = Get(item, "propertyNames")) goal.push_back({names}), from = &item;
  if (!from) return std::nullopt;
  const Expanded expanded = Expand(goal);
  if (expanded.never) return Expressions::kNothing;
  if (!expanded.groups.empty())
    document_.Refuse(*from->schema, "'propertyNames' with alternatives is not supported");
  if (!(TypesOf(expanded.items) & kString)) return Expressions::kNothing;
  std::vector<ExpressionId> parts = {StringOf(expanded.items)};
  for (const Item& item : expanded.items) {
    Json values = Json::array();
    if (const Json* only = Get(item, "const")) values.push_back(*only);
    const Json* some = Get(item, "enum");
    if (some && some->is_array()) values.insert(values.end(), some->begin(), some->end());
    if (values.empty()) continue;
    Spend(values.size() / kTextsPerWork);
    std::vector<ExpressionId> names;
    for (const Json& value : values)
      if (value.is_string())
        names.push_back(terms_.StringLiteral(value.get_ref<const std::string&>()));
    parts.push_back(e_.Union(std::move(names)));
  }
  parts.push_back(terms_.Quoted(e_.Repeat(terms_.character(), 0)));  // one spelling of each
  return e_.Both(std::move(parts));
}

// A member that no schema names: a choice over the patterns that its name may match.
NodeId SchemaCompiler::FurtherMembers(const Goal& items, const Members& members) {
  std::vector<std::string> texts;
  for (const Members::Named& named : members.named) texts.push_back(terms_.QuotedText(named.name));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const ExpressionId others = e_.Not(e_.AnyOf(views));
  const ExpressionId any = terms_.Quoted(e_.Repeat(terms_.character(), 0));
  const std::optional<ExpressionId> allowed = NamesOf(items);
  std::vector<NodeId> parts;
  for (size_t matched = 0; matched < size_t{1} << members.patterns.size(); ++matched) {
    std::vector<ExpressionId> names = {any, others};
    if (allowed) names.push_back(*allowed);
    std::unordered_set<std::string> holding;
    for (size_t i = 0; i < members.patterns.size(); ++i) {
      const auto& [schema, text] = members.patterns[i];
      const ExpressionId pattern = PatternOf(*schema, Json(text));
      if (matched >> i & 1) holding.insert(text);
      names.push_back(matched >> i & 1 ? pattern : e_.Not(pattern));
    }
    const auto evaluates = [&](const Item& part) {
      const Json* patterns = Get(part, "patternProperties");
      if (Get(part, "additionalProperties")) return true;
      if (!patterns) return false;
      const auto all = patterns->items();
      return std::any_of(all.begin(), all.end(),
                         [&](const auto& one) { return holding.contains(one.key()); });
    };
    Goal goal;
    for (const Item& item : items) {
      bool known = false;
      if (const Json* patterns = Get(item, "patternProperties")) {
        for (const auto& [pattern, schema] : patterns->items())
          if (holding.contains(pattern)) goal.push_back({&schema}), known = true;
      }
      const Json* additional = Get(item, "additionalProperties");
      if (!known && additional) goal.push_back({additional});
      if (const Json* schema = Unevaluated(items, item, "unevaluatedProperties", evaluates))
        goal.push_back({schema});
    }
    const bool forbidden =
        std::ranges::any_of(goal, [](const Item& i) { return *i.schema == false; });
    const ExpressionId name = forbidden ? Expressions::kNothing : e_.Both(std::move(names));
    if (e_.IsNothing(name)) continue;
    parts.push_back(
        p_.Sequence(std::vector<NodeId>{p_.Terminal(name), terms_.Colon(), Rule(goal)}));
  }
  return p_.Choice(parts);
}

NodeId SchemaCompiler::ObjectOf(const Goal& items) {
  constexpr NodeId kNo = Productions::kNothing;
  const Counts counts = CountsOf(items, "minProperties", "maxProperties");
  const uint32_t least = counts.least, most = counts.most;
  const Members members = MembersOf(items);
  const size_t size = members.named.size();
  const std::optional<ExpressionId> names = NamesOf(items);
  const NodeId open = terms_.Open('{'), close = terms_.Close('}');
  const NodeId further = FurtherMembers(items, members);
  const NodeId one_more = p_.Sequence(terms_.Comma(), further);
  // Members that have been written are counted if their number is limited.
  const bool limited = least > 1 || most != Productions::kNoLimit;
  const uint32_t bound = !limited ? 1 : most != Productions::kNoLimit ? most : least;
  if (limited && size > 0 && bound > kMostCounted)
    document_.Refuse(*items[0].schema,
                     Cat("'minProperties' or 'maxProperties' above ", kMostCounted));
  const size_t width = limited && size > 0 ? bound + size_t{1} : 2;
  const auto next = [&](size_t count) {
    return most != Productions::kNoLimit ? count + 1 : std::min(count + 1, width - 1);
  };
  const auto repeat = [&](size_t count) {
    const auto c = static_cast<uint32_t>(count);
    const uint32_t room = most == Productions::kNoLimit ? most : most > c ? most - c : 0;
    return p_.Sequence(p_.Repeat(one_more, least > c ? least - c : 0, room), close);
  };
  // first[c]: the next member that is written, from a place on, behind c others; rest[c]: what
  // follows a member. From the last place to the first.
  std::vector<NodeId> first(width + 1, kNo), rest(width + 1, kNo);
  for (size_t c = 0; c < width; ++c) {
    const bool room = most == Productions::kNoLimit || c < most;
    rest[c] = repeat(c);
    first[c] = room ? p_.Sequence(further, repeat(next(c))) : kNo;
  }
  bool required = false;  // a member behind this place
  for (size_t i = size; i-- > 0;) {
    const Members::Named& named = members.named[i];
    const std::string text = terms_.QuotedText(named.name);
    const bool allowed = !names || Accepts(*names, text);
    const NodeId member =
        allowed
            ? p_.Sequence(std::vector<NodeId>{p_.Terminal(terms_.StringLiteral(named.name)),
                                              terms_.Colon(), Rule(MemberGoal(items, named.name))})
            : kNo;
    required |= named.required;
    const std::vector<NodeId> later = first, behind = rest;
    for (size_t c = 0; c < width; ++c) {
      const bool room = most == Productions::kNoLimit || c < most;
      const NodeId written = room ? p_.Sequence(member, behind[next(c)]) : kNo;
      first[c] = p_.Choice({written, named.required ? kNo : later[c]});
      const bool may_end = !required && c >= least;
      rest[c] = p_.Choice({may_end ? close : kNo, p_.Sequence(terms_.Comma(), first[c])});
    }
  }
  const bool may_be_empty = !required && least == 0;
  return p_.Sequence(open, p_.Choice({may_be_empty ? close : kNo, first[0]}));
}

NodeId SchemaCompiler::ObjectValue(const Json& value, const Goal& items) {
  constexpr NodeId kNo = Productions::kNothing;
  if (!(TypesOf(items) & kObject)) return kNo;
  const Counts counts = CountsOf(items, "minProperties", "maxProperties");
  const uint32_t least = counts.least, most = counts.most;
  if (value.size() < least || value.size() > most) return kNo;
  for (const Members::Named& named : MembersOf(items).named)
    if (named.required && !document_.Member(value, named.name)) return kNo;
  const std::optional<ExpressionId> names = NamesOf(items);
  for (const auto& [name, member] : value.items()) {
    const std::string text = terms_.QuotedText(name);
    if (names && !Accepts(*names, text)) return kNo;
    if (ValueUnder(member, MemberGoal(items, name)) == kNo) return kNo;
  }
  return terms_.Value(value);
}

}  // namespace retort
