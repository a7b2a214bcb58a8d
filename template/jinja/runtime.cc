// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/runtime.h"

#include <algorithm>

#include "base/text.h"

namespace retort::jinja {
namespace {

// Templates take some tens of steps for a message. These let pages of messages be gone through once
// for each message, and end a loop without end within some tens of milliseconds.
constexpr uint64_t kSteps = 1'000'000, kStepsAByte = 64;
constexpr uint64_t kBytes = uint64_t{24} << 20, kBytesAByte = 256;

}  // namespace

Runtime::Runtime(std::string where, size_t input_bytes)
    : where_(std::move(where)),
      all_steps_(kSteps + kStepsAByte * input_bytes),
      all_bytes_(kBytes + kBytesAByte * input_bytes),
      steps_(all_steps_),
      bytes_(all_bytes_) {}

Runtime::~Runtime() {
  for (const auto& space : namespaces_) space->Clear();
}

std::string Runtime::Place() const { return Cat(where_, ": chat template, line ", line, ": "); }

void Runtime::ThrowSteps() const {
  throw Fault("takes more than ", all_steps_, " steps for an input of this size; it is stopped");
}

void Runtime::ThrowBytes() const {
  throw Fault("makes more than ", BytesText(static_cast<int64_t>(all_bytes_)),
              " of text and lists for an input of this size; it is stopped");
}

Value Runtime::NewText(Text text) {
  Make(text.size() + sizeof(Text));
  return Value::Of(std::move(text));
}

Value Runtime::NewList(std::vector<Value> items, List::Sort sort) {
  Make(sizeof(List) + items.size() * sizeof(Value));
  auto list = std::make_shared<const List>(std::move(items), sort);
  if (list->depth() > kMostValueLevels)
    throw Fault("more than ", kMostValueLevels, " lists and dicts within one another");
  return Value::Of(std::move(list));
}

Value Runtime::NewDict(Dict dict) {
  Make(sizeof(Dict) + dict.size() * 4 * sizeof(Value));
  if (dict.depth() > kMostValueLevels)
    throw Fault("more than ", kMostValueLevels, " lists and dicts within one another");
  return Value::Of(std::make_shared<const Dict>(std::move(dict)));
}

std::shared_ptr<Namespace> Runtime::NewNamespace() {
  Make(sizeof(Namespace) + sizeof(Value));
  namespaces_.push_back(std::make_shared<Namespace>());
  return namespaces_.back();
}

Bound::Bound(Runtime& rt, std::string_view what, const Arguments& arguments,
             std::initializer_list<std::string_view> names, size_t required)
    : rt_(rt), what_(what), names_(names.begin(), names.end()), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    throw rt.Fault(what, " takes at most ", names.size(), " arguments, not ",
                   arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto place = std::ranges::find(names_, name);
    if (place == names_.end()) throw rt.Fault(what, " has no argument ", Quoted(name));
    const auto i = static_cast<size_t>(place - names_.begin());
    if (values_[i]) throw rt.Fault(what, " is given '", name, "' twice");
    values_[i] = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) throw rt.Fault(what, " needs an argument '", names_[i], "'");
  }
}

int64_t Bound::Int(size_t i, int64_t fallback) const {
  if (!values_[i]) return fallback;
  if (const auto v = values_[i]->Integer()) return *v;
  throw rt_.Fault(what_, ": '", names_[i], "' must be an int, not ", values_[i]->TypeName());
}

Text Bound::TextOr(size_t i, std::string_view fallback) const {
  if (!values_[i]) return Text(std::string(fallback));
  if (values_[i]->IsText()) return values_[i]->text();
  if (values_[i]->IsUndefined()) return Text();
  throw rt_.Fault(what_, ": '", names_[i], "' must be a str, not ", values_[i]->TypeName());
}

}  // namespace retort::jinja
