// SPDX-License-Identifier: Apache-2.0
// What kernels are written in, as nvcc compiles it. Kernels use CUDA's own keywords, indices,
// barriers, votes and shuffles (with all 32 lanes: kAllLanes), and these names for everything else.
// The same sources compile with a C++ compiler against a second header of this name, which runs
// them on the CPU and checks every access (tests/cuda_on_cpu). For its sake:
//   * a kernel reaches memory through Global<T> and Shared<T> alone, and reads an element into a
//     variable of a named type: `const float v = x[i]`, not `auto`;
//   * shared memory is declared by RETORT_SHARED;
//   * a block has a multiple of 32 threads.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/cuda/driver.h"
#include "tensor/dtype.h"

namespace retort::cuda {

// A pointer into the device's memory, or into a block's shared memory.
template <class T>
using Global = T*;
template <class T>
using Shared = T*;

inline constexpr unsigned kAllLanes = 0xffffffff;
inline constexpr size_t kSharedWithoutAsking = size_t{48} << 10;

// `T name[count]` in the block's shared memory, 16-byte aligned. `count` is a constant.
#define RETORT_SHARED(T, name, count) __shared__ __align__(16) T name[count]

// The first element of a tensor's memory, of `bytes` bytes.
template <class T>
Global<T> GlobalAt(void* address, int64_t /*bytes*/) {
  return static_cast<T*>(address);
}

// Shared memory whose size the launch states (Grid::shared_bytes), 16-byte aligned. It begins at
// the same place for every type.
template <class T>
__device__ inline Shared<T> DynamicShared() {
  extern __shared__ __align__(16) unsigned char retort_dynamic_shared[];
  return reinterpret_cast<T*>(retort_dynamic_shared);
}

// How a kernel runs: blocks in up to three dimensions, threads a block (a multiple of 32).
struct Grid {
  int64_t x = 1;
  int threads = 256;
  int64_t y = 1, z = 1;
  size_t shared_bytes = 0;
};

// Queues kernel(arguments...). A grid without blocks does nothing. Throws Error{kFailure}.
template <class... Parameters, class... Arguments>
void Launch(Queue& queue, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  CheckGrid(grid.x, grid.y, grid.z);
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                    static_cast<unsigned>(grid.z));
  void* const stream = queue.native();
  if (grid.shared_bytes > kSharedWithoutAsking) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(grid.shared_bytes));  // refused: CheckLaunch tells
  }
  kernel<<<blocks, static_cast<unsigned>(grid.threads), grid.shared_bytes,
           static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  CheckLaunch();
}

__device__ inline float Widen(float v) { return v; }
__device__ inline float Widen(BF16 v) { return __uint_as_float(uint32_t{v.bits} << 16); }
__device__ inline float Widen(F16 v) { return __half2float(__ushort_as_half(v.bits)); }
// Rounds to nearest even.
template <class T>
__device__ inline T Narrow(float v);
template <>
__device__ inline float Narrow<float>(float v) {
  return v;
}
template <>
__device__ inline BF16 Narrow<BF16>(float v) {
  const uint32_t u = __float_as_uint(v);
  if ((u & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(u >> 16 | 0x40)};
  return {static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
template <>
__device__ inline F16 Narrow<F16>(float v) {
  return {__half_as_ushort(__float2half_rn(v))};
}

// Two values in bf16, rounded to nearest even, the first in the low half of the word.
__device__ inline uint32_t PackPair(float low, float high) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

// A product and a sum that are rounded one by one. nvcc joins a * b + c to one rounding; where a
// result must have the bits that the CPU gets, kernels use these.
__device__ inline float Times(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float Plus(float a, float b) { return __fadd_rn(a, b); }

__device__ inline uint32_t BitsOf(float v) { return __float_as_uint(v); }
__device__ inline float FloatOf(uint32_t bits) { return __uint_as_float(bits); }
__device__ inline int CountBits(uint32_t bits) { return __popc(bits); }

// Several elements in one access. The address is a multiple of the vector's size.
template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T value[N];
};
template <int N, class T>
__device__ inline Vector<T, N> LoadVector(const T* from) {
  return *reinterpret_cast<const Vector<T, N>*>(from);
}
template <int N, class T>
__device__ inline void StoreVector(T* to, const Vector<T, N>& v) {
  *reinterpret_cast<Vector<T, N>*>(to) = v;
}
// Whether vectors of N elements may be read from here.
template <int N, class T>
__host__ __device__ inline bool Aligned(const T* at) {
  return reinterpret_cast<uintptr_t>(at) % (sizeof(T) * N) == 0;
}
// The same bytes as elements of another type, or of a weight's block.
template <class To, class From>
__device__ inline const To* As(const From* from) {
  return reinterpret_cast<const To*>(from);
}

// Copies 16 bytes from global to shared memory while the thread goes on; both 16-byte aligned.
// Without `valid`, writes zeros and reads nothing. Copies are done once their thread has waited;
// other threads see them after a barrier that follows.
template <class T>
__device__ inline void CopyAsync16(T* to, const T* from, bool valid) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `Pending` of the thread's committed groups are not done.
template <int Pending>
__device__ inline void WaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// One tile product of a warp on the tensor cores: d [16,8] += a [16,16] b [16,8], a and b in bf16,
// sums in f32 (PTX: mma.m16n8k16). With g = lane / 4 and t = lane % 4, a lane holds
//   a: 0: (g, 2t)(g, 2t+1)      1: (g+8, 2t)(g+8, 2t+1)
//      2: (g, 2t+8)(g, 2t+9)    3: (g+8, 2t+8)(g+8, 2t+9)
//   b: 0: (2t, g)(2t+1, g)      1: (2t+8, g)(2t+9, g)
//   d: 0: (g, 2t)  1: (g, 2t+1)  2: (g+8, 2t)  3: (g+8, 2t+1)
// two bf16 values in a word, the first in its low half.
__device__ inline void MultiplyTiles(float (&d)[4], const uint32_t (&a)[4],
                                     const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four 8 x 8 matrices of bf16 (PTX: ldmatrix.x4). Lane i gives the address of row i % 8 of matrix
// i / 8, 16-byte aligned; r[m] holds values 2t and 2t+1 of row g of matrix m. With `transposed`,
// r[m] holds rows 2t and 2t+1 of its column g.
template <bool kTransposed>
__device__ inline void LoadTiles(uint32_t (&r)[4], const BF16* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  }
}

}  // namespace retort::cuda
