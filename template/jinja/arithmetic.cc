// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "template/jinja/format.h"
#include "template/jinja/html.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

Error WrongOperands(Runtime& rt, std::string_view sign, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b}) {
    if (v->IsUndefined()) return rt.Fault(v->MissingName());
  }
  return rt.Fault(a.TypeName(), " ", sign, " ", b.TypeName(), " is not possible");
}

Value Checked(Runtime& rt, bool overflow, int64_t result) {
  if (overflow) throw rt.Fault("a number is beyond 64 bits");
  return Value::Of(result);
}

struct Pair {
  std::optional<int64_t> x, y;  // both ints
  double a = 0, b = 0;
};

Pair Numbers(Runtime& rt, std::string_view sign, const Value& a, const Value& b) {
  if (!a.IsNumber() || !b.IsNumber()) throw WrongOperands(rt, sign, a, b);
  Pair p{a.Integer(), b.Integer(), *a.Real(), *b.Real()};
  if (!p.x || !p.y) p.x = p.y = std::nullopt;
  return p;
}

void RefuseZero(Runtime& rt, double divisor) {
  if (divisor == 0) throw rt.Fault("division by zero");
}

Value Repeated(Runtime& rt, const Value& what, int64_t times) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(times, 0));
  if (what.IsText()) {
    rt.Make(count, what.text().size());
    rt.Step(what.text().empty() ? 0 : count);
    Text out;
    for (uint64_t i = 0; i < count && !what.text().empty(); ++i) out.Append(what.text());
    out.html = what.text().html;
    return Value::Of(std::move(out));
  }
  const auto& items = what.list().items();
  rt.Make(count, items.size() * sizeof(Value));
  std::vector<Value> out;
  for (uint64_t i = 0; i < count && !items.empty(); ++i)
    out.insert(out.end(), items.begin(), items.end());
  return rt.NewList(std::move(out), what.list().sort());
}

bool CanRepeat(const Value& v) {
  return v.IsText() || (v.IsList() && (v.list().sort() == List::Sort::kList ||
                                       v.list().sort() == List::Sort::kTuple));
}

}  // namespace

Value Add(Runtime& rt, const Value& a, const Value& b) {
  if (a.IsText() && b.IsText()) {
    rt.Make(a.text().size() + b.text().size() + sizeof(Text));
    const bool html = a.text().html || b.text().html;
    Text out = html && !a.text().html ? Escaped(a.text()) : a.text();
    out.Append(html && !b.text().html ? Escaped(b.text()) : b.text());
    out.html = html;
    return Value::Of(std::move(out));
  }
  if (a.IsList() && b.IsList() && CanRepeat(a) && a.list().sort() == b.list().sort()) {
    std::vector<Value> items = a.list().items();
    items.insert(items.end(), b.list().items().begin(), b.list().items().end());
    return rt.NewList(std::move(items), a.list().sort());
  }
  const Pair p = Numbers(rt, "+", a, b);
  if (!p.x) return Value::Of(p.a + p.b);
  int64_t sum = 0;
  const bool overflow = __builtin_add_overflow(*p.x, *p.y, &sum);
  return Checked(rt, overflow, sum);
}

Value Subtract(Runtime& rt, const Value& a, const Value& b) {
  const Pair p = Numbers(rt, "-", a, b);
  if (!p.x) return Value::Of(p.a - p.b);
  int64_t difference = 0;
  const bool overflow = __builtin_sub_overflow(*p.x, *p.y, &difference);
  return Checked(rt, overflow, difference);
}

Value Multiply(Runtime& rt, const Value& a, const Value& b) {
  if (CanRepeat(a) && b.Integer()) return Repeated(rt, a, *b.Integer());
  if (CanRepeat(b) && a.Integer()) return Repeated(rt, b, *a.Integer());
  const Pair p = Numbers(rt, "*", a, b);
  if (!p.x) return Value::Of(p.a * p.b);
  int64_t product = 0;
  const bool overflow = __builtin_mul_overflow(*p.x, *p.y, &product);
  return Checked(rt, overflow, product);
}

Value Divide(Runtime& rt, const Value& a, const Value& b) {
  const Pair p = Numbers(rt, "/", a, b);
  RefuseZero(rt, p.b);
  return Value::Of(p.a / p.b);
}

namespace {

// Rounds towards minus infinity, as Python does.
double FloorOfQuotient(double a, double b, double* rest) {
  double mod = std::fmod(a, b);
  if (mod != 0 && (b < 0) != (mod < 0)) mod += b;
  if (mod == 0) mod = std::copysign(0.0, b);
  *rest = mod;
  const double quotient = (a - mod) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

}  // namespace

Value FloorDivide(Runtime& rt, const Value& a, const Value& b) {
  const Pair p = Numbers(rt, "//", a, b);
  RefuseZero(rt, p.b);
  double rest = 0;
  if (!p.x) return Value::Of(FloorOfQuotient(p.a, p.b, &rest));
  if (*p.y == -1) return Negate(rt, Value::Of(*p.x));
  const int64_t quotient = *p.x / *p.y;
  return Value::Of(quotient - ((*p.x % *p.y != 0) && ((*p.x < 0) != (*p.y < 0)) ? 1 : 0));
}

Value Modulo(Runtime& rt, const Value& a, const Value& b) {
  if (a.IsText()) return FormatPercent(rt, a.text(), b);
  const Pair p = Numbers(rt, "%", a, b);
  RefuseZero(rt, p.b);
  double rest = 0;
  if (!p.x) {
    FloorOfQuotient(p.a, p.b, &rest);
    return Value::Of(rest);
  }
  if (*p.y == -1) return Value::Of(int64_t{0});
  const int64_t mod = *p.x % *p.y;
  return Value::Of(mod != 0 && ((mod < 0) != (*p.y < 0)) ? mod + *p.y : mod);
}

Value Power(Runtime& rt, const Value& a, const Value& b) {
  const Pair p = Numbers(rt, "**", a, b);
  if (!p.x || *p.y < 0) {
    if (p.a == 0 && p.b < 0) throw rt.Fault("division by zero");
    if (p.a < 0 && std::floor(p.b) != p.b) throw rt.Fault("a power would be a complex number");
    return Value::Of(std::pow(p.a, p.b));
  }
  int64_t result = 1, base = *p.x;
  for (int64_t left = *p.y; left > 0; left >>= 1) {
    if ((left & 1) && __builtin_mul_overflow(result, base, &result)) return Checked(rt, true, 0);
    if (left > 1 && __builtin_mul_overflow(base, base, &base)) return Checked(rt, true, 0);
  }
  return Value::Of(result);
}

Value Negate(Runtime& rt, const Value& a) {
  if (const auto i = a.Integer()) {
    int64_t result = 0;
    const bool overflow = __builtin_sub_overflow(int64_t{0}, *i, &result);
    return Checked(rt, overflow, result);
  }
  if (a.Is(Value::Kind::kFloat)) return Value::Of(-a.float_value());
  if (a.IsUndefined()) throw rt.Fault(a.MissingName());
  throw rt.Fault("-", a.TypeName(), " is not possible");
}

}  // namespace retort::jinja
