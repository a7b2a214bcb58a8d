// SPDX-License-Identifier: Apache-2.0
// GPTQ's, AWQ's and compressed-tensors' integers: codes of a few bits in words of 32, with a scale
// and a zero for each group of inputs of an output.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "formats/packed_parts.h"

namespace retort {
namespace {

constexpr int64_t kMostSide = int64_t{1}
                              << 32;  // rows or columns, so that products do not overflow

class GroupedIntegers : public ComputedTensor {
 public:
  void Rows(int64_t begin, int64_t count, float* out) const final {
    Codes(begin, count, out);
    std::vector<float> scales(static_cast<size_t>(groups)), zeros(scales.size());
    for (int64_t r = 0; r < count; ++r) {
      for (size_t g = 0; g < scales.size(); ++g) {
        scales[g] = ScaleOf(begin + r, static_cast<int64_t>(g));
        zeros[g] = ZeroOf(begin + r, static_cast<int64_t>(g));
      }
      for (int64_t c = 0; c < cols; ++c) {
        float& value = out[r * cols + c];
        const auto g = static_cast<size_t>(GroupOf(c));
        value = (value - zeros[g]) * scales[g];
      }
    }
  }
  std::vector<Bytes> sources() const final { return sources_; }
  WeightFormat FormatOfValues(WeightFormat plain) const { return scales_.FormatOfValues(plain); }

  int64_t rows = 0, cols = 0, groups = 0;

 protected:
  GroupedIntegers(const TensorEntry& scales, const std::string& place) : scales_(scales, place) {}

  virtual void Codes(int64_t begin, int64_t count, float* out) const = 0;
  virtual float ScaleOf(int64_t row, int64_t group) const = 0;
  virtual float ZeroOf(int64_t row, int64_t group) const = 0;

  // index: the group of each input, I32 [cols]; null: groups of `size` inputs, one after the other.
  void SetGroups(const PackedParts& parts, int64_t size, const TensorEntry* index) {
    if (size == -1) size = cols;
    if (size < 1) throw InputError(parts.place(), ": a group of ", size, " inputs");
    size = std::min(size, cols);
    size_ = size;
    groups = (cols + size - 1) / size;
    if (!index) return;
    for (int64_t c = 0; c < cols; ++c) {
      const int32_t g = IntAt(index->bytes, c);
      if (g >= 0 && g < groups) continue;
      throw InputError(parts.place(), ": ", Quoted(index->name), " gives input ", c, " the group ",
                       g, ", and there are ", groups);
    }
    Use(*index);
    index_ = index->bytes;
  }
  void Use(const TensorEntry& entry) { sources_.push_back(entry.bytes); }

  ScaleTensor scales_;

 private:
  int64_t GroupOf(int64_t c) const { return index_.empty() ? c / size_ : IntAt(index_, c); }

  int64_t size_ = 1;
  Bytes index_;
  std::vector<Bytes> sources_;
};

TensorEntry EntryOf(const PackedParts& parts, const TensorEntry& codes, WeightFormat format,
                    std::shared_ptr<const GroupedIntegers> computed) {
  TensorEntry out = codes;
  out.name = parts.name() + ".weight";
  out.shape = {computed->rows, computed->cols};
  out.format = format;
  out.other_type.clear();
  out.computed = std::move(computed);
  return out;
}

// A matrix of words, [first, second].
const TensorEntry& Words(PackedParts& parts, const char* end) {
  const TensorEntry& entry = parts.Get(end);
  if (entry.shape.size() != 2 || entry.type_name() != "I32" || entry.shape[0] < 1 ||
      entry.shape[1] < 1 || entry.shape[0] > kMostSide || entry.shape[1] > kMostSide)
    throw InputError(parts.place(), ": ", Quoted(entry.name), " must be a matrix of I32");
  return entry;
}

class Gptq : public GroupedIntegers {
 public:
  // v1: zeros are stored less 1.
  Gptq(PackedParts& parts, int bits, int64_t group, bool v1)
      : GroupedIntegers(parts.Get(".scales"), parts.place()),
        words_(Words(parts, ".qweight").bytes),
        bits_(bits),
        shift_(v1 ? 1 : 0) {
    const std::vector<int64_t>& shape = parts.Get(".qweight").shape;
    cols = shape[0] * 32 / bits, rows = shape[1];
    if (cols * bits != shape[0] * 32 || rows * bits % 32 != 0)
      throw InputError(parts.place(), ": ", ShapeText(shape), " words of ", bits, " bits");
    const TensorEntry* index = parts.Find(".g_idx");
    if (index) parts.Get(".g_idx", "I32", {cols});
    SetGroups(parts, group, index);
    parts.CheckShape(parts.Get(".scales"), {groups, rows});
    const TensorEntry& zeros = parts.Get(".qzeros", "I32", {groups, rows * bits / 32});
    zeros_ = zeros.bytes;
    Use(zeros), Use(parts.Get(".scales"));
  }

