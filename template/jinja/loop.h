// SPDX-License-Identifier: Apache-2.0
// `loop` within a loop.
#pragma once

#include <memory>

#include "template/jinja/evaluator.h"

namespace retort::jinja {

class LoopState final : public Callable {
 public:
  LoopState(std::shared_ptr<const List> items, int depth)
      : items_(std::move(items)), depth_(depth) {}
  // Makes loop(items) possible: the same statement on other items, one level deeper.
  void Recur(Evaluator& evaluator, const Statement& statement, Scope* scope) {
    evaluator_ = &evaluator;
    statement_ = &statement;
    scope_ = scope;
  }

  std::string_view type_name() const override { return "loop"; }
  int depth() const override { return items_->depth(); }
  // index, first, previtem and so on.
  Value Attribute(std::string_view name, const Value& self) const override;
  Value Call(Runtime& rt, const Arguments& arguments) override;

  // Whether the values differ from those of the last call.
  bool Changed(Runtime& rt, const std::vector<Value>& values);
  // Lets go of values, which may hold this loop.
  void Forget() { last_.clear(); }

  size_t at = 0;

 private:
  std::shared_ptr<const List> items_;
  int depth_;
  Evaluator* evaluator_ = nullptr;
  const Statement* statement_ = nullptr;
  Scope* scope_ = nullptr;
  std::vector<Value> last_;
  bool asked_ = false;
};

}  // namespace retort::jinja
