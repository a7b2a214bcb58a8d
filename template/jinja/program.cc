// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/program.h"

#include <algorithm>

#include "template/jinja/evaluator.h"
#include "template/jinja/parser.h"

namespace retort::jinja {

Program Program::Compile(std::string_view source, const std::string& where) {
  return Program(std::make_shared<const Ast>(Parse(source, where)));
}

Text Program::Render(const Variables& variables, size_t input_bytes,
                     const std::string& where) const {
  Runtime rt(where, input_bytes);
  Evaluator evaluator(rt, *ast_);
  for (const auto& [name, value] : variables) evaluator.SetGlobal(name, value);
  return evaluator.Render();
}

bool Program::has_generation() const { return ast_->has_generation; }

bool Program::AsksFor(std::string_view variable) const {
  return std::ranges::find(ast_->asked_for, variable) != ast_->asked_for.end();
}

bool Program::Names(std::string_view variable) const {
  return std::ranges::find(ast_->names, variable) != ast_->names.end();
}

}  // namespace retort::jinja
