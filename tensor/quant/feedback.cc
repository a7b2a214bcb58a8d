// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/feedback.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/quant/fit.h"
#include "tensor/quant/format_kernels.h"
#include "tensor/quant/grid.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kPanel = 32;       // columns of the factor that are finished together
constexpr int64_t kRowsAtOnce = 16;  // of the matrix; the lanes of the longest vectors
// Of the mean of the diagonal: pivots that sums of floats do not tell from 0, and what is added
// first where nothing was.
constexpr double kNoise = 1e-7, kLeastDamping = 1e-5;

// Row k of a lower triangle that is stored row by row.
double* TriangleRow(double* triangle, int64_t k) { return triangle + k * (k + 1) / 2; }

// row[0, count) -= sum over the panel's rows k of factor[k] * k's values.
struct SubtractRowsKernel {
  template <int W>
  RETORT_INLINE static void Run(double* row, int64_t count, const double* const* panel,
                                int64_t rows, const double* factor) {
    constexpr int64_t kTile = 512;
    for (int64_t begin = 0; begin < count; begin += kTile) {
      const int64_t end = std::min(count, begin + kTile);
      for (int64_t k = 0; k < rows; ++k) {
        const double* other = panel[k];
        for (int64_t i = begin; i < end; ++i) row[i] -= factor[k] * other[i];
      }
    }
  }
};

// Overwrites the lower triangle of H by that of M^T, H = M M^T: row k becomes column k of M. From
// the last row to the first, in panels. Stops at a pivot that is not above `least`, and returns its
// row; -1: there was none.
int64_t Factorise(double* triangle, int64_t n, double least, ThreadPool& pool) {
  const auto subtract = [&](int64_t j, const double* const* panel, int64_t rows) {
    double factor[kPanel];
    for (int64_t k = 0; k < rows; ++k) factor[k] = panel[k][j];
    CallSimd<SubtractRowsKernel>(HostIsa(), TriangleRow(triangle, j), j + 1, panel, rows,
                                 static_cast<const double*>(factor));
  };
  for (int64_t end = n; end > 0; end -= std::min(end, kPanel)) {
    const int64_t begin = std::max<int64_t>(0, end - kPanel);
    const double* panel[kPanel];
    for (int64_t k = end - 1; k >= begin; --k) {
      double* row = TriangleRow(triangle, k);
      if (!(row[k] > least)) return k;
      const double inverse = 1 / std::sqrt(row[k]);
      for (int64_t i = 0; i <= k; ++i) row[i] *= inverse;
      panel[k - begin] = row;
      for (int64_t j = begin; j < k; ++j) subtract(j, &panel[k - begin], 1);
    }
    constexpr int64_t kGrain = 16;
    pool.For((begin + kGrain - 1) / kGrain, [&](int64_t piece, int) {
      for (int64_t j = piece * kGrain; j < std::min(begin, (piece + 1) * kGrain); ++j)
        subtract(j, panel, end - begin);
    });
  }
  return -1;
}

// The scales that are tried: what the search gives, times these.
constexpr float kTriedUnits[] = {1, 0.92f, 0.96f, 1.04f, 1.08f};

// A block of W rows, a row a lane.
template <int W>
struct BlockTrial {
  Floats<W> loss;                       // sum of M_kk^2 (t_k - q_k)^2
  Floats<W> error[kMostBlockElements];  // w_k - q_k
  Ints<W> codes[kMostBlockElements];
};

template <int W>
struct LaneGrid {
  std::span<const float> levels;
  bool even;
  int group;
  Floats<W> scale[kMostGridGroups], low[kMostGridGroups];
};

