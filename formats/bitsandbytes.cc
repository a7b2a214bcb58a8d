// SPDX-License-Identifier: Apache-2.0
#include "formats/bitsandbytes.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "tensor/dynamic_map.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr std::string_view kState = ".quant_state.bitsandbytes__";
constexpr int64_t kBlock = 64, kNested = 256;
constexpr int64_t kMostBlock = 4096;
constexpr float kOneStep = 1.0f / 127;  // of a code of 8 bits

// Bytes of a mapped file as a tensor's storage, which nobody writes to.
class FileBuffer : public Buffer {
 public:
  FileBuffer(Bytes bytes, std::shared_ptr<const void> owner) : owner_(std::move(owner)) {
    data_ = const_cast<std::byte*>(bytes.data());
    bytes_ = static_cast<int64_t>(bytes.size());
  }

 private:
  std::shared_ptr<const void> owner_;
};

// A group of tensors, and what its state says.
class Group {
 public:
  Group(const TensorTable& table, const TensorEntry& state)
      : table_(table),
        name_(state.name.substr(0, state.name.find(kState))),
        place_(Cat(state.file->path().string(), ": tensor ", Quoted(name_))) {
    const std::string_view text(reinterpret_cast<const char*>(state.bytes.data()),
                                state.bytes.size());
    const std::string where = Cat(place_, ": its quant_state");
    json_ = ParseJson(text, where);
    if (!json_.is_object()) throw InputError(where, " is no JSON object");
    type_ = GetString(json_, "quant_type", where);
    if (type_ != "nf4" && type_ != "fp4")
      throw InputError(where, ": quant_type ", Quoted(type_), " is neither nf4 nor fp4");
    block_ = GetInt(json_, "blocksize", where);
    if (block_ < kBlock || block_ > kMostBlock || block_ % kBlock != 0)
      throw InputError(where, ": blocksize ", block_, " is not read; it may be 64 to 4096");
    TakeShape(where);
  }

  // The one tensor that stands for the group.
  TensorEntry Joined() {
    TensorEntry out = Part("");
    out.format = FormatNamed(type_);
    out.other_type.clear();
    out.shape = shape_;
    CheckBytes(out.bytes, static_cast<uint64_t>(values_ + 1) / 2, "");
    CheckMap(".quant_map", FourBitValues(out.format));
    const int64_t blocks = (values_ + block_ - 1) / block_;
    const TensorEntry& absmax = Part(".absmax");
    if (absmax.other_type == "U8") {
      TakeNested(absmax, blocks, out.scales);
    } else {
      out.scales.absmax = Floats(".absmax", blocks);
    }
    if (block_ > kBlock) Repeat(out.scales);
    return out;
  }

  const std::string& name() const { return name_; }
  // The names of the group's other tensors.
  std::vector<std::string> others() const {
    std::vector<std::string> out;
    for (const char* end : {".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map"})
      out.push_back(name_ + end);
    out.push_back(Cat(name_, kState, type_));
    return out;
  }

 private:
  void TakeShape(const std::string& where) {
    const auto shape = json_.find("shape");
    const bool given = shape != json_.end() && shape->is_array() && !shape->empty() &&
                       shape->size() <= 3 && std::ranges::all_of(*shape, [](const Json& n) {
                         return n.is_number_integer() && n.get<int64_t>() > 0;
                       });
    if (!given) throw InputError(where, ": 'shape' must be a list of numbers above 0");
    shape_ = shape->get<std::vector<int64_t>>();
    const uint64_t values = ElementsOf(shape_, where);
    if (values > uint64_t{1} << 40) throw InputError(where, ": 'shape' is of too many values");
    values_ = static_cast<int64_t>(values);
  }

  const TensorEntry& Part(const std::string& end) const {
    const TensorEntry* entry = table_.Find(name_ + end);
    if (!entry) throw InputError(place_, ": ", name_, end, " is missing, which its state needs");
    return *entry;
  }

  void CheckBytes(Bytes bytes, uint64_t want, const std::string& end) const {
    if (bytes.size() == want) return;
    throw InputError(place_, end.empty() ? "" : Cat(": its ", end.substr(1)), " has ", bytes.size(),
                     " bytes; ", ShapeText(shape_), " in blocks of ", block_, " takes ", want);
  }