  std::string_view type() const override { return "gptq"; }

 private:
  // A word holds inputs of one output; the outputs of a panel lie side by side.
  void Codes(int64_t begin, int64_t count, float* out) const override {
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < count; ++r)
        out[r * cols + c] = static_cast<float>(BitsAt(words_, begin + r, rows, c, bits_));
    }
  }
  float ScaleOf(int64_t row, int64_t group) const override {
    return scales_.At(group * rows + row);
  }
  float ZeroOf(int64_t row, int64_t group) const override {
    const int64_t words = rows * bits_ / 32;
    return static_cast<float>(BitsAt(zeros_, group * words, 1, row, bits_) + shift_);
  }

  Bytes words_, zeros_;
  int bits_;
  uint32_t shift_;
};

class Awq : public GroupedIntegers {
 public:
  Awq(PackedParts& parts, int64_t group)
      : GroupedIntegers(parts.Get(".scales"), parts.place()),
        words_(Words(parts, ".qweight").bytes) {
    const std::vector<int64_t>& shape = parts.Get(".qweight").shape;
    cols = shape[0], rows = shape[1] * 8;
    SetGroups(parts, group, nullptr);
    parts.CheckShape(parts.Get(".scales"), {groups, rows});
    const TensorEntry& zeros = parts.Get(".qzeros", "I32", {groups, rows / 8});
    zeros_ = zeros.bytes;
    Use(zeros), Use(parts.Get(".scales"));
  }

  std::string_view type() const override { return "awq"; }

 private:
  // A word holds eight outputs of one input, the even ones first.
  static float Code(Bytes words, int64_t first, int64_t row) {
    static constexpr int kPlace[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return static_cast<float>(BitsAt(words, first, 1, row / 8 * 8 + kPlace[row % 8], 4));
  }
  void Codes(int64_t begin, int64_t count, float* out) const override {
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < count; ++r)
        out[r * cols + c] = Code(words_, c * (rows / 8), begin + r);
    }
  }
  float ScaleOf(int64_t row, int64_t group) const override {
    return scales_.At(group * rows + row);
  }
  float ZeroOf(int64_t row, int64_t group) const override {
    return Code(zeros_, group * (rows / 8), row);
  }

  Bytes words_, zeros_;
};

class CompressedIntegers : public GroupedIntegers {
 public:
  CompressedIntegers(PackedParts& parts, int bits, int64_t group, bool symmetric)
      : GroupedIntegers(parts.Get(".weight_scale"), parts.place()),
        words_(Words(parts, ".weight_packed").bytes),
        bits_(bits) {
    const std::vector<int64_t>& shape = parts.Get(".weight_packed").shape;
    const TensorEntry& sides = parts.Get(".weight_shape");
    if (sides.bytes.size() != 16 || sides.type_name() != "I64")
      throw InputError(parts.place(), ": ", Quoted(sides.name), " must be two numbers of I64");
    int64_t side[2];
    std::memcpy(side, sides.bytes.data(), sizeof(side));
    const auto words = [bits](int64_t values) { return (values * bits + 31) / 32; };
    rows = shape[0], cols = side[1];
    words_a_row_ = shape[1];
    if (side[0] != rows || cols < 1 || cols > kMostSide || words(cols) != words_a_row_)
      throw InputError(parts.place(), ": ", ShapeText(shape), " words for a matrix of ", side[0],
                       " x ", side[1]);
    const TensorEntry* index = parts.Find(".weight_g_idx");
    if (index) parts.Get(".weight_g_idx", "I32", {cols});
    // -1 everywhere: no order of its own.
    if (index && IntAt(index->bytes, 0) < 0) index = nullptr;
    SetGroups(parts, group, index);
    parts.CheckShape(parts.Get(".weight_scale"), {rows, groups});
    Use(parts.Get(".weight_scale"));
    const TensorEntry* zeros = parts.Find(".weight_zero_point");
    if (symmetric) return;
    if (!zeros) parts.Get(".weight_zero_point");
    zeros_ = parts.Get(".weight_zero_point", "I32", {words(rows), groups}).bytes;
    Use(*zeros);
  }

