// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>

#include "template/jinja/call.h"
#include "template/jinja/format.h"
#include "template/jinja/literals.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

Value WholePart(Runtime& rt, double value) {
  if (!(value > -9.2e18 && value < 9.2e18)) throw rt.Fault("a number is beyond 64 bits");
  return Value::Of(static_cast<int64_t>(value));
}

Value IntFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'int'", arguments, {"default", "base"});
  Value fallback = bound.Has(0) ? *bound.Get(0) : Value::Of(int64_t{0});
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  if (const auto whole = value.Integer()) return Value::Of(*whole);
  if (value.Is(Value::Kind::kFloat))
    return std::isfinite(value.float_value()) ? WholePart(rt, value.float_value()) : fallback;
  if (!value.IsText()) return fallback;
  rt.Step(value.text().size() / 8);
  if (const auto whole = ParseInt(value.bytes(), static_cast<int>(bound.Int(1, 10))))
    return Value::Of(*whole);
  const auto real = ParseFloat(value.bytes());
  return real && std::isfinite(*real) ? WholePart(rt, *real) : fallback;
}

Value FloatFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'float'", arguments, {"default"});
  Value fallback = bound.Has(0) ? *bound.Get(0) : Value::Of(0.0);
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  if (const auto real = value.Real()) return Value::Of(*real);
  if (!value.IsText()) return fallback;
  rt.Step(value.text().size() / 8);
  const auto real = ParseFloat(value.bytes());
  return real ? Value::Of(*real) : fallback;
}

Value AbsFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'abs'", arguments, {});
  if (value.Is(Value::Kind::kFloat)) return Value::Of(std::fabs(value.float_value()));
  const auto whole = value.Integer();
  if (!whole) throw rt.Fault("filter 'abs' needs a number, not ", value.TypeName());
  return *whole < 0 ? Negate(rt, value) : Value::Of(*whole);
}

// Rounds to even, by the number's exact value, as Python does.
double RoundHalfEven(double value, int64_t digits) {
  if (!std::isfinite(value)) return value;
  if (digits > 300) return value;
  if (digits < -300) return std::copysign(0.0, value);
  if (digits < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-digits));
    return std::nearbyint(value / scale) * scale;
  }
  char buffer[700];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed,
                                 static_cast<int>(digits));
  double rounded = 0;
  std::from_chars(buffer, end.ptr, rounded);
  return rounded;
}

Value RoundFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'round'", arguments, {"precision", "method"});
  const int64_t digits = bound.Int(0, 0);
  const Text method = bound.TextOr(1, "common");
  const auto real = value.Real();
  if (!real) throw rt.Fault("filter 'round' needs a number, not ", value.TypeName());
  if (method.view() == "common") {
    if (value.Is(Value::Kind::kFloat)) return Value::Of(RoundHalfEven(*real, digits));
    if (digits >= 0) return Value::Of(*value.Integer());
    return WholePart(rt, RoundHalfEven(*real, digits));
  }
  if (method.view() != "ceil" && method.view() != "floor")
    throw rt.Fault("filter 'round' has the methods common, ceil and floor");
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = *real * scale;
  return Value::Of((method.view() == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value FileSizeFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'filesizeformat'", arguments, {"binary"});
  const bool binary = bound.Flag(0, false);
  const Value number = FloatFilter(rt, value, {});
  const double bytes = number.float_value(), base = binary ? 1024 : 1000;
  if (bytes == 1) return Value::Of("1 Byte");
  FieldSpec spec;
  if (bytes < base) {
    return rt.NewText(SetNumber(rt, WholePart(rt, bytes), spec).Append(" Bytes"));
  }
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  size_t i = 0;
  while (i + 1 < kPrefixes.size() && bytes >= unit * base) {
    unit *= base;
    ++i;
  }
  spec.type = 'f';
  spec.precision = 1;
  Text out = SetNumber(rt, Value::Of(bytes / unit), spec);
  const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
  return rt.NewText(out.Append(Cat(" ", prefix, binary ? "iB" : "B")));
}

}  // namespace

const std::vector<FilterEntry>& NumberFilters() {
  static const std::vector<FilterEntry> filters = {{"int", IntFilter},
                                                   {"float", FloatFilter},
                                                   {"abs", AbsFilter},
                                                   {"round", RoundFilter},
                                                   {"filesizeformat", FileSizeFilter}};
  return filters;
}

}  // namespace retort::jinja
