// SPDX-License-Identifier: Apache-2.0
// f32, f16 and bf16: formats without blocks.
#include <cstring>

#include "tensor/quant/format_kernels.h"

namespace retort {
namespace {

template <class T>
struct WidenKernel {
  using Block = T;
  static constexpr int64_t kValues = 1;
  template <int W>
  RETORT_INLINE static void Run(const T* in, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) Store<W>(out + i, Load<W>(in + i));
    if (i < n) Store<W>(out + i, Load<W>(in + i, FirstLanes{n - i}), FirstLanes{n - i});
  }
};

void CopyFloats(Isa, const Weight& w, int64_t first, int64_t count, float* out) {
  std::memcpy(out, BlocksOf<float>(w, first), static_cast<size_t>(count) * sizeof(float));
}

template <class T, T (*kConvert)(float)>
void EncodeValues(Isa, const float* row, const float*, int64_t count, std::byte* out) {
  for (int64_t i = 0; i < count; ++i, out += sizeof(T)) {
    const T value = kConvert(row[i]);
    std::memcpy(out, &value, sizeof value);
  }
}

void EncodeFloats(Isa, const float* row, const float*, int64_t count, std::byte* out) {
  std::memcpy(out, row, static_cast<size_t>(count) * sizeof(float));
}

}  // namespace

extern const BlockFormat kF32Format = {.name = "f32",
                                       .block_elements = 1,
                                       .block_bytes = 4,
                                       .alignment = 4,
                                       .ggml_type = 0,
                                       .file_type = 0,
                                       .safetensors = "F32",
                                       .kl_limit = 1e-6,  // lossless
                                       .decode = CopyFloats,
                                       .columns = DecodeBlockColumns<WidenKernel<float>>,
                                       .encode = EncodeFloats};

extern const BlockFormat kF16Format = {.name = "f16",
                                       .block_elements = 1,
                                       .block_bytes = 2,
                                       .alignment = 2,
                                       .ggml_type = 1,
                                       .file_type = 1,
                                       .safetensors = "F16",
                                       .kl_limit = 1e-4,
                                       .decode = DecodeBlocks<WidenKernel<F16>>,
                                       .columns = DecodeBlockColumns<WidenKernel<F16>>,
                                       .encode = EncodeValues<F16, ToF16>};

extern const BlockFormat kBF16Format = {.name = "bf16",
                                        .block_elements = 1,
                                        .block_bytes = 2,
                                        .alignment = 2,
                                        .ggml_type = 30,
                                        .file_type = 32,
                                        .safetensors = "BF16",
                                        .kl_limit = 5e-3,
                                        .decode = DecodeBlocks<WidenKernel<BF16>>,
                                        .columns = DecodeBlockColumns<WidenKernel<BF16>>,
                                        .encode = EncodeValues<BF16, ToBF16>};

}  // namespace retort