// The code of the level nearest to v.
template <int W>
RETORT_INLINE Ints<W> NearestLevel(const LaneGrid<W>& grid, Floats<W> v) {
  const float first = grid.levels.front(), last = grid.levels.back();
  if (grid.even) {
    v = v > first ? v : Splat<W>(first);
    v = v < last ? v : Splat<W>(last);
    return Nearest<W>(v) - static_cast<int32_t>(first);
  }
  Ints<W> code = {};
  for (size_t i = 1; i < grid.levels.size(); ++i)
    code -= v >= (grid.levels[i - 1] + grid.levels[i]) / 2;  // a true comparison is -1
  return code;
}
template <int W>
RETORT_INLINE Floats<W> LevelsOf(const LaneGrid<W>& grid, Ints<W> code) {
  if (grid.even) return AsFloats<W>(code) + grid.levels.front();
  return LookUp<W>(grid.levels.data(), code);
}

struct FeedbackKernel {
  // Adds the feedback of columns [0, before) to the `columns` targets from column `first` on.
  template <int W>
  RETORT_INLINE static void AddFeedback(const FeedbackFactor& factor, const float* errors,
                                        int64_t before, int64_t first, int columns,
                                        Floats<W>* targets) {
    constexpr int kColumns = 4;  // share the loads of errors
    for (int c = 0; c < columns; c += kColumns) {
      const float* by[kColumns];
      Floats<W> sum[kColumns] = {};
      for (int j = 0; j < kColumns; ++j) by[j] = factor.feedback(first + c + j);
      for (int64_t i = 0; i < before; ++i) {
        const Floats<W> e = Load<W>(errors + i * W);
        for (int j = 0; j < kColumns; ++j) sum[j] += e * by[j][i];
      }
      for (int j = 0; j < kColumns; ++j) targets[c + j] += sum[j];
    }
  }

  // Chooses the codes of the block in its order. `targets`: with the feedback of earlier blocks.
  template <int W>
  RETORT_INLINE static void Try(const FeedbackFactor& factor, int64_t first, int values,
                                const LaneGrid<W>& grid, const Floats<W>* wanted,
                                const Floats<W>* targets, BlockTrial<W>* trial) {
    Floats<W> inverse[kMostGridGroups], loss = {};
    for (int g = 0; g < values / grid.group; ++g)
      inverse[g] = grid.scale[g] != 0.0f ? 1.0f / grid.scale[g] : Floats<W>{};
    for (int k = 0; k < values; ++k) {
      const float* by = factor.feedback(first + k) + first;
      Floats<W> even = targets[k], odd = {};
      int i = 0;
      for (; i + 1 < k; i += 2) {
        even += trial->error[i] * by[i];
        odd += trial->error[i + 1] * by[i + 1];
      }
      if (i < k) even += trial->error[i] * by[i];
      const Floats<W> target = even + odd;
      const int g = k / grid.group;
      const Ints<W> code = NearestLevel<W>(grid, (target - grid.low[g]) * inverse[g]);
      const Floats<W> value = LevelsOf<W>(grid, code) * grid.scale[g] + grid.low[g];
      const Floats<W> off = target - value;
      trial->codes[k] = code;
      trial->error[k] = wanted[k] - value;
      loss += off * off * factor.weights()[first + k];
    }
    trial->loss = loss;
  }

  template <int W>
  RETORT_INLINE static void ReadGrid(const GridCodec& codec, const std::byte* blocks, int bytes,
                                     LaneGrid<W>* out) {
    for (int lane = 0; lane < W; ++lane) {
      const BlockGrid grid = codec.grid(blocks + lane * bytes);
      out->levels = grid.levels;
      out->even = grid.even;
      out->group = grid.group;
      for (int g = 0; g < kMostGridGroups; ++g) {
        out->scale[g][lane] = grid.scale[g];
        out->low[g][lane] = grid.low[g];
      }
    }
  }

