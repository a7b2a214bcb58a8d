// SPDX-License-Identifier: Apache-2.0
#include "bench/random_model.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "tensor/quant/random_blocks.h"

namespace retort {
namespace {

constexpr double kDeviation = 0.02;
constexpr int64_t kDrawnRows = 61;  // a prime, so that the rows of a tile or a panel differ

// A buffer of `bytes` bytes, filled with repetitions of `pattern`.
std::shared_ptr<Buffer> Repeated(const std::vector<std::byte>& pattern, int64_t bytes,
                                 Memory& memory) {
  auto buffer = memory.Allocate(bytes);
  const auto step = static_cast<int64_t>(pattern.size());
  for (int64_t at = 0; at < bytes; at += step) {
    std::memcpy(buffer->data() + at, pattern.data(),
                static_cast<size_t>(std::min(step, bytes - at)));
  }
  return buffer;
}

std::vector<std::byte> RandomBytes(RandomStream& random, size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.Next() & 255);
  return bytes;
}

Tensor Filled(Memory& memory, int64_t count, float value) {
  Tensor out = Tensor::Make(memory, {count}, DType::kF32);
  std::fill_n(out.data<float>(), count, value);
  return out;
}

// Any bytes are valid codes of NF4 and FP4, and valid codes of block maxima. The maxima are in 0.03
// +- 0.01.
Weight RandomFourBit(WeightFormat format, int64_t rows, int64_t cols, RandomStream& random,
                     Memory& memory) {
  constexpr int64_t kBlock = 64, kNested = 256;
  const int64_t values = rows * cols, blocks = (values + kBlock - 1) / kBlock;
  const std::vector<std::byte> pattern = RandomBytes(random, 4099);
  Nf4Scales scales;
  scales.double_quant = true;
  scales.codes = Tensor(Repeated(pattern, blocks, memory), {blocks}, DType::kU8);
  scales.nested_absmax = Filled(memory, (blocks + kNested - 1) / kNested, 0.01f);
  scales.offset = 0.03f;
  const int64_t bytes = (values + 1) / 2;
  const auto codes = Repeated(pattern, bytes, memory);
  return Weight(format, rows, cols, {codes->data(), static_cast<size_t>(bytes)}, codes,
                std::move(scales));
}

}  // namespace

Weight RandomWeight(WeightFormat format, int64_t rows, int64_t cols, uint64_t seed,
                    Memory& memory) {
  RandomStream random(MakeKey(seed, RandomUse::kInit));
  if (TraitsOf(format).flattened) return RandomFourBit(format, rows, cols, random, memory);
  const int64_t row_bytes = RowBytes(format, cols);
  std::vector<std::byte> pattern(static_cast<size_t>(std::min(rows, kDrawnRows) * row_bytes));
  for (size_t at = 0; at < pattern.size(); at += static_cast<size_t>(row_bytes))
    RandomRow(format, cols, kDeviation, random, pattern.data() + at);
  const int64_t bytes = rows * row_bytes;
  const auto buffer = Repeated(pattern, bytes, memory);
  return Weight(format, rows, cols, {buffer->data(), static_cast<size_t>(bytes)}, buffer);
}

std::unique_ptr<Model> MakeRandomModel(const Architecture& config, WeightFormat weights,
                                       Backend& backend, bool resident) {
  auto model = std::make_unique<Model>(config, backend);
  uint64_t seed = 0;
  const auto vector = [&](int64_t size, float value) {
    Tensor v = backend.New({size});
    backend.Fill(v, value);
    return Var{v};
  };
  for (const TensorSpec& spec : model->layout.tensors) {
    const LinearSpec* linear = model->layout.LinearOf(spec);
    if (!linear) {
      model->Set(spec.target,
                 vector(spec.elements(), spec.target.kind == Target::Kind::kBias ? 0.0f : 1.0f));
      continue;
    }
    const WeightFormat format = linear->adaptable() ? weights : EmbeddingFormat(weights);
    const Weight w =
        RandomWeight(format, linear->rows, linear->cols, ++seed, backend.host_memory());
    const auto purpose = resident ? WeightUse::Purpose::kRunning : WeightUse::Purpose::kTraining;
    model->Set(spec.target, w, {.purpose = purpose, .lasting = resident});
  }
  return model;
}

}  // namespace retort