  // Floats of the file: in place, if they are aligned there.
  Tensor Floats(const std::string& end, int64_t count) const {
    const TensorEntry& entry = Part(end);
    CheckBytes(entry.bytes, static_cast<uint64_t>(count) * sizeof(float), end);
    if (!entry.is_weight() || entry.format != WeightFormat::kF32)
      throw InputError(place_, ": its ", end.substr(1), " is ", entry.type_name(), ", not F32");
    if (reinterpret_cast<uintptr_t>(entry.bytes.data()) % alignof(float) == 0)
      return Tensor(std::make_shared<FileBuffer>(entry.bytes, entry.file), {count}, DType::kF32);
    Tensor copy = Tensor::Make(*memory_, {count}, DType::kF32);
    std::memcpy(copy.raw(), entry.bytes.data(), entry.bytes.size());
    return copy;
  }

  void CheckMap(const std::string& end, std::span<const float> known) const {
    const Tensor map = Floats(end, std::ssize(known));
    for (size_t i = 0; i < known.size(); ++i) {
      // Other processors make maps that differ in the last bit.
      const float have = map.data<float>()[i];
      if (std::abs(have - known[i]) <= 2e-7f * std::abs(known[i])) continue;
      throw InputError(place_, ": its ", end.substr(1), " has ", have, " for value ", i + 1,
                       ", and ", type_, " has ", known[i]);
    }
  }

  void TakeNested(const TensorEntry& absmax, int64_t blocks, Nf4Scales& scales) {
    const std::string where = Cat(place_, ": its quant_state");
    CheckBytes(absmax.bytes, static_cast<uint64_t>(blocks), ".absmax");
    if (GetInt(json_, "nested_blocksize", where) != kNested)
      throw InputError(where, ": nested_blocksize must be ", kNested);
    CheckMap(".nested_quant_map", DynamicMap(true));
    scales.double_quant = true;
    scales.codes =
        Tensor(std::make_shared<FileBuffer>(absmax.bytes, absmax.file), {blocks}, DType::kU8);
    scales.nested_absmax = Floats(".nested_absmax", (blocks + kNested - 1) / kNested);
    scales.offset = static_cast<float>(GetNumber(json_, "nested_offset", where));
  }

  // Each maximum for as many blocks of 64 as its block has.
  void Repeat(Nf4Scales& scales) const {
    const int64_t blocks = (values_ + kBlock - 1) / kBlock, times = block_ / kBlock;
    Tensor absmax = Tensor::Make(*memory_, {blocks}, DType::kF32);
    for (int64_t b = 0; b < blocks; ++b) {
      float value;
      BlockMaxima(scales, b / times, {&value, 1});
      absmax.data<float>()[b] = value;
    }
    scales = {};
    scales.absmax = std::move(absmax);
  }

  const TensorTable& table_;
  std::string name_, place_, type_;
  Json json_;
  int64_t block_ = 0, values_ = 0;
  std::vector<int64_t> shape_;
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
};

constexpr std::string_view kRowMaxima = ".SCB", kRowFormat = ".weight_format";

// Codes in bytes with the maximum of each row.
class Int8 : public ComputedTensor {
 public:
  Int8(const TensorEntry& codes, const TensorEntry& maxima)
      : codes_(codes.bytes), maxima_(maxima.bytes), cols_(codes.shape[1]) {}

  // In bitsandbytes' order of operations.
  void Rows(int64_t begin, int64_t count, float* out) const override {
    for (int64_t r = begin; r < begin + count; ++r) {
      float maximum;
      std::memcpy(&maximum, maxima_.data() + r * int64_t{sizeof(maximum)}, sizeof(maximum));
      for (int64_t c = r * cols_; c < (r + 1) * cols_; ++c) {
        const auto code = static_cast<int8_t>(codes_[static_cast<size_t>(c)]);
        *out++ = static_cast<float>(code) * maximum * kOneStep;
      }
    }
  }
  std::string_view type() const override { return "int8"; }
  std::vector<Bytes> sources() const override { return {maxima_}; }

 private:
  Bytes codes_, maxima_;
  int64_t cols_;
};