  // The first block of each lane as the format encodes it, with its unit times `factor`.
  static void ScaleUnits(const GridCodec& codec, const std::byte* blocks, int count, int bytes,
                         float factor, std::byte* out) {
    std::memcpy(out, blocks, static_cast<size_t>(count) * static_cast<size_t>(bytes));
    for (int b = 0; b < count; ++b) {
      F16 unit;
      std::memcpy(&unit, out + b * bytes + codec.unit, sizeof unit);
      unit = ToF16(ScaleOf(unit) * factor);
      std::memcpy(out + b * bytes + codec.unit, &unit, sizeof unit);
    }
  }

  // Rounds a block of W rows. best->error and the blocks' bytes are its results.
  template <int W>
  RETORT_INLINE static void RoundBlock(const BlockFormat& format, Isa isa,
                                       const FeedbackFactor& factor, int64_t first,
                                       const Floats<W>* wanted, const Floats<W>* targets,
                                       BlockTrial<W>* best, std::byte* blocks) {
    const int values = format.block_elements, bytes = format.block_bytes;
    std::byte encoded[kRowsAtOnce * kMostBlockBytes], tried[kRowsAtOnce * kMostBlockBytes];
    for (int lane = 0; lane < W; ++lane) {
      float x[kMostBlockElements];
      for (int k = 0; k < values; ++k) x[k] = targets[k][lane];
      format.encode(isa, x, factor.weights() + first, values, encoded + lane * bytes);
    }
    BlockTrial<W> trial;
    best->loss = Splat<W>(std::numeric_limits<float>::infinity());
    for (const float unit : kTriedUnits) {
      ScaleUnits(*format.grid, encoded, W, bytes, unit, tried);
      LaneGrid<W> grid;
      ReadGrid<W>(*format.grid, tried, bytes, &grid);
      Try<W>(factor, first, values, grid, wanted, targets, &trial);
      const Ints<W> better = trial.loss < best->loss;
      best->loss = better ? trial.loss : best->loss;
      for (int k = 0; k < values; ++k) {
        best->error[k] = better ? trial.error[k] : best->error[k];
        best->codes[k] = better ? trial.codes[k] : best->codes[k];
      }
      for (int lane = 0; lane < W; ++lane) {
        if (better[lane]) std::memcpy(blocks + lane * bytes, tried + lane * bytes, bytes);
      }
    }
    uint8_t codes[kMostBlockElements];
    for (int lane = 0; lane < W; ++lane) {
      for (int k = 0; k < values; ++k) codes[k] = static_cast<uint8_t>(best->codes[k][lane]);
      format.grid->put(codes, blocks + lane * bytes);
    }
  }

  template <int W>
  RETORT_INLINE static void Run(const BlockFormat* format, Isa isa, const FeedbackFactor* factor,
                                const float* rows, int64_t count, std::byte* out) {
    const int64_t n = factor->size(), row_bytes = n / format->block_elements * format->block_bytes;
    const int values = format->block_elements, bytes = format->block_bytes;
    std::vector<float> errors(static_cast<size_t>(n * W));
    for (int64_t row = 0; row < count; row += W) {
      const int64_t lanes = std::min<int64_t>(W, count - row);
      for (int64_t first = 0; first < n; first += values) {
        Floats<W> wanted[kMostBlockElements], targets[kMostBlockElements];
        for (int k = 0; k < values; ++k) {
          Floats<W> v = {};
          for (int64_t lane = 0; lane < lanes; ++lane) v[lane] = rows[(row + lane) * n + first + k];
          wanted[k] = targets[k] = v;
        }
        AddFeedback<W>(*factor, errors.data(), first, first, values, targets);
        BlockTrial<W> best;
        std::byte blocks[kRowsAtOnce * kMostBlockBytes];
        RoundBlock<W>(*format, isa, *factor, first, wanted, targets, &best, blocks);
        for (int k = 0; k < values; ++k) Store<W>(errors.data() + (first + k) * W, best.error[k]);
        for (int64_t lane = 0; lane < lanes; ++lane)
          std::memcpy(out + (row + lane) * row_bytes + first / values * bytes,
                      blocks + lane * bytes, static_cast<size_t>(bytes));
      }
    }
  }
};

}  // namespace

