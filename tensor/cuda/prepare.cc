// SPDX-License-Identifier: Apache-2.0
// Preparation of weights: a copy in the device's memory, in the format that the weight has, and the
// choice of arithmetic.
#include <cstring>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device_weight.h"
#include "tensor/dynamic_map.h"
#include "tensor/quant/strips.h"

namespace retort::cuda {
namespace {

// The blocks of a weight in strips, row by row.
template <class Block>
std::vector<std::byte> BlocksInRows(const Weight& w, ThreadPool& pool) {
  const int64_t row_blocks = w.cols() / kBlockValues;
  std::vector<std::byte> bytes(static_cast<size_t>(w.rows() * row_blocks) * sizeof(Block));
  pool.For(w.rows(), [&](int64_t row, int) {
    for (int64_t b = 0; b < row_blocks; ++b) {
      const Block block = BlockOf<Block>(w, row, b);
      std::memcpy(bytes.data() + static_cast<size_t>(row * row_blocks + b) * sizeof(Block), &block,
                  sizeof block);
    }
  });
  return bytes;
}

}  // namespace

// kAuto leaves f32 weights in f32; whatever else is asked for but kF32 is bf16 with f32 sums.
PreparedWeight CudaBackend::Prepare(const Weight& w, const WeightUse& /*use*/) {
  const auto bytes_here = [&](Bytes from) {
    Tensor to = Tensor::Make(*memory_, {std::ssize(from)}, DType::kU8);
    UploadBytes(from, to);
    return to;
  };
  const auto tensor_here = [&](const Tensor& from) {
    if (!from) return Tensor();
    Tensor to = Tensor::Make(*memory_, from.shape(), from.dtype());
    UploadBytes({from.raw(), static_cast<size_t>(from.bytes())}, to);
    return to;
  };
  auto own = std::make_shared<DeviceWeight>();
  own->format = w.format();
  own->rows = w.rows();
  own->cols = w.cols();
  if (w.layout() == WeightLayout::kRows) {
    own->bytes = bytes_here(w.bytes());
  } else if (w.format() == WeightFormat::kQ8_0) {
    own->bytes = bytes_here(BlocksInRows<BlockQ8_0>(w, pool_));
  } else {
    own->bytes = bytes_here(BlocksInRows<BlockQ4_0>(w, pool_));
  }
  const Nf4Scales& scales = w.nf4();
  own->scales = {scales.double_quant, tensor_here(scales.absmax), tensor_here(scales.codes),
                 tensor_here(scales.nested_absmax), scales.offset};
  if (scales.double_quant) own->map = Upload(std::span<const float>(DynamicMap(true)), {256});
  own->bf16 = compute_ != Compute::kF32 &&
              !(compute_ == Compute::kAuto && w.format() == WeightFormat::kF32);
  const int64_t bytes = own->bytes.bytes() + own->scales.absmax.bytes() +
                        own->scales.codes.bytes() + own->scales.nested_absmax.bytes() +
                        own->map.bytes();
  const Compute compute = own->bf16 ? Compute::kBF16 : Compute::kF32;
  return {w.rows(), w.cols(), bytes, compute, std::move(own)};
}

}  // namespace retort::cuda
