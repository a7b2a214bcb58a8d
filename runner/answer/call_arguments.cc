// SPDX-License-Identifier: Apache-2.0
// A call's arguments as a grammar.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "grammar/schema_compiler.h"
#include "runner/answer/call_grammar.h"

namespace retort {
namespace {

// Models write their arguments' JSON with the white space of their training.
constexpr JsonSpace kSpace = JsonSpace::kFlexible;

// Whether a mark that is in a JSON text is within one of its strings.
bool StandsInStringsAlone(std::string_view mark) {
  constexpr std::string_view kOutside = " \t\n\r{}[]:,+-.0123456789Etruefalsn";
  return mark.find('"') == std::string_view::npos &&
         mark.find_first_not_of(kOutside) != std::string_view::npos;
}

// The arguments of one tool between marks.
class Tagged {
 public:
  Tagged(const CallFormat& format, const Tool& tool, const std::string& where, WorkBudget& work,
         GrammarParts& parts)
      : format_(format),
        tool_(tool),
        document_(tool.schema.empty() ? "{}" : tool.schema, where),
        values_(document_, parts, kSpace, work, {Spelling::kJson, format.argument_close.front()}),
        texts_(document_, parts, kSpace, work, {Spelling::kUtf8, format.argument_close.front()}),
        e_(parts.expressions),
        p_(parts.productions) {}

  NodeId Build() {
    const NodeId all = tool_.schema.empty() ? Any() : Known();
    return p_.Sequence(std::vector<NodeId>{all, Space(), Text(format_.call_close.front())});
  }

 private:
  NodeId Text(std::string_view text) { return p_.Terminal(e_.Literal(text)); }
  NodeId Space() { return p_.Terminal(MarkSpace(e_)); }
  NodeId Marked(const Marks& marks) { return p_.Terminal(MarksText(marks, e_)); }

  NodeId Argument(NodeId name, NodeId value) {
    const NodeId line = Text(format_.value_lines ? "\n" : "");
    return p_.Sequence(std::vector<NodeId>{Space(), Marked(format_.argument_open), name,
                                           Marked(format_.argument_value), line, value, line,
                                           Marked(format_.argument_close)});
  }

  // Of a tool that is not held to its schema.
  NodeId Any() {
    ByteSet name = OddBytes();
    name.flip();
    const NodeId value = p_.Terminal(e_.Without(e_.Literal(format_.argument_close.front())));
    return p_.Repeat(Argument(p_.Terminal(e_.Repeat(e_.Bytes(name), 1)), value), 0,
                     Productions::kNoLimit);
  }

  // The members that the schema names, in its order. No others are written.
  NodeId Known() {
    const Json& schema = document_.root();
    RefuseOthers(schema);
    const Json *properties = document_.Member(schema, "properties"),
               *required = document_.Member(schema, "required");
    const auto asked = [&](const std::string& name) {
      return required && required->is_array() &&
             std::ranges::find(*required, Json(name)) != required->end();
    };
    if (required)
      for (const Json& name : *required)
        if (!name.is_string() || !properties ||
            !document_.Member(*properties, name.get<std::string>()))
          document_.Refuse(schema, "'required' names what 'properties' does not");
    std::vector<NodeId> all;
    if (!properties) return Productions::kEmpty;
    for (const auto& [name, property] : properties->items()) {
      RefuseOddName(name, property);
      const auto types = tool_.types.find(name);
      const bool text = types != tool_.types.end() && OnlyText(types->second);
      if (!text && !StandsInStringsAlone(format_.argument_close.front()))
        document_.Refuse(property, "must be a 'string' in this model's form of calls");
      const NodeId value = (text ? texts_ : values_).CompilePart(property);
      const NodeId argument = Argument(Text(name), value);
      all.push_back(asked(name) ? argument : p_.Choice({Productions::kEmpty, argument}));
    }
    return p_.Sequence(all);
  }

  ByteSet OddBytes() const {
    ByteSet odd;
    for (const char c : {'<', '\n', '"', format_.argument_value.front().front()})
      odd.set(static_cast<uint8_t>(c));
    return odd;
  }
  void RefuseOddName(const std::string& name, const Json& property) {
    const ByteSet odd = OddBytes();
    const auto is_odd = [&](char c) { return odd[static_cast<uint8_t>(c)]; };
    if (name.empty() || name.size() > kMostNameBytes || std::ranges::any_of(name, is_odd)) {
      document_.Refuse(property, Cat("a name of 1 to ", kMostNameBytes, " bytes without '<', '\"' ",
                                     "and line breaks is needed in this model's form of calls"));
    }
  }
  void RefuseOthers(const Json& schema) {
    static constexpr const char* kKnown[] = {
        "type",    "properties",  "required",    "additionalProperties",
        "title",   "description", "definitions", "$defs",
        "$schema", "$id",         "default",     "examples",
        "$comment"};
    if (!schema.is_object()) document_.Refuse(schema, "must be an object");
    for (const auto& [key, value] : schema.items()) {
      const bool known = std::ranges::find(kKnown, key) != std::end(kKnown);
      if (!known || (key == "type" && value != "object"))
        document_.Refuse(schema,
                         Cat(Quoted(key), " is not supported in this model's form of calls, ",
                             "which writes one argument after the other"));
    }
  }

  static constexpr size_t kMostNameBytes = 256;
  const CallFormat& format_;
  const Tool& tool_;
  SchemaDocument document_;
  SchemaCompiler values_, texts_;  // as JSON, and as they are
  Expressions& e_;
  Productions& p_;
};

}  // namespace

NodeId ObjectArguments(const Tool& tool, const std::string& where, WorkBudget& work,
                       GrammarParts& parts) {
  SchemaDocument document(tool.schema.empty() ? "{}" : tool.schema, where);
  return SchemaCompiler(document, parts, kSpace, work).CompileObject();
}

NodeId TaggedArguments(const CallFormat& format, const Tool& tool, const std::string& where,
                       WorkBudget& work, GrammarParts& parts) {
  return Tagged(format, tool, where, work, parts).Build();
}

}  // namespace retort
