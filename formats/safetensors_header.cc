// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "formats/limits.h"

namespace retort {
namespace {

// Torch's and NumPy's limit, and more than the names of any model have.
constexpr size_t kMostDims = 64, kMostNameBytes = 4096, kMostDtypeBytes = 64;
constexpr uint64_t kMostListed = uint64_t{1} << 20;  // tensors of a folder

// Throws for every event that a subclass does not handle.
class StrictEvents : public nlohmann::json_sax<Json> {
 public:
  explicit StrictEvents(const std::string& where) : where_(where) {}

  bool null() override { Unexpected("null"); }
  bool boolean(bool) override { Unexpected("a boolean"); }
  bool number_integer(number_integer_t v) override { Unexpected(Cat("the number ", v)); }
  bool number_unsigned(number_unsigned_t v) override { Unexpected(Cat("the number ", v)); }
  bool number_float(number_float_t v, const string_t&) override {
    Unexpected(Cat("the number ", v));
  }
  bool string(string_t&) override { Unexpected("a string"); }
  bool binary(binary_t&) override { Unexpected("bytes"); }
  bool start_object(size_t) override { Unexpected("an object"); }
  bool start_array(size_t) override { Unexpected("an array"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    // Does not use the library's text, which quotes the input with any length and content.
    throw InputError(where_, ": not JSON: syntax error at byte ", position);
  }

 protected:
  // Checks what stands between the quotes of a tensor's or a field's name.
  void CheckName(const std::string& name) const {
    if (name.size() <= kMostNameBytes) return;
    Unexpected(Cat("name of ", name.size(), " bytes, expected at most ", kMostNameBytes));
  }
  void CheckCount(size_t count, uint64_t most, const char* what) const {
    if (count < most) return;
    throw InputError(where_, ": ", Place(), ": more than the ", most, " ", what, " that are read");
  }
  [[noreturn]] void Unexpected(const std::string& what) const {
    throw InputError(where_, ": ", Place(), ": unexpected ", what);
  }
  virtual std::string Place() const = 0;

  std::string where_;
};

class HeaderEvents final : public StrictEvents {
 public:
  using StrictEvents::StrictEvents;

  SafetensorsHeader Take() { return std::move(header_); }

  bool start_object(size_t) override {
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop && key_ == "__metadata__") {
      state_ = State::kMetadata;
    } else if (state_ == State::kTop) {
      state_ = State::kTensor;
      CheckCount(header_.tensors.size(), kMostTensors, "tensors");
      tensor_ = {key_, "", {}, 0, 0};
      fields_ = 0;
      offsets_.clear();
    } else {
      Unexpected("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    CheckName(key);
    if (state_ == State::kTensor) {
      field_ = FieldOf(key);
      if (field_ == kNone) Unexpected(Cat("key ", Quoted(key)));
      if (fields_ & field_) Unexpected(Cat("second '", key, "'"));
      fields_ |= field_;
      return true;
    }
    bool second = false;  // of tensors' names: CheckNames
    if (state_ == State::kMetadata) {
      CheckCount(metadata_names_.size(), kMostMetadata, "entries");
      second = !metadata_names_.insert(key).second;
    } else if (key == "__metadata__") {
      second = std::exchange(has_metadata_, true);
    }
    if (second) Unexpected(Cat("second ", Quoted(key)));
    at_start_ = false;
    key_ = key;
    return true;
  }

  bool string(string_t& text) override {
    if (state_ == State::kMetadata)
      header_.metadata.emplace_back(key_, text);
    else if (state_ == State::kTensor && field_ == kDtype && text.size() <= kMostDtypeBytes)
      tensor_.dtype = text;
    else
      Unexpected("a string");
    return true;
  }

  bool start_array(size_t) override {
    if (state_ != State::kTensor || field_ == kDtype) Unexpected("an array");
    state_ = field_ == kShape ? State::kShape : State::kOffsets;
    return true;
  }

  bool number_unsigned(number_unsigned_t v) override {
    if (state_ == State::kShape && v <= uint64_t{INT64_MAX} && tensor_.shape.size() < kMostDims) {
      tensor_.shape.push_back(static_cast<int64_t>(v));
    } else if (state_ == State::kOffsets && offsets_.size() < 2) {
      offsets_.push_back(v);
    } else {
      Unexpected(Cat("the number ", v));
    }
    return true;
  }

  bool end_array() override {
    state_ = State::kTensor;
    return true;
  }

  bool end_object() override {
    if (state_ == State::kTensor) FinishTensor();
    state_ = state_ == State::kTop ? State::kEnd : State::kTop;
    return true;
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };
  enum Field : unsigned { kNone = 0, kDtype = 1, kShape = 2, kOffsets = 4 };
  static constexpr std::pair<const char*, Field> kFields[] = {
      {"dtype", kDtype}, {"shape", kShape}, {"data_offsets", kOffsets}};

  static Field FieldOf(std::string_view key) {
    for (const auto& [name, field] : kFields) {
      if (key == name) return field;
    }
    return kNone;
  }

  void FinishTensor() {
    for (const auto& [name, field] : kFields) {
      if (!(fields_ & field)) throw InputError(where_, ": ", Place(), ": '", name, "' is missing");
    }
    if (offsets_.size() != 2) {
      throw InputError(where_, ": ", Place(), ": 'data_offsets' must be two numbers");
    }
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    header_.tensors.push_back(std::move(tensor_));
  }

  std::string Place() const override {
    switch (state_) {
      case State::kStart:
        return "header: expected an object";
      case State::kTop:
        return at_start_ ? "header" : Cat("header, at ", Quoted(key_));
      case State::kMetadata:
        return "__metadata__";
      case State::kEnd:
        return "after the header's object";
      default:
        return Cat("tensor ", Quoted(key_));
    }
  }

  State state_ = State::kStart;
  SafetensorsHeader header_;
  SafetensorsHeader::Tensor tensor_;
  std::string key_;
  Field field_ = kNone;
  unsigned fields_ = 0;  // of this tensor, those that were there
  bool at_start_ = true;
  std::vector<uint64_t> offsets_;
  bool has_metadata_ = false;
  std::set<std::string> metadata_names_;
};

// Reads "weight_map", an object of strings at the top level; skips everything else.
class IndexEvents final : public StrictEvents {
 public:
  using StrictEvents::StrictEvents;

