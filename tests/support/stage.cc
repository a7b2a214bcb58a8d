// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stage.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/quant/quant.h"
#include "tensor/quant/random_blocks.h"

namespace retort {
namespace {

constexpr int64_t kGuard = 32;  // elements on each side; keeps f32 views aligned to 64 bytes
constexpr double kGuardValue = -7777.25;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Integers times a power of two, which the blocks of the format represent exactly.
std::vector<float> WholeWeights(Stage& stage, WeightFormat format, int64_t rows, int64_t cols) {
  const BlockFormat& f = TraitsOf(format);
  if (f.block_bytes >= f.block_elements) return WholeValues(stage, rows, cols);
  std::vector<float> values;
  for (int64_t i = 0; i < rows * cols; ++i) {
    const int64_t place = i % cols % f.block_elements;  // in a block, which contains -8 and 7
    const int drawn = static_cast<int>(stage.random().Below(15)) - 7;
    values.push_back(static_cast<float>(place == 0 ? -8 : place == 1 ? 7 : drawn) / 8);
  }
  return values;
}

// The format's blocks of the values; of a format that is only read, any blocks of their size.
Weight FromFloats(WeightFormat format, int64_t rows, int64_t cols,
                  const std::vector<float>& values) {
  const int64_t row_bytes = RowBytes(format, cols);
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows * row_bytes));
  RandomStream random(MakeKey(2, RandomUse::kData));
  for (int64_t r = 0; r < rows; ++r) {
    std::byte* row = bytes->data() + r * row_bytes;
    if (TraitsOf(format).encode) {
      EncodeRow(format, values.data() + r * cols, cols, row);
    } else {
      RandomRow(format, cols, 1 / std::sqrt(static_cast<double>(cols)), random, row);
    }
  }
  return Weight(format, rows, cols, Bytes(*bytes), bytes);
}

std::vector<double> ValuesOf(Backend& backend, const Tensor& x) {
  if (x.dtype() != DType::kI32) return backend.ToDoubles(x);
  const std::vector<int32_t> values = backend.ToHost<int32_t>(x);
  return {values.begin(), values.end()};
}

}  // namespace

Tensor Stage::Input(std::string name, Shape shape, double size) {
  return Input(std::move(name), shape, Normal(shape.elements(), size));
}
Tensor Stage::Input(std::string name, Shape shape, const std::vector<float>& values) {
  return Guarded(std::move(name), Role::kInput, shape, values);
}
Tensor Stage::InOut(std::string name, Shape shape, double size) {
  return InOut(std::move(name), shape, Normal(shape.elements(), size));
}
Tensor Stage::InOut(std::string name, Shape shape, const std::vector<float>& values) {
  return Guarded(std::move(name), Role::kOutput, shape, values);
}
Tensor Stage::Output(std::string name, Shape shape) {
  const std::vector<float> nothing(static_cast<size_t>(shape.elements()), static_cast<float>(kNaN));
  return Guarded(std::move(name), Role::kOutput, shape, nothing);
}
Tensor Stage::Scratch(std::string name, Shape shape, const std::vector<float>& values) {
  return Guarded(std::move(name), Role::kScratch, shape, values);
}

Tensor Stage::Doubles(std::string name, int64_t count, double more) {
  return GuardedAs(std::move(name), Role::kOutput, {count},
                   std::vector<double>(static_cast<size_t>(count), kNaN), more);
}
Tensor Stage::Sum(std::string name, double before) {
  return GuardedAs(std::move(name), Role::kOutput, {1}, std::vector<double>{before});
}
Tensor Stage::Singles(std::string name, const std::vector<float>& values) {
  return GuardedAs(std::move(name), Role::kInput, {std::ssize(values)}, values);
}
Tensor Stage::SingleOutput(std::string name) {
  return GuardedAs(std::move(name), Role::kOutput, {1},
                   std::vector<float>{static_cast<float>(kNaN)});
}

Tensor Stage::IndexOutput(std::string name, int64_t count) {
  return GuardedAs(std::move(name), Role::kOutput, {count},
                   std::vector<int32_t>(static_cast<size_t>(count), -1));
}

Tensor Stage::Indices(const std::vector<int32_t>& values) {
  std::vector<int32_t> all(kGuard, -1);
  all.insert(all.end(), values.begin(), values.end());
  all.insert(all.end(), kGuard, -1);
  return backend_.Upload(all).Part(kGuard, std::ssize(values));
}

