// SPDX-License-Identifier: Apache-2.0
#include "grammar/compile.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/regex_reader.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

// Of expressions: less than a second.
constexpr uint64_t kMostSteps = 5'000'000;

NodeId CompileSchema(const GrammarSource& source, const std::string& where, GrammarParts& parts) {
  SchemaDocument document(source.text, where);
  WorkBudget work(SchemaCompiler::kMostWork);
  return SchemaCompiler(document, parts, source.space, work).Compile();
}

NodeId CompileChoices(const std::string& text, const std::string& where, GrammarParts& parts) {
  const Json choices = ParseJson(text, where);
  if (!choices.is_array() || choices.empty())
    throw InputError(where, ": choices must be a list of texts");
  std::vector<std::string_view> texts;
  texts.reserve(choices.size());
  for (const Json& choice : choices) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty())
      throw InputError(where, ": a choice must be a text, and not empty");
    texts.push_back(choice.get_ref<const std::string&>());
  }
  return parts.productions.Terminal(parts.expressions.AnyOf(std::move(texts)));
}

NodeId Compile(const GrammarSource& source, const std::string& where, GrammarParts& parts) {
  switch (source.kind) {
    case GrammarSource::Kind::kSchema:
      return CompileSchema(source, where, parts);
    case GrammarSource::Kind::kJson: {
      const GrammarSource object{GrammarSource::Kind::kSchema, R"({"type": "object"})",
                                 source.space};
      return CompileSchema(object, where, parts);
    }
    case GrammarSource::Kind::kRegex:
      return parts.productions.Terminal(
          ReadWholeRegex(parts.expressions, source.text, Spelling::kUtf8, where));
    case GrammarSource::Kind::kChoices:
      return CompileChoices(source.text, where, parts);
    case GrammarSource::Kind::kGbnf:
      return CompileGbnf(source.text, where, parts);
    case GrammarSource::Kind::kLark:
      return CompileLark(source.text, where, parts);
  }
  return Productions::kNothing;
}

}  // namespace

std::shared_ptr<const Grammar> CompileGrammar(const GrammarSource& source, const std::string& where,
                                              std::shared_ptr<const Vocabulary> vocabulary) {
  const auto build = [&](GrammarParts& parts) {
    const NodeId answer = Compile(source, where, parts);
    if (source.before.empty()) return answer;
    const NodeId before = parts.productions.Terminal(parts.expressions.Literal(source.before));
    return parts.productions.Sequence(before, answer);
  };
  return CompileGrammar(build, where, std::move(vocabulary));
}

std::shared_ptr<const Grammar> CompileGrammar(const GrammarBuilder& builder,
                                              const std::string& where,
                                              std::shared_ptr<const Vocabulary> vocabulary) {
  auto parts = std::make_unique<GrammarParts>();
  parts->expressions.Allow(kMostSteps);
  const NodeId start = builder(*parts);
  try {
    parts->productions.Finish(start, parts->expressions);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw InputError(where, ": ", e.what());
  }
  return std::make_shared<const Grammar>(std::move(parts), std::move(vocabulary));
}

}  // namespace retort
