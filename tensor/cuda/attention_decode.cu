// SPDX-License-Identifier: Apache-2.0
// Attention of runs of few queries. A block has a part of a run's keys (kPartKeys) and a key head,
// with up to 8 rows: a query with one of the heads that share the key head. So keys and values are
// read once for all of them, and long runs occupy the whole device. A second kernel joins a run's
// parts in their order (Dao, Haziza, Massa and Sizov, "Flash-Decoding", 2023). Bound by memory:
// keys and values are read in vectors of 16 bytes where their place allows it.
#include "tensor/cuda/attention.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kKeyLanes = 8;  // threads that share a key's product
constexpr int kMostDim = 256;
constexpr int kJoinThreads = 128;
static_assert(kThreads == kPartKeys);

// Where the sums of parts go: of every part and row (query * heads + head).
struct PartSums {
  int rows;              // of a part
  Global<float> out;     // [parts, rows, D]: the sum of exp2(score - most) * value
  Global<float> totals;  // [parts, rows, 2]: the largest score times log2(e), and the sum
};

// The parts with keys that a run's queries see: [first, end).
struct PartRange {
  int first, end;
};
__device__ PartRange PartsOf(const AttentionView& view, const AttentionRun& run) {
  return {view.FirstKey(run, 0) / kPartKeys,
          (view.EndKey(run, run.queries - 1) - 1) / kPartKeys + 1};
}

// Rows [first, first + kRows) of a run and a key head, those that are there.
struct PartRows {
  int kv_head, first, count;
  __device__ int Query(const AttentionView& view, int r) const { return (first + r) / view.group; }
  __device__ int Head(const AttentionView& view, int r) const {
    return kv_head * view.group + (first + r) % view.group;
  }
};

// scores[r][k] of the part's keys, times log2(e). 8 threads share a key.
template <class T, int kVector, int kRows>
__device__ void PartScores(const AttentionView& view, const AttentionRun& run, const PartRows& rows,
                           int first_key, Global<const T> keys, Shared<int64_t> offsets,
                           Shared<float> queries, Shared<float> scores) {
  constexpr int kPiece = kVector < 4 ? kVector : 4;  // floats of 16 bytes
  const int lane = static_cast<int>(threadIdx.x) % kKeyLanes;
  for (int k = static_cast<int>(threadIdx.x) / kKeyLanes; k < kPartKeys;
       k += kThreads / kKeyLanes) {
    const int64_t offset = offsets[k];
    float sums[kRows] = {};
    for (int d = lane * kVector; offset >= 0 && d < view.dim; d += kKeyLanes * kVector) {
      const Vector<T, kVector> key = LoadVector<kVector>(keys + offset + d);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int first = 0; first < kVector; first += kPiece) {
          const Vector<float, kPiece> query =
              LoadVector<kPiece>(queries + r * kMostDim + d + first);
#pragma unroll
          for (int i = 0; i < kPiece; ++i) {
            sums[r] += query.value[i] * Widen(key.value[first + i]);
          }
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float sum = sums[r];
      for (int step = kKeyLanes / 2; step > 0; step /= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, step);
      }
      if (lane != 0) continue;
      const bool seen = r < rows.count && view.Sees(run, rows.Query(view, r), first_key + k);
      scores[r * kPartKeys + k] = seen ? view.Score(sum) * kLog2OfE : -INFINITY;
    }
  }
}

// A warp a row: scores become exp2(score - most).
struct RowTotal {
  float most, sum;
};
__device__ RowTotal PartSoftmax(Shared<float> scores) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float most = -INFINITY, sum = 0;
  for (int k = lane; k < kPartKeys; k += kWarp) most = fmaxf(most, scores[k]);
  most = WarpReduce(most, MaxOf());
  const float base = most == -INFINITY ? 0 : most;
  for (int k = lane; k < kPartKeys; k += kWarp) {
    const float e = exp2f(scores[k] - base);
    scores[k] = e;
    sum += e;
  }
  return {most, WarpSum(sum)};
}