Tensor Stage::Pages(Shape shape, DType type, const std::vector<float>& rows) {
  Tensor pages = backend_.New(shape, type);
  std::vector<int32_t> to(static_cast<size_t>(shape[0] * shape[2]));
  std::iota(to.begin(), to.end(), 0);
  backend_.StoreRows(backend_.FromFloats(rows, {std::ssize(to), shape[1] * shape[3]}),
                     backend_.Upload(to), pages);
  return pages;
}

template <class T>
Tensor Stage::GuardedAs(std::string name, Role role, Shape shape, const std::vector<T>& values,
                        double more) {
  const int64_t count = shape.elements();
  RETORT_CHECK(std::ssize(values) == count, name);
  std::vector<T> all(kGuard, static_cast<T>(role == Role::kInput ? kNaN : kGuardValue));
  const std::vector<T> guard = all;
  all.insert(all.end(), values.begin(), values.end());
  all.insert(all.end(), guard.begin(), guard.end());
  const Tensor whole = backend_.Upload(all);
  places_.push_back({std::move(name), role, whole, more});
  return whole.Part(kGuard, count).Reshaped(shape);
}

Tensor Stage::Guarded(std::string name, Role role, Shape shape, const std::vector<float>& values) {
  if (backend_.activation_type() == DType::kF32) {
    return GuardedAs(std::move(name), role, shape, values);
  }
  return GuardedAs(std::move(name), role, shape, std::vector<double>(values.begin(), values.end()));
}

std::vector<float> Stage::Normal(int64_t count, double size) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(size * random_.Normal());
  return values;
}

std::vector<int32_t> Stage::Below(int64_t count, int64_t limit) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int32_t& v : values) v = static_cast<int32_t>(random_.Below(static_cast<uint64_t>(limit)));
  return values;
}

std::vector<OpOutput> Stage::Outputs() const {
  std::vector<OpOutput> outputs;
  for (const Place& place : places_) {
    const std::vector<double> all = ValuesOf(backend_, place.whole);
    const auto begin = all.begin() + kGuard, end = all.end() - kGuard;
    if (place.role != Role::kScratch) {
      outputs.push_back({place.name, {begin, end}, place.role == Role::kInput});
      for (double& value : outputs.back().values) value += place.more;
    }
    if (place.role == Role::kInput) continue;
    std::vector<double> guards(all.begin(), begin);
    guards.insert(guards.end(), end, all.end());
    outputs.push_back({place.name + " guards", guards, true});
  }
  return outputs;
}

OpRun RunOn(std::shared_ptr<Stage> stage, std::function<void()> call) {
  return {std::move(call), [stage] { return stage->Outputs(); }};
}

Weight MakeWeight(Stage& stage, WeightFormat format, int64_t rows, int64_t cols, bool whole,
                  bool double_quant) {
  const std::vector<float> values =
      whole ? WholeWeights(stage, format, rows, cols)
            : stage.Normal(rows * cols, 1 / std::sqrt(static_cast<double>(cols)));
  if (!TraitsOf(format).convert) return FromFloats(format, rows, cols, values);
  const std::shared_ptr<Memory> memory = MakeHostMemory();
  ThreadPool pool(1);
  return Requantised(FromFloats(WeightFormat::kF32, rows, cols, values), format, double_quant,
                     *memory, pool);
}

bool KeepsWholeWeights(WeightFormat format) {
  const BlockFormat& f = TraitsOf(format);
  if (!f.encode) return false;
  const bool wide = f.block_bytes >= f.block_elements;
  std::vector<float> values, decoded(kMostBlockElements);
  for (int i = 0; i < kMostBlockElements; ++i) {
    const int place = i % f.block_elements;
    const int narrow = place == 0 ? -8 : place == 1 ? 7 : i * 11 % 15 - 7;
    values.push_back(wide ? static_cast<float>(i % 32 ? i * 37 % 255 - 127 : 127) / 64
                          : static_cast<float>(narrow) / 8);
  }
  DecodeRow(FromFloats(format, 1, kMostBlockElements, values), 0, 0, kMostBlockElements,
            decoded.data());
  return decoded == values;
}

std::vector<float> WholeValues(Stage& stage, int64_t rows, int64_t cols) {
  std::vector<float> values;
  for (int64_t i = 0; i < rows * cols; ++i) {
    const int drawn = static_cast<int>(stage.random().Below(255)) - 127;
    const bool extreme = i % cols % 32 == 0;
    values.push_back(static_cast<float>(extreme ? (drawn < 0 ? -127 : 127) : drawn) / 64);
  }
  return values;
}

}  // namespace retort
