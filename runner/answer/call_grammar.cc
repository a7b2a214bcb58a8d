// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_grammar.h"

#include "base/error.h"
#include "base/strings.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr uint32_t kMostIdBytes = 64;
constexpr size_t kMostStrict = 128;  // tools

ExpressionId OneOfBytes(Expressions& e, bool (*in)(char)) {
  ByteSet bytes;
  for (int c = 0; c < 128; ++c) bytes.set(static_cast<size_t>(c), in(static_cast<char>(c)));
  return e.Bytes(bytes);
}

class AnswerGrammar {
 public:
  AnswerGrammar(const AnswerFormat& format, const std::vector<Tool>& tools,
                const CallGrammarOptions& options, const std::string& where, GrammarParts& parts)
      : format_(format),
        tools_(tools),
        options_(options),
        where_(where),
        parts_(parts),
        e_(parts.expressions),
        p_(parts.productions),
        space_(MarkSpace(e_)) {}

  // Texts and calls in turn, as AnswerParser parts them: a text has no marks that open a call, and
  // does not begin with a bracket where that would be one.
  NodeId Build() {
    RefuseTooMuch();
    for (const CallFormat& format : format_.calls) Add(format);
    NodeId answer = p_.Choice(
        {Then(options_.required ? space_ : FirstText(), first_.marked), Then(space_, first_.bare)});
    if (!options_.one_call) {
      const NodeId next =
          p_.Choice({Then(NextText(), next_.marked), Then(BehindCall(), next_.bare)});
      const NodeId more = p_.Repeat(next, 0, Productions::kNoLimit);
      answer = Sequence({answer, more, p_.Terminal(NextText())});
    }
    if (!options_.required) answer = p_.Choice({p_.Terminal(FirstText()), answer});
    return Thinking(answer);
  }

 private:
  NodeId Sequence(const std::vector<NodeId>& parts) { return p_.Sequence(parts); }
  NodeId Text(std::string_view text) { return p_.Terminal(e_.Literal(text)); }
  NodeId Space() { return p_.Terminal(space_); }
  NodeId Then(ExpressionId text, const std::vector<NodeId>& calls) {
    return p_.Sequence(p_.Terminal(text), p_.Choice(calls));
  }
  ExpressionId Bracket() { return e_.Union({e_.Literal("{"), e_.Literal("[")}); }

  // How this format's calls begin, and the calls.
  void Add(const CallFormat& format) {
    // A call that must come is in the model's own format.
    const bool first = !options_.required || &format == &format_.calls.front();
    const NodeId call = Calls(format);
    const auto add_marked = [&](const Marks& marks) {
      openings_.push_back(AnyMarks(marks));
      next_.marked.push_back(Sequence({p_.Terminal(MarksText(marks, e_)), Space(), call}));
      if (first) first_.marked.push_back(next_.marked.back());
    };
    Marks both = format.section_open;
    both.insert(both.end(), format.call_open.begin(), format.call_open.end());
    if (!format.section_open.empty()) add_marked(both);
    if (!format.call_open.empty()) add_marked(format.call_open);
    if (format.IsBare() && first) first_.bare.push_back(call);
    if (format.IsBare() || format.OpensSectionAlone()) next_.bare.push_back(call);
    for (const Marks* marks : {&format.call_close, &format.section_close})
      for (const std::string& mark : *marks) separators_.push_back(e_.Literal(mark));
  }

  NodeId Calls(const CallFormat& format) {
    std::vector<NodeId> calls;
    calls.reserve(tools_.size());
    for (const Tool& tool : tools_) calls.push_back(Call(format, tool));
    const NodeId call = p_.Choice(calls);
    if (!format.list) return call;
    const NodeId first = Sequence({Text("["), Space(), call});
    if (options_.one_call) return first;
    const NodeId next = Sequence({Space(), Text(","), Space(), call});
    return Sequence({first, p_.Repeat(next, 0, Productions::kNoLimit), Space(), Text("]")});
  }

  NodeId Call(const CallFormat& format, const Tool& tool) {
    if (format.shape == CallFormat::Shape::kObject) return InObject(format, tool);
    const NodeId marks = p_.Terminal(MarksText(format.after_name, e_));
    const NodeId begin = Sequence({Text(tool.name), Space(), marks});
    if (format.shape == CallFormat::Shape::kTagged)
      return p_.Sequence(
          begin, Checked(tool, TaggedArguments(format, tool, PlaceOf(tool), work_, parts_)));
    return Sequence({begin, Space(), Arguments(tool)});
  }

  // {"name": NAME, "arguments": ARGUMENTS}, with what models write beside it.
  NodeId InObject(const CallFormat& format, const Tool& tool) {
    const auto key = [&](std::vector<std::string_view> names) {
      const NodeId name = p_.Terminal(e_.AnyOf(std::move(names)));
      return Sequence({Text("\""), name, Text("\""), Space(), Text(":"), Space()});
    };
    const NodeId name = Text(Cat("\"", tool.name, "\"")), arguments = Arguments(tool);
    const NodeId open = p_.Sequence(Text("{"), Space()), close = p_.Sequence(Space(), Text("}"));
    if (format.name_is_key) return Sequence({open, key({tool.name}), arguments, close});
    const NodeId comma = Sequence({Space(), Text(","), Space()});
    const ExpressionId id = e_.Repeat(OneOfBytes(e_, IsIdCharacter), 1, kMostIdBytes);
    const NodeId type = p_.Sequence(key({"type"}), Text("\"function\""));
    const NodeId ids = format.IsBare() ? key({"id"}) : key({"id", "tool_call_id"});
    const NodeId some = p_.Choice({type, Sequence({ids, Text("\""), p_.Terminal(id), Text("\"")})});
    const NodeId before = p_.Repeat(p_.Sequence(some, comma), 0, 2),
                 behind = p_.Repeat(p_.Sequence(comma, some), 0, 2);
    return Sequence({open, before, key({"name", "tool_name"}), name, comma,
                     key({"arguments", "parameters"}), arguments, behind, close});
  }