// A matrix of codes in bytes, of its tensor of maxima.
TensorEntry JoinedInt8(const TensorTable& table, const TensorEntry& maxima) {
  const std::string layer = maxima.name.substr(0, maxima.name.size() - kRowMaxima.size());
  const std::string place = Cat(maxima.file->path().string(), ": tensor ", Quoted(maxima.name));
  const TensorEntry* codes = table.Find(layer + ".weight");
  if (!codes || codes->other_type != "I8" || codes->shape.size() != 2)
    throw InputError(place, ": ", layer, ".weight must be a matrix of type I8 beside it");
  const int64_t rows = codes->shape[0];
  if (!maxima.is_weight() || maxima.format != WeightFormat::kF32 ||
      maxima.bytes.size() != static_cast<size_t>(rows) * sizeof(float))
    throw InputError(place, ": must be ", rows, " values of type F32, one for each row");
  const TensorEntry* order = table.Find(Cat(layer, kRowFormat));
  if (order && std::ranges::any_of(order->bytes, [](std::byte b) { return b != std::byte{0}; }))
    throw InputError(place,
                     ": its weight_format is not 0: codes that are not in rows are not read");
  TensorEntry out = *codes;
  out.format = WeightFormat::kF32;
  out.other_type.clear();
  out.computed = std::make_shared<Int8>(*codes, maxima);
  return out;
}

}  // namespace

TensorTable JoinBitsandbytes(TensorTable table) {
  std::map<std::string, TensorEntry, std::less<>> joined;
  std::set<std::string, std::less<>> others;
  for (const TensorEntry& entry : table.entries()) {
    if (entry.name.ends_with(kRowMaxima)) {
      TensorEntry matrix = JoinedInt8(table, entry);
      const std::string layer = matrix.name.substr(0, matrix.name.rfind('.'));
      others.insert(Cat(layer, kRowMaxima));
      others.insert(Cat(layer, kRowFormat));
      joined.emplace(matrix.name, std::move(matrix));
    }
    if (entry.name.find(kState) == std::string::npos) continue;
    Group group(table, entry);
    for (std::string& name : group.others()) others.insert(std::move(name));
    joined.emplace(group.name(), group.Joined());
  }
  if (joined.empty()) return table;
  TensorTable out(table.where());
  for (const TensorEntry& entry : table.entries()) {
    const auto found = joined.find(entry.name);
    if (found != joined.end())
      out.Add(found->second);
    else if (!others.contains(entry.name))
      out.Add(entry);
  }
  return out;
}

namespace {

std::vector<std::byte> Copied(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<std::byte> Copied(std::span<const float> values) {
  return Copied(std::as_bytes(values));
}

std::span<const float> FloatsOf(const Tensor& t) {
  return {t.data<float>(), static_cast<size_t>(t.elements())};
}

}  // namespace

std::vector<BitsandbytesPart> BitsandbytesParts(const std::string& name, const Weight& weight,
                                                const std::string& dtype) {
  const std::string type(TraitsOf(weight.format()).name);
  const Nf4Scales& scales = weight.nf4();
  const auto bytes = static_cast<int64_t>(weight.bytes().size());
  std::vector<BitsandbytesPart> out = {{name, true, {bytes, 1}, Copied(weight.bytes())}};
  Json state = {{"quant_type", type},
                {"blocksize", kBlock},
                {"dtype", dtype},
                {"shape", {weight.rows(), weight.cols()}}};
  if (scales.double_quant) {
    const std::span codes(scales.codes.data<uint8_t>(),
                          static_cast<size_t>(scales.codes.elements()));
    out.push_back({name + ".absmax", true, {std::ssize(codes)}, Copied(std::as_bytes(codes))});
    out.push_back({name + ".nested_absmax",
                   false,
                   {scales.nested_absmax.elements()},
                   Copied(FloatsOf(scales.nested_absmax))});
    out.push_back({name + ".nested_quant_map", false, {kNested}, Copied(DynamicMap(true))});
    state["nested_blocksize"] = kNested;
    state["nested_dtype"] = "float32";
    state["nested_offset"] = double{scales.offset};
  } else {
    out.push_back(
        {name + ".absmax", false, {scales.absmax.elements()}, Copied(FloatsOf(scales.absmax))});
  }
  const std::span<const float, 16> values = FourBitValues(weight.format());
  out.push_back({name + ".quant_map", false, {16}, Copied(values)});
  const std::string text = DumpJson(state);
  out.push_back(
      {Cat(name, kState, type), true, {std::ssize(text)}, Copied(std::as_bytes(std::span(text)))});
  return out;
}

}  // namespace retort
