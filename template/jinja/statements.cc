// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "template/jinja/evaluator.h"
#include "template/jinja/loop.h"

namespace retort::jinja {

class Evaluator::Within {
 public:
  Within(Evaluator& evaluator, Scope* parent)
      : evaluator_(evaluator), outer_(evaluator.scope_), own_(std::make_unique<Scope>()) {
    own_->parent = parent;
    evaluator.scope_ = own_.get();
  }
  ~Within() {
    evaluator_.scope_ = outer_;
    if (own_->kept) evaluator_.kept_.push_back(std::move(own_));
  }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

  // Drops all variables, for the next turn of a loop.
  void Renew() {
    if (!own_->kept) return own_->values.clear();
    Scope* parent = own_->parent;
    evaluator_.kept_.push_back(std::move(own_));
    own_ = std::make_unique<Scope>();
    own_->parent = parent;
    evaluator_.scope_ = own_.get();
  }

 private:
  Evaluator& evaluator_;
  Scope* outer_;
  std::unique_ptr<Scope> own_;
};

namespace {

struct LoopEnd {
  LoopState& loop;
  ~LoopEnd() { loop.Forget(); }
};

class Macro final : public Callable {
 public:
  Macro(Evaluator& evaluator, const MacroDefinition& macro, Scope* scope)
      : evaluator_(evaluator), macro_(macro), scope_(scope) {}
  std::string_view type_name() const override { return "macro"; }
  Value Attribute(std::string_view name, const Value&) const override {
    return name == "name" ? Value::Of(macro_.name) : Value();
  }
  Value Call(Runtime&, const Arguments& arguments) override {
    return evaluator_.CallMacro(macro_, scope_, arguments);
  }