  std::string_view type() const override { return "packed integers"; }

 private:
  void Codes(int64_t begin, int64_t count, float* out) const override {
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < cols; ++c)
        out[r * cols + c] =
            static_cast<float>(BitsAt(words_, (begin + r) * words_a_row_, 1, c, bits_));
    }
  }
  float ScaleOf(int64_t row, int64_t group) const override {
    return scales_.At(row * groups + group);
  }
  // Codes and zeros are stored without sign.
  float ZeroOf(int64_t row, int64_t group) const override {
    if (zeros_.empty()) return static_cast<float>(1 << (bits_ - 1));
    return static_cast<float>(BitsAt(zeros_, group, groups, row, bits_));
  }

  Bytes words_, zeros_;
  int bits_;
  int64_t words_a_row_ = 0;
};

int BitsIn(const Json& settings, const char* key, std::initializer_list<int64_t> known,
           const std::string& where) {
  const int64_t bits = GetInt(settings, key, where);
  if (std::ranges::find(known, bits) == known.end())
    throw InputError(where, ": ", key, " ", bits, " is not read");
  return static_cast<int>(bits);
}

}  // namespace

TensorEntry ReadGptq(PackedParts& parts, const Json& settings, const std::string& where,
                     WeightFormat plain) {
  const int bits = BitsIn(settings, "bits", {2, 3, 4, 8}, where);
  const std::string form = GetString(settings, "checkpoint_format", where, "gptq");
  if (form != "gptq" && form != "gptq_v2")
    throw InputError(where, ": checkpoint_format ", Quoted(form), " is not read");
  auto made =
      std::make_shared<Gptq>(parts, bits, GetInt(settings, "group_size", where), form == "gptq");
  const WeightFormat format = made->FormatOfValues(plain);
  return EntryOf(parts, parts.Get(".qweight"), format, std::move(made));
}

TensorEntry ReadAwq(PackedParts& parts, const Json& settings, const std::string& where,
                    WeightFormat plain) {
  BitsIn(settings, "bits", {4}, where);
  const std::string version = GetString(settings, "version", where, "gemm");
  if (version != "gemm" && version != "GEMM")
    throw InputError(where, ": version ", Quoted(version), " is not read; gemm is");
  auto made = std::make_shared<Awq>(parts, GetInt(settings, "group_size", where));
  const WeightFormat format = made->FormatOfValues(plain);
  return EntryOf(parts, parts.Get(".qweight"), format, std::move(made));
}

TensorEntry ReadPackedWeight(PackedParts& parts, const Json& weights, const std::string& where,
                             WeightFormat plain) {
  const int bits = BitsIn(weights, "num_bits", {2, 3, 4, 5, 6, 7, 8}, where);
  const Json group = weights.value("group_size", Json());
  const bool symmetric = GetBool(weights, "symmetric", where, true);
  auto made = std::make_shared<CompressedIntegers>(
      parts, bits, group.is_number_integer() ? group.get<int64_t>() : -1, symmetric);
  const WeightFormat format = made->FormatOfValues(plain);
  return EntryOf(parts, parts.Get(".weight_packed"), format, std::move(made));
}

}  // namespace retort