// Sums of values. Threads of a key lane have neighbouring columns; lanes take the keys in turn, and
// are then added in their order. put(r, column, sum) for every row and column.
template <class T, int kVector, int kRows, class Put>
__device__ void PartValues(const AttentionView& view, int rows, Global<const T> values,
                           Shared<int64_t> offsets, Shared<float> weights, Shared<float> space,
                           const Put& put) {
  const int threads = (view.dim + kVector - 1) / kVector, lanes = kThreads / threads;
  const int lane = static_cast<int>(threadIdx.x) / threads;
  const int column = static_cast<int>(threadIdx.x) % threads * kVector;
  float sums[kRows][kVector] = {};
  for (int k = lane; lane < lanes && k < kPartKeys; k += lanes) {
    const int64_t offset = offsets[k];
    if (offset < 0) continue;
    const Vector<T, kVector> value = LoadVector<kVector>(values + offset + column);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float weight = weights[r * kPartKeys + k];
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[r][i] += weight * Widen(value.value[i]);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    __syncthreads();
    if (lane < lanes)
      for (int i = 0; i < kVector; ++i) space[lane * view.dim + column + i] = sums[r][i];
    __syncthreads();
    for (int d = static_cast<int>(threadIdx.x); r < rows && d < view.dim; d += kThreads) {
      float sum = 0;
      for (int l = 0; l < lanes; ++l) sum += space[l * view.dim + d];
      put(r, d, sum);
    }
  }
}

template <class T, int kVector, int kRows>
__global__ void __launch_bounds__(kThreads, 2)
    PartKernel(AttentionView view, Global<const int32_t> parts, Global<const float> q,
               Global<const T> keys, Global<const T> values, PartSums part, Global<float> out,
               Global<float> log_sum) {
  RETORT_SHARED(int64_t, offsets, kPartKeys);
  RETORT_SHARED(float, queries, kRows* kMostDim);
  RETORT_SHARED(float, scores, kRows* kPartKeys);
  RETORT_SHARED(float, space, kThreads* kVector);
  RETORT_SHARED(float, totals, kRows * 2);
  const int64_t number = blockIdx.x;
  const AttentionRun run = view.Run(parts[number * 2]);
  const int first_key = parts[number * 2 + 1];
  PartRows rows{static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z) * kRows, 0};
  rows.count = min(kRows, run.queries * view.group - rows.first);
  const PartRange range = PartsOf(view, run);
  if (rows.count <= 0 || first_key / kPartKeys < range.first) return;  // the whole block

  const int thread = static_cast<int>(threadIdx.x), key = first_key + thread;
  const bool there = key >= view.FirstKey(run, 0) && key < view.EndKey(run, run.queries - 1);
  offsets[thread] = there ? view.KeyOffset(run, key, rows.kv_head) : -1;
  for (int i = thread; i < kRows * view.dim; i += kThreads) {
    const int r = i / view.dim, d = i % view.dim;
    float value = 0;
    if (r < rows.count) {
      value = q[view.QueryOffset(run, rows.Query(view, r), rows.Head(view, r)) + d];
    }
    queries[r * kMostDim + d] = value;
  }
  __syncthreads();
  PartScores<T, kVector, kRows>(view, run, rows, first_key, keys, offsets, queries, scores);
  __syncthreads();
  const int warp = thread / kWarp;
  if (warp < kRows) {
    const RowTotal total = PartSoftmax(scores + warp * kPartKeys);
    if (thread % kWarp == 0) {
      totals[warp * 2] = total.most;
      totals[warp * 2 + 1] = total.sum;
    }
  }
  __syncthreads();

  const bool alone = range.end - range.first == 1;
  PartValues<T, kVector, kRows>(
      view, rows.count, values, offsets, scores, space, [&](int r, int d, float sum) {
        const int query = rows.Query(view, r), head = rows.Head(view, r);
        const float most = totals[r * 2], total = totals[r * 2 + 1];
        if (alone) {
          out[view.QueryOffset(run, query, head) + d] = sum / total;
          if (d == 0) {
            log_sum[view.StatOffset(run, query, head)] = (most + log2f(total)) * kLogOf2;
          }
        } else {
          const int64_t at = number * part.rows + query * view.heads + head;
          part.out[at * view.dim + d] = sum;
          if (d == 0) {
            part.totals[at * 2] = most;
            part.totals[at * 2 + 1] = total;
          }
        }
      });
}

