// SPDX-License-Identifier: Apache-2.0
#include "model/spec/numbers.h"

#include "base/error.h"

namespace retort {
namespace {

template <class T, class Range>
T Checked(T value, Range range, const std::string& where, std::string_view name) {
  if (value >= range.least && value <= range.most) return value;
  throw InputError(where, ": ", name, " is ", value, "; must be in ", range.least, " ... ",
                   range.most);
}

}  // namespace

int64_t CheckRange(int64_t value, IntRange range, const std::string& where, std::string_view name) {
  return Checked(value, range, where, name);
}

double CheckRange(double value, NumberRange range, const std::string& where,
                  std::string_view name) {
  return Checked(value, range, where, name);
}

double CheckSoftCap(double value, const std::string& where, std::string_view name) {
  return value == 0 ? 0 : Checked(value, kSoftCaps, where, name);
}

int32_t CheckTokenId(int64_t id, int64_t vocab, const std::string& where, std::string_view name) {
  if (id >= -1 && id < vocab) return static_cast<int32_t>(id);
  throw InputError(where, ": ", name, " is ", id, ", which is outside the vocabulary of ", vocab);
}

int64_t NumberReader::Int(std::string_view key, IntRange range) const {
  return CheckRange(AnyInt(key), range, where(), Spelt(key));
}
int64_t NumberReader::Int(std::string_view key, IntRange range, int64_t fallback) const {
  return Has(key) ? Int(key, range) : fallback;
}
double NumberReader::Number(std::string_view key, NumberRange range) const {
  return CheckRange(AnyNumber(key), range, where(), Spelt(key));
}
double NumberReader::Number(std::string_view key, NumberRange range, double fallback) const {
  return Has(key) ? Number(key, range) : fallback;
}
double NumberReader::SoftCap(std::string_view key, double fallback) const {
  return Has(key) ? CheckSoftCap(AnyNumber(key), where(), Spelt(key)) : fallback;
}
int32_t NumberReader::TokenId(std::string_view key, int64_t vocab) const {
  return Has(key) ? CheckTokenId(AnyInt(key), vocab, where(), Spelt(key)) : -1;
}

}  // namespace retort