  std::string PlaceOf(const Tool& tool) const { return Cat(where_, " of '", tool.name, "'"); }
  NodeId Arguments(const Tool& tool) {
    const auto [at, added] = arguments_.try_emplace(tool.name, Productions::kNothing);
    if (added) at->second = Checked(tool, ObjectArguments(tool, PlaceOf(tool), work_, parts_));
    return at->second;
  }
  // The others would be called, so that it would not show.
  NodeId Checked(const Tool& tool, NodeId arguments) {
    if (p_.MayStandForText(arguments, e_)) return arguments;
    throw InputError(PlaceOf(tool), ": no object that this model can write satisfies the schema");
  }
  void RefuseTooMuch() const {
    size_t strict = 0, bytes = 0;
    for (const Tool& tool : tools_)
      strict += tool.schema.empty() ? 0 : 1, bytes += tool.schema.size();
    if (strict > kMostStrict || bytes > SchemaDocument::kMostBytes) {
      throw InputError(where_, ": at most ", kMostStrict, " tools may be strict, with schemas of ",
                       SchemaDocument::kMostBytes, " bytes together; there are ", strict, " with ",
                       bytes);
    }
  }

  // Marks that open a call, with as much white space between them as AnswerParser takes.
  ExpressionId AnyMarks(const Marks& marks) {
    ExpressionId all = Expressions::kEmpty;
    for (const std::string& mark : marks) {
      const ExpressionId before = all == Expressions::kEmpty ? all : AnySpace();
      all = e_.Concat(all, e_.Concat(before, e_.Literal(mark)));
    }
    return all;
  }
  ExpressionId FreeText() {
    return openings_.empty() ? Expressions::kAll : e_.Without(e_.Union(openings_));
  }
  ExpressionId NotBehind(ExpressionId begin, ExpressionId next) {
    return e_.Not(e_.Concat(begin, e_.Concat(next, Expressions::kAll)));
  }
  ExpressionId FirstText() {
    std::vector<ExpressionId> all = {FreeText()};
    if (!format_.think_open.empty())
      all.push_back(NotBehind(AnySpace(), e_.Literal(format_.think_open)));
    if (!first_.bare.empty()) all.push_back(NotBehind(AnySpace(), Bracket()));
    return e_.Both(std::move(all));
  }
  ExpressionId NextText() {
    if (next_.bare.empty()) return FreeText();
    return e_.Both({FreeText(), NotBehind(BehindCall(), Bracket())});
  }
  ExpressionId AnySpace() { return e_.Repeat(OneOfBytes(e_, IsAsciiSpace), 0); }
  // Between a call and one without marks.
  ExpressionId BehindCall() {
    std::vector<ExpressionId> some = separators_;
    some.push_back(OneOfBytes(e_, IsAsciiSpace));
    some.push_back(e_.Union({e_.Literal(";"), e_.Literal(",")}));
    return e_.Repeat(e_.Union(std::move(some)), 0);
  }

  NodeId Thinking(NodeId answer) {
    if (format_.think_close.empty()) return answer;
    const ExpressionId close = e_.Literal(format_.think_close);
    const NodeId thought = p_.Sequence(p_.Terminal(e_.Without(close)), p_.Terminal(close));
    const NodeId behind = p_.Sequence(thought, answer);
    if (options_.in_thought) return behind;
    if (format_.think_open.empty()) return answer;
    return p_.Choice({answer, Sequence({Space(), Text(format_.think_open), behind})});
  }

  const AnswerFormat& format_;
  const std::vector<Tool>& tools_;
  const CallGrammarOptions& options_;
  const std::string& where_;
  GrammarParts& parts_;
  Expressions& e_;
  Productions& p_;
  const ExpressionId space_;
  struct Beginnings {
    std::vector<NodeId> marked, bare;  // calls with the marks that open them, and without any
  };
  Beginnings first_, next_;  // of the answer's first call, and of those behind a call
  std::vector<ExpressionId> openings_, separators_;
  std::map<std::string, NodeId> arguments_;  // as objects, by tool
  WorkBudget work_{SchemaCompiler::kMostWork};
};

}  // namespace

ExpressionId MarkSpace(Expressions& expressions) {
  constexpr uint32_t kMost = 20;
  ByteSet bytes;  // those that may stand in JSON too
  for (const char c : {' ', '\t', '\n', '\r'}) bytes.set(static_cast<uint8_t>(c));
  return expressions.Repeat(expressions.Bytes(bytes), 0, kMost);
}

ExpressionId MarksText(const Marks& marks, Expressions& e) {
  std::vector<ExpressionId> all;
  for (const std::string& mark : marks) {
    if (!all.empty() && !mark.empty()) all.push_back(MarkSpace(e));
    all.push_back(mark.empty() ? e.Repeat(OneOfBytes(e, IsIdCharacter), 1, kMostIdBytes)
                               : e.Literal(mark));
  }
  return e.Concat(all);
}

NodeId CallGrammar(const AnswerFormat& format, const std::vector<Tool>& tools,
                   const CallGrammarOptions& options, const std::string& where,
                   GrammarParts& parts) {
  return AnswerGrammar(format, tools, options, where, parts).Build();
}

}  // namespace retort