// Blocks (run of few queries, head, query): the parts of runs that have several.
__global__ void JoinKernel(AttentionView view, Global<const int32_t> few, PartSums part,
                           Global<float> out, Global<float> log_sum) {
  const int64_t item = blockIdx.x;
  const AttentionRun run = view.Run(few[item * 2]);
  const int head = static_cast<int>(blockIdx.y), query = static_cast<int>(blockIdx.z);
  if (query >= run.queries) return;
  const PartRange range = PartsOf(view, run);
  if (range.end - range.first == 1) return;
  const int64_t begin = int64_t{few[item * 2 + 1]} + range.first;
  const int64_t end = begin + (range.end - range.first);
  const auto row = [&](int64_t p) { return p * part.rows + query * view.heads + head; };
  float most = -INFINITY, total = 0;
  for (int64_t p = begin; p < end; ++p) most = fmaxf(most, part.totals[row(p) * 2]);
  for (int64_t p = begin; p < end; ++p) {
    total += part.totals[row(p) * 2 + 1] * exp2f(part.totals[row(p) * 2] - most);
  }
  for (int d = static_cast<int>(threadIdx.x); d < view.dim; d += kJoinThreads) {
    float sum = 0;
    for (int64_t p = begin; p < end; ++p) {
      const float part_most = part.totals[row(p) * 2];
      if (part_most > -INFINITY) sum += part.out[row(p) * view.dim + d] * exp2f(part_most - most);
    }
    out[view.QueryOffset(run, query, head) + d] = sum / total;
  }
  if (threadIdx.x == 0) {
    log_sum[view.StatOffset(run, query, head)] = (most + log2f(total)) * kLogOf2;
  }
}

// A part with several rows for every key head, or one.
template <class T, int kVector, class Call>
void WithPartKernel(int rows, const Call& call) {
  if (rows == 1) return call(PartKernel<T, kVector, 1>, 1);
  if (rows <= 4) return call(PartKernel<T, kVector, 4>, 4);
  call(PartKernel<T, kVector, 8>, 8);
}

template <class T>
void RunDecode(Queue& queue, const AttentionView& view, const CudaPlan& plan,
               const ForwardTensors& x, const PartSums& part) {
  constexpr int kVector = 16 / sizeof(T);
  const int rows = plan.few_queries() * view.group;
  const auto launch = [&](auto kernel, int block_rows) {
    const Grid grid{plan.parts().count, kThreads, view.kv_heads,
                    (rows + block_rows - 1) / block_rows};
    Launch(queue, grid, kernel, view, ItemsOf(plan, plan.parts()), In<float>(x.q), In<T>(x.keys),
           In<T>(x.values), part, Out<float>(x.out), Out<float>(x.log_sum));
  };
  if (view.dim % kVector == 0 && Aligned<kVector>(In<T>(x.keys)) &&
      Aligned<kVector>(In<T>(x.values))) {
    WithPartKernel<T, kVector>(rows, launch);
  } else {
    WithPartKernel<T, 1>(rows, launch);
  }
}

}  // namespace

void DecodeForward(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                   const ForwardTensors& x) {
  const int64_t runs = plan.few().count, parts = plan.parts().count;
  if (runs == 0) return;
  RETORT_CHECK(view.dim <= kMostDim, "heads of ", view.dim, " columns on a CUDA device");
  PartSums part{plan.few_queries() * view.heads, {}, {}};
  Tensor sums, totals;
  if (parts > runs) {
    sums = Tensor::Make(memory, {parts, part.rows, view.dim}, DType::kF32);
    totals = Tensor::Make(memory, {parts, part.rows, 2}, DType::kF32);
    part.out = Out<float>(sums);
    part.totals = Out<float>(totals);
  }
  switch (x.keys.dtype()) {
    case DType::kF32:
      RunDecode<float>(queue, view, plan, x, part);
      break;
    case DType::kF16:
      RunDecode<F16>(queue, view, plan, x, part);
      break;
    case DType::kBF16:
      RunDecode<BF16>(queue, view, plan, x, part);
      break;
    default:
      RETORT_CHECK(false, "keys of ", NameOf(x.keys.dtype()));
  }
  if (parts == runs) return;
  Launch(queue, Grid{runs, kJoinThreads, view.heads, plan.few_queries()}, JoinKernel, view,
         ItemsOf(plan, plan.few()), part, Out<float>(x.out), Out<float>(x.log_sum));
}

}  // namespace retort::cuda
