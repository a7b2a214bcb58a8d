// SPDX-License-Identifier: Apache-2.0
// Decoding of rows. One block a row, eight neighbouring values a thread: lanes read neighbouring
// bytes and write 16 or 32 bytes each. Bound by memory, which is mostly that of the output.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/decode.h"
#include "tensor/cuda/decode/formats.h"
#include "tensor/cuda/row_softmax.h"

namespace retort::cuda {
namespace {

constexpr int kDecodeThreads = 128;  // 1024 values

template <class T>
__device__ void StoreEight(Global<T> row, int64_t col, int64_t cols, const Eight& values) {
  constexpr int kVector = 16 / sizeof(T);
  const Global<T> at = row + col;
  if (col + kEight <= cols && Aligned<kVector>(at)) {
    for (int i = 0; i < kEight; i += kVector) {
      Vector<T, kVector> v;
      for (int j = 0; j < kVector; ++j) v.value[j] = Narrow<T>(values[i + j]);
      StoreVector(at + i, v);
    }
    return;
  }
  for (int j = 0; j < kEight; ++j) {
    if (col + j < cols) at[j] = Narrow<T>(values[j]);
  }
}

template <class Decoder, class T>
__global__ void DecodeRowsKernel(Decoder decoder, int64_t first, int64_t cols, Global<T> out) {
  const int64_t row = blockIdx.x;
  for (int64_t col = int64_t{threadIdx.x} * kEight; col < cols; col += kDecodeThreads * kEight) {
    Eight values;
    decoder(first + row, col, values);
    StoreEight(out + row * cols, col, cols, values);
  }
}

// An id that names no row gives NaN.
template <class Decoder>
__global__ void EmbedRowsKernel(Decoder decoder, Global<const int32_t> ids, int64_t rows,
                                int64_t cols, Global<float> out) {
  const int64_t place = blockIdx.x;
  const int32_t id = ids[place];
  for (int64_t col = int64_t{threadIdx.x} * kEight; col < cols; col += kDecodeThreads * kEight) {
    Eight values;
    for (int j = 0; j < kEight; ++j) values[j] = kNotANumber;
    if (id >= 0 && id < rows) decoder(id, col, values);
    StoreEight(out + place * cols, col, cols, values);
  }
}

}  // namespace

void DecodeRows(Queue& queue, const DeviceWeight& w, int64_t first, int64_t rows,
                const Tensor& out) {
  RETORT_CHECK(first >= 0 && rows >= 0 && first + rows <= w.rows, "rows ", first, " + ", rows,
               " of ", w.rows);
  RETORT_CHECK(out.elements() == rows * w.cols, rows, " rows of ", w.cols, " into ",
               out.shape().text());
  WithRowDecoder(w, [&]<class Decoder>(const Decoder& decoder) {
    if (out.dtype() == DType::kBF16) {
      Launch(queue, RowEach(rows, kDecodeThreads), DecodeRowsKernel<Decoder, BF16>, decoder, first,
             w.cols, Out<BF16>(out));
    } else {
      Launch(queue, RowEach(rows, kDecodeThreads), DecodeRowsKernel<Decoder, float>, decoder, first,
             w.cols, Out<float>(out));
    }
  });
}

void CudaBackend::EmbedRows(const PreparedWeight& table, const Tensor& ids, Tensor& out) {
  RETORT_CHECK(out.cols() == table.cols() && out.rows() == ids.elements(), ids.elements(),
               " rows of ", table.cols(), " into ", out.shape().text());
  const DeviceWeight& w = table.as<DeviceWeight>();
  WithRowDecoder(w, [&]<class Decoder>(const Decoder& decoder) {
    Launch(*queue_, RowEach(ids.elements(), kDecodeThreads), EmbedRowsKernel<Decoder>, decoder,
           In<int32_t>(ids), w.rows, w.cols, Out<float>(out));
  });
}

}  // namespace retort::cuda