FeedbackFactor::FeedbackFactor(std::span<const float> moments, int64_t n, double damping,
                               ThreadPool& pool)
    : size_(n), feedback_(static_cast<size_t>(n * (n + 1) / 2)), weights_(static_cast<size_t>(n)) {
  RETORT_CHECK(std::ssize(moments) == n * n, moments.size(), " moments of ", n, " inputs");
  double mean = 0;
  for (int64_t k = 0; k < n; ++k)
    mean += double{moments[static_cast<size_t>(k * n + k)]} / static_cast<double>(n);
  std::vector<double> triangle(feedback_.size());
  const auto odd_input = [&](double added) {
    for (int64_t k = 0; k < n; ++k) {
      double* row = TriangleRow(triangle.data(), k);
      std::copy_n(moments.data() + k * n, k + 1, row);
      row[k] += added;
    }
    return Factorise(triangle.data(), n, kNoise * mean, pool);
  };
  // Inputs that are always zero say nothing: the identity.
  double added = mean > 0 ? damping * mean : 1;
  for (int64_t odd = odd_input(added); odd >= 0; odd = odd_input(added)) {
    if (!(added < mean))
      throw Failure("the second moments of ", n, " inputs are not positive at input ", odd,
                    ", even with their mean added: the activations overflow");
    added = std::max(10 * added, kLeastDamping * mean);
  }
  for (int64_t k = 0; k < n; ++k) {
    const double* row = TriangleRow(triangle.data(), k);
    float* to = feedback_.data() + k * (k + 1) / 2;
    for (int64_t i = 0; i <= k; ++i) to[i] = static_cast<float>(row[i] / row[k]);
    weights_[static_cast<size_t>(k)] = static_cast<float>(row[k] * row[k]);
  }
}

void EncodeRowsWithFeedback(const BlockFormat& format, const FeedbackFactor& factor,
                            const float* rows, int64_t count, std::byte* out) {
  CallSimd<FeedbackKernel>(HostIsa(), &format, HostIsa(), &factor, rows, count, out);
}

void EncodeRowsWithFeedback(WeightFormat format, const FeedbackFactor& factor, const float* rows,
                            int64_t count, std::byte* out) {
  const BlockFormat& f = TraitsOf(format);
  const int64_t n = factor.size(), row_bytes = RowBytes(format, n);
  if (f.grid) return EncodeRowsWithFeedback(f, factor, rows, count, out);
  for (int64_t r = 0; r < count; ++r)
    EncodeRow(format, rows + r * n, n, out + r * row_bytes, factor.weights());
}

Weight RoundedWithFeedback(const Weight& source, WeightFormat format, const FeedbackFactor& factor,
                           Memory& memory, ThreadPool& pool) {
  const int64_t rows = source.rows(), cols = source.cols(), stride = RowBytes(format, cols);
  RETORT_CHECK(cols == factor.size(), cols, " inputs, and the factor of ", factor.size());
  auto buffer = memory.Allocate(rows * stride);
  const Tensor decoded = Tensor::Make(memory, {pool.threads(), kRowsAtOnce * cols}, DType::kF32);
  pool.For((rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t piece, int worker) {
    float* some = decoded.data<float>() + worker * kRowsAtOnce * cols;
    const int64_t begin = piece * kRowsAtOnce, count = std::min(kRowsAtOnce, rows - begin);
    for (int64_t r = 0; r < count; ++r) DecodeRow(source, begin + r, 0, cols, some + r * cols);
    EncodeRowsWithFeedback(format, factor, some, count, buffer->data() + begin * stride);
  });
  const Bytes view(buffer->data(), static_cast<size_t>(rows * stride));
  return Weight(format, rows, cols, view, std::move(buffer));
}

}  // namespace retort