  TextPairs Take() {
    if (!found_) throw InputError(where_, ": 'weight_map' is missing");
    return std::move(map_);
  }

  bool null() override { return Pass("null"); }
  bool boolean(bool) override { return Pass("a boolean"); }
  bool number_integer(number_integer_t) override { return Pass("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Pass("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Pass("a number"); }
  bool string(string_t& text) override {
    if (!inside_) return Pass("a string");
    CheckName(text);
    CheckCount(map_.size(), kMostListed, "tensors");
    map_.emplace_back(key_, text);
    return true;
  }
  bool start_object(size_t) override {
    if (depth_ == 1 && key_ == "weight_map") {
      if (found_) Unexpected("second 'weight_map'");
      found_ = inside_ = true;
    } else if (depth_ > 0) {
      Pass("an object");
    }
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) inside_ = false;
    return true;
  }
  bool start_array(size_t) override {
    Pass("an array");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool key(string_t& key) override {
    if (inside_) CheckName(key);
    key_ = key;
    return true;
  }

 private:
  bool Pass(const char* what) const {
    if (depth_ == 0 || inside_ || (depth_ == 1 && key_ == "weight_map")) Unexpected(what);
    return true;
  }
  std::string Place() const override {
    return depth_ == 0 ? "expected an object" : Cat("'weight_map', at ", Quoted(key_));
  }

  int64_t depth_ = 0;
  bool inside_ = false, found_ = false;
  std::string key_;
  TextPairs map_;
};

// Throws if two items have one name. Sorts pointers, which takes less memory than a set of names.
template <class Item, class NameOf>
void CheckNames(const std::vector<Item>& items, NameOf name_of, const std::string& where) {
  std::vector<const std::string*> names;
  names.reserve(items.size());
  for (const Item& item : items) names.push_back(&name_of(item));
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  std::sort(names.begin(), names.end(), less);
  const auto twice = std::adjacent_find(names.begin(), names.end(),
                                        [](const auto* a, const auto* b) { return *a == *b; });
  if (twice != names.end()) throw InputError(where, ": unexpected second ", Quoted(**twice));
}

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::string_view json, const std::string& where) {
  RefuseNul(json, where);
  HeaderEvents events(where);
  Json::sax_parse(json.begin(), json.end(), &events);
  SafetensorsHeader header = events.Take();
  CheckNames(
      header.tensors, [](const auto& t) -> const std::string& { return t.name; }, where);
  return header;
}

TextPairs ParseSafetensorsIndex(std::string_view json, const std::string& where) {
  RefuseNul(json, where);
  IndexEvents events(where);
  Json::sax_parse(json.begin(), json.end(), &events);
  TextPairs pairs = events.Take();
  CheckNames(
      pairs, [](const auto& pair) -> const std::string& { return pair.first; }, where);
  return pairs;
}

}  // namespace retort