 private:
  Evaluator& evaluator_;
  const MacroDefinition& macro_;
  Scope* scope_;
};

}  // namespace

Text Evaluator::Render() {
  Run(ast_.body);
  return std::move(out_);
}

void Evaluator::Print(const Text& text) {
  rt_.Make(text.size());
  out_.Append(text);
}

Text Evaluator::Printed(const Body& body) {
  Text outer = std::exchange(out_, Text());
  Run(body);
  return std::exchange(out_, std::move(outer));
}

Evaluator::Flow Evaluator::Run(const Body& body) {
  for (const auto& statement : body) {
    if (const Flow flow = Run(*statement); flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Evaluator::Flow Evaluator::Run(const Statement& s) {
  const Level level(rt_);
  rt_.Step();
  rt_.line = s.line;
  switch (s.kind) {
    case Statement::Kind::kText:
      Print(s.text.text());
      break;
    case Statement::Kind::kPrint:
      Print(*ToText(rt_, Eval(*s.expr)));
      break;
    case Statement::Kind::kIf:
      return RunIf(s);
    case Statement::Kind::kFor:
      Loop(s, Eval(*s.expr), 0);
      break;
    case Statement::Kind::kSet:
    case Statement::Kind::kSetBlock:
      RunSet(s);
      break;
    case Statement::Kind::kMacro:
      scope_->Set(s.target.variable, NewMacro(*s.macro));
      break;
    case Statement::Kind::kCallBlock:
      RunCallBlock(s);
      break;
    case Statement::Kind::kFilterBlock: {
      const Within scope(*this, scope_);
      const Value block = rt_.NewText(Printed(s.bodies[0]));
      Print(*ToText(rt_, EvalFilter(*s.expr, &block)));
      break;
    }
    case Statement::Kind::kWith:
      return RunWith(s);
    case Statement::Kind::kScope:
      return RunInScope(s.bodies[0]);
    case Statement::Kind::kGeneration:
      RunGeneration(s);
      break;
    case Statement::Kind::kDo:
      Eval(*s.expr);
      break;
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Evaluator::Flow Evaluator::RunIf(const Statement& s) {
  for (size_t i = 0; i < s.exprs.size(); ++i) {
    if (Truth(Eval(*s.exprs[i]))) return Run(s.bodies[i]);
  }
  return Run(s.bodies.back());
}

Evaluator::Flow Evaluator::RunInScope(const Body& body) {
  const Within scope(*this, scope_);
  return Run(body);
}

void Evaluator::RunSet(const Statement& s) {
  if (s.kind == Statement::Kind::kSet) return Assign(s.target, Eval(*s.expr));
  Value value;
  {
    const Within scope(*this, scope_);
    value = rt_.NewText(Printed(s.bodies[0]));
    if (s.expr) value = EvalFilter(*s.expr, &value);
  }
  Assign(s.target, value);
}

Evaluator::Flow Evaluator::RunWith(const Statement& s) {
  std::vector<Value> values;
  for (const ExprPtr& e : s.exprs) values.push_back(Eval(*e));
  const Within scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) Assign(s.targets[i], values[i]);
  return Run(s.bodies[0]);
}

void Evaluator::RunGeneration(const Statement& s) {
  const Within scope(*this, scope_);
  Text reply = Printed(s.bodies[0]);
  reply.Mark(kReply);
  Print(reply);
}

void Evaluator::RunCallBlock(const Statement& s) {
  const Value caller = NewMacro(*s.macro);
  Print(*ToText(rt_, EvalCall(*s.expr, &caller)));
}

void Evaluator::Assign(const Target& target, const Value& value) {
  if (!target.several.empty()) {
    const auto items = Iterate(rt_, value);
    if (items->items().size() != target.several.size()) {
      throw rt_.Fault(items->items().size(), " values are given to ", target.several.size(),
                      " variables");
    }
    for (size_t i = 0; i < target.several.size(); ++i) Assign(target.several[i], items->items()[i]);
  } else if (target.attribute.empty()) {
    scope_->Set(target.variable, value);
  } else {
    const Value of = Look(target.variable);
    auto* space = of.As<Namespace>();
    if (!space)
      throw rt_.Fault("only a namespace's attributes can be set, not those of a ", of.TypeName());
    rt_.Make(sizeof(Value));
    space->Set(target.attribute, value);
  }
}

Value Evaluator::NewMacro(const MacroDefinition& macro) {
  for (Scope* scope = scope_; scope && !scope->kept; scope = scope->parent) scope->kept = true;
  rt_.Make(sizeof(Macro) + sizeof(Scope) + sizeof(Value));
  return Value::Of(std::shared_ptr<Object>(std::make_shared<Macro>(*this, macro, scope_)));
}

Value Evaluator::CallMacro(const MacroDefinition& macro, Scope* defined_in,
                           const Arguments& arguments) {
  const Within scope(*this, defined_in);
  const auto named = [&](const std::string& name) -> const Value* {
    const auto found =
        std::ranges::find(arguments.named, name, [](const auto& a) { return a.first; });
    return found == arguments.named.end() ? nullptr : &found->second;
  };
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& p = macro.parameters[i];
    const Value* given = i < arguments.positional.size() ? &arguments.positional[i] : named(p.name);
    scope_->Set(p.variable, given        ? *given
                            : p.fallback ? Eval(*p.fallback)
                                         : Value::Missing(&p.name));
  }
  BindMore(macro, arguments);
  return rt_.NewText(Printed(macro.body));
}

// What is given beyond the parameters.
void Evaluator::BindMore(const MacroDefinition& macro, const Arguments& arguments) {
  const size_t known = macro.parameters.size();
  std::vector<Value> more;
  for (size_t i = known; i < arguments.positional.size(); ++i)
    more.push_back(arguments.positional[i]);
  if (!more.empty() && !macro.takes_more)
    throw rt_.Fault("macro '", macro.name, "' takes at most ", known, " arguments");
  Dict named;
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = std::ranges::find(macro.parameters, name, &Parameter::name);
    if (parameter != macro.parameters.end()) {
      if (static_cast<size_t>(parameter - macro.parameters.begin()) < arguments.positional.size())
        throw rt_.Fault("macro '", macro.name, "' is given '", name, "' twice");
    } else if (name == "caller" && macro.takes_caller) {
      scope_->Set(kCallerName, value);
    } else if (macro.takes_more_named) {
      named.Set(Value::Of(name), value);
    } else {
      throw rt_.Fault("macro '", macro.name, "' has no argument '", name, "'");
    }
  }
  const bool called = std::ranges::find(arguments.named, "caller", [](const auto& a) {
                        return a.first;
                      }) != arguments.named.end();
  const bool caller_is_parameter =
      std::ranges::find(macro.parameters, "caller", &Parameter::name) != macro.parameters.end();
  if (macro.takes_caller && !called && !caller_is_parameter)
    scope_->Set(kCallerName, Value::Missing(&ast_.names[kCallerName]));
  if (macro.takes_more) scope_->Set(kVarargsName, rt_.NewList(std::move(more), List::Sort::kTuple));
  if (macro.takes_more_named) scope_->Set(kKwargsName, rt_.NewDict(std::move(named)));
}

std::vector<Value> Evaluator::LoopItems(const Statement& s, const Value& items) {
  std::vector<Value> all = Iterate(rt_, items)->items();
  rt_.Make(all.size(), sizeof(Value));
  if (!s.condition) return all;
  Within scope(*this, scope_);
  std::erase_if(all, [&](const Value& item) {
    scope.Renew();
    Assign(s.target, item);
    return !Truth(Eval(*s.condition));
  });
  return all;
}

void Evaluator::Loop(const Statement& s, const Value& items, int depth) {
  const auto all = std::make_shared<const List>(LoopItems(s, items));
  if (all->items().empty()) {
    RunInScope(s.bodies[1]);
    return;
  }
  const auto loop = std::make_shared<LoopState>(all, depth);
  const LoopEnd end{*loop};
  if (s.recursive) loop->Recur(*this, s, scope_);
  for (Scope* scope = s.recursive ? scope_ : nullptr; scope && !scope->kept; scope = scope->parent)
    scope->kept = true;
  Within scope(*this, scope_);
  const Value loop_value = Value::Of(std::shared_ptr<Object>(loop));
  for (size_t i = 0; i < all->items().size(); ++i) {
    rt_.Step();
    scope.Renew();
    loop->at = i;
    scope_->Set(kLoopName, loop_value);
    Assign(s.target, all->items()[i]);
    if (Run(s.bodies[0]) == Flow::kBreak) break;
  }
}

Value Evaluator::RunLoop(const Statement& loop, Scope* defined_in, const Value& items, int depth) {
  const Within scope(*this, defined_in);
  Text outer = std::exchange(out_, Text());
  Loop(loop, items, depth);
  return rt_.NewText(std::exchange(out_, std::move(outer)));
}

}  // namespace retort::jinja
