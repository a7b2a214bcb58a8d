// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/text.h"

namespace retort {
namespace {

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
      tensor_ = {key_, "", {}, 0, 0};
      fields_.clear();
      offsets_.clear();
    } else {
      Unexpected("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (state_ == State::kTensor) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        Unexpected(Cat("key ", Quoted(key)));
      }
      if (!fields_.insert(key).second) Unexpected(Cat("second '", key, "'"));
      field_ = key;
      return true;
    }
    if (!(state_ == State::kTop ? names_ : metadata_names_).insert(key).second) {
      Unexpected(Cat("second ", Quoted(key)));
    }
    key_ = key;
    return true;
  }

  bool string(string_t& text) override {
    if (state_ == State::kMetadata)
      header_.metadata.emplace_back(key_, text);
    else if (state_ == State::kTensor && field_ == "dtype")
      tensor_.dtype = text;
    else
      Unexpected("a string");
    return true;
  }

  bool start_array(size_t) override {
    if (state_ != State::kTensor || field_ == "dtype") Unexpected("an array");
    state_ = field_ == "shape" ? State::kShape : State::kOffsets;
    return true;
  }

  bool number_unsigned(number_unsigned_t v) override {
    if (state_ == State::kShape && v <= uint64_t{INT64_MAX}) {
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

  void FinishTensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) {
        throw InputError(where_, ": ", Place(), ": '", field, "' is missing");
      }
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
        return names_.empty() ? "header" : Cat("header, at ", Quoted(key_));
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
  std::string key_, field_;
  std::vector<uint64_t> offsets_;
  std::set<std::string> names_, metadata_names_, fields_;
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
    if (inside_ && !names_.insert(key).second) Unexpected(Cat("second ", Quoted(key)));
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
  std::set<std::string> names_;
  TextPairs map_;
};

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::string_view json, const std::string& where) {
  HeaderEvents events(where);
  Json::sax_parse(json.begin(), json.end(), &events);
  return events.Take();
}

TextPairs ParseSafetensorsIndex(std::string_view json, const std::string& where) {
  IndexEvents events(where);
  Json::sax_parse(json.begin(), json.end(), &events);
  return events.Take();
}

}  // namespace retort
