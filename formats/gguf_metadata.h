// SPDX-License-Identifier: Apache-2.0
// GGUF's metadata: pairs of a key and a value of one of 13 types, in the order of the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace retort {

// An array with elements of one type. The variant's index is the element type's id in the file.
struct GgufArray {
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
               std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
               std::vector<float>, std::vector<bool>, std::vector<std::string>,
               std::vector<GgufArray>, std::vector<uint64_t>, std::vector<int64_t>,
               std::vector<double>>
      items;

  GgufArray() = default;
  template <class T>
  GgufArray(std::vector<T> values) : items(std::move(values)) {}  // NOLINT: implicit on purpose
  size_t size() const;
  bool operator==(const GgufArray& other) const { return items == other.items; }
};

// The variant's index is the type id in the file: 0 u8, 1 i8, 2 u16, 3 i16, 4 u32, 5 i32, 6 f32,
// 7 bool, 8 string, 9 array, 10 u64, 11 i64, 12 f64.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, GgufArray, uint64_t, int64_t, double>;

// "u32", "string", "array of f32"
std::string TypeText(const GgufValue& value);
// The value on one line: text quoted and truncated, arrays as their first items and their length.
std::string ValueText(const GgufValue& value);

class GgufMetadata {
 public:
  // `where` begins every error text: "model.gguf".
  explicit GgufMetadata(std::string where = "") : where_(std::move(where)) {}

  // Appends a key, or replaces the value of an existing key without moving it. The C++ type
  // determines the type in the file: Set("general.file_type", uint32_t{7}),
  // Set("general.name", std::string("x")).
  void Set(std::string key, GgufValue value);

  // Nothing if the key is absent. Takes time in proportion to the number of keys.
  void Erase(std::string_view key);

  const std::vector<std::pair<std::string, GgufValue>>& entries() const { return entries_; }
  const GgufValue* Find(std::string_view key) const;  // nullptr when absent

  // Typed access; integers and floats of any width are accepted. Throws Error{kInput} with the
  // file, the key and the type found if the type does not match, or if the key is absent and there
  // is no fallback.
  int64_t Int(std::string_view key) const;
  int64_t Int(std::string_view key, int64_t fallback) const;
  double Number(std::string_view key) const;  // integers are accepted
  double Number(std::string_view key, double fallback) const;
  bool Bool(std::string_view key, bool fallback) const;
  const std::string& Text(std::string_view key) const;
  std::string Text(std::string_view key, std::string_view fallback) const;
  const std::vector<std::string>& Texts(std::string_view key) const;
  std::vector<int64_t> Ints(std::string_view key) const;
  std::vector<float> Floats(std::string_view key) const;
  std::vector<double> Doubles(std::string_view key) const;

 private:
  const GgufValue& Require(std::string_view key) const;

  std::string where_;
  std::vector<std::pair<std::string, GgufValue>> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace retort
