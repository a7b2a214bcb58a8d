// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/loop.h"

#include <algorithm>

namespace retort::jinja {
namespace {

// loop.cycle and loop.changed.
class LoopFunction final : public Callable {
 public:
  LoopFunction(Value loop, bool cycle) : loop_(std::move(loop)), cycle_(cycle) {}
  std::string_view type_name() const override { return "method"; }
  int depth() const override { return loop_.depth() + 1; }
  Value Call(Runtime& rt, const Arguments& arguments) override {
    auto* loop = loop_.As<LoopState>();
    if (!cycle_) return Value::Of(loop->Changed(rt, arguments.positional));
    if (arguments.positional.empty()) throw rt.Fault("cycle() needs values");
    return arguments.positional[loop->at % arguments.positional.size()];
  }

 private:
  Value loop_;
  bool cycle_;
};

}  // namespace

Value LoopState::Attribute(std::string_view name, const Value& self) const {
  const auto number = [](size_t n) { return Value::Of(static_cast<int64_t>(n)); };
  const auto& items = items_->items();
  if (name == "index0") return number(at);
  if (name == "index") return number(at + 1);
  if (name == "first") return Value::Of(at == 0);
  if (name == "last") return Value::Of(at + 1 == items.size());
  if (name == "length") return number(items.size());
  if (name == "revindex") return number(items.size() - at);
  if (name == "revindex0") return number(items.size() - at - 1);
  if (name == "previtem") return at > 0 ? items[at - 1] : Value();
  if (name == "nextitem") return at + 1 < items.size() ? items[at + 1] : Value();
  if (name == "depth") return number(static_cast<size_t>(depth_) + 1);
  if (name == "depth0") return number(static_cast<size_t>(depth_));
  if (name != "cycle" && name != "changed") return {};
  return Value::Of(std::shared_ptr<Object>(std::make_shared<LoopFunction>(self, name == "cycle")));
}

Value LoopState::Call(Runtime& rt, const Arguments& arguments) {
  const Bound bound(rt, "loop()", arguments, {"items"}, 1);
  if (!statement_) throw rt.Fault("loop() is called in a loop that is not `recursive`");
  return evaluator_->RunLoop(*statement_, scope_, *bound.Get(0), depth_ + 1);
}

bool LoopState::Changed(Runtime& rt, const std::vector<Value>& values) {
  const bool same =
      asked_ && std::ranges::equal(last_, values,
                                   [&](const Value& a, const Value& b) { return Equal(rt, a, b); });
  asked_ = true;
  if (!same) last_ = values;
  return !same;
}

}  // namespace retort::jinja
