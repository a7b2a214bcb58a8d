// SPDX-License-Identifier: Apache-2.0
// Every kind of panel product that this processor can run, even those that it would not choose.
#include "tensor/cpu/block_gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"

namespace retort {
namespace {

struct Kind {
  const char* name;
  std::unique_ptr<BlockGemm> gemm;
};

std::vector<Kind> Kinds(Memory& memory) {
  std::vector<Kind> kinds;
  kinds.push_back({"OpenBLAS", MakeOpenBlasGemm()});
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa <= HostIsa()) kinds.push_back({"vectors", MakeVectorGemm(isa)});
  }
  if (auto gemm = MakeBF16Gemm()) kinds.push_back({"bf16", std::move(gemm)});
  if (auto gemm = MakeOneDnnGemm(1, memory)) kinds.push_back({"oneDNN", std::move(gemm)});
  return kinds;
}

// `exact`: multiples of 1/8 that bf16 holds, so that both types compute with the same values.
std::vector<float> Values(int64_t count, bool exact, uint64_t seed) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) {
    v = exact ? static_cast<float>(random.Next() % 33) / 8 - 2
              : static_cast<float>(random.Normal());
  }
  return out;
}

struct Operands {
  int64_t rows, depth, cols, a_row;
  std::vector<float> a, b;  // [rows, a_row], [depth, 64]
  std::vector<std::byte> packed_a, packed_b;

  Operands(const BlockGemm& gemm, int64_t least_rows, int64_t least_depth, int64_t columns,
           bool exact)
      : rows((least_rows + gemm.row_step() - 1) / gemm.row_step() * gemm.row_step()),
        depth((least_depth + gemm.depth_step() - 1) / gemm.depth_step() * gemm.depth_step()),
        cols(columns),
        a_row(gemm.depth_step() == kDepthStep ? depth : depth + 6),  // oneDNN's is dense
        a(Values(rows * a_row, exact, 1)),
        b(Values(depth * kPanel, exact, 2)),
        packed_a(a.size() * static_cast<size_t>(SizeOf(gemm.type()))),
        packed_b(b.size() * static_cast<size_t>(SizeOf(gemm.type()))) {
    const auto put = [&](std::vector<std::byte>& to, int64_t at, float value) {
      if (gemm.type() == DType::kF32) {
        std::memcpy(to.data() + at * 4, &value, 4);
      } else {
        const BF16 half = ToBF16(value);
        std::memcpy(to.data() + at * 2, &half, 2);
      }
    };
    for (int64_t i = 0; i < std::ssize(a); ++i) put(packed_a, i, a[static_cast<size_t>(i)]);
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t n = 0; n < kPanel; ++n) {
        const bool pairs = gemm.type() == DType::kBF16;
        const int64_t at = pairs ? (k / 2 * kPanel + n) * 2 + k % 2 : k * kPanel + n;
        put(packed_b, at, b[static_cast<size_t>(k * kPanel + n)]);
      }
    }
  }

  // `from` rows from `first` on, added to 1 or put in its place.
  std::vector<float> Multiply(BlockGemm& gemm, int64_t first, int64_t count, bool add) const {
    constexpr int64_t kOutRow = 70;
    std::vector<float> out(static_cast<size_t>(count * kOutRow), 1.0f);
    gemm.Prepare(depth);
    gemm.Multiply(0, {packed_a.data() + first * a_row * SizeOf(gemm.type()), a_row, packed_b.data(),
                      count, depth, out.data(), kOutRow, cols, add});
    for (int64_t i = 0; i < std::ssize(out); ++i) {  // what lies between the rows is left alone
      if (i % kOutRow >= cols) {
        EXPECT_EQ(out[static_cast<size_t>(i)], 1.0f);
      }
    }
    std::vector<float> dense;
    for (int64_t t = 0; t < count; ++t) {
      dense.insert(dense.end(), out.begin() + t * kOutRow, out.begin() + t * kOutRow + cols);
    }
    return dense;
  }
};

constexpr std::array<int64_t, 3> kSizes[] = {  // rows, depth, columns
    {1, 1, 64},  {6, 33, 64},  {95, 64, 64}, {130, 640, 64},
    {50, 40, 5}, {13, 96, 48}, {7, 16, 16},  {9, 70, 63}};

TEST(BlockGemm, EqualsTheDoubleLoop) {
  const auto memory = MakeHostMemory();
  for (Kind& kind : Kinds(*memory)) {
    for (const auto& [rows, depth, cols] : kSizes) {
      const Operands in(*kind.gemm, rows, depth, cols, /*exact=*/true);
      for (const bool add : {false, true}) {
        SCOPED_TRACE(Cat(kind.name, " ", rows, " ", depth, " ", cols, " add ", add));
        const std::vector<float> got = in.Multiply(*kind.gemm, 0, in.rows, add);
        for (int64_t i = 0; i < std::ssize(got); ++i) {
          double want = add ? 1 : 0;
          for (int64_t k = 0; k < in.depth; ++k) {
            want += static_cast<double>(in.a[static_cast<size_t>(i / cols * in.a_row + k)]) *
                    in.b[static_cast<size_t>(k * kPanel + i % cols)];
          }
          // Sums of multiples of 1/64 below 2^12: exact in f32 in any order.
          ASSERT_EQ(got[static_cast<size_t>(i)], want) << i / cols << ", " << i % cols;
        }
      }
    }
  }
}

TEST(BlockGemm, SumsARowAlikeWhateverRowsAreBesideIt) {
  const auto memory = MakeHostMemory();
  for (Kind& kind : Kinds(*memory)) {
    if (kind.name == std::string("OpenBLAS") || kind.gemm->row_step() > 1) continue;
    for (const auto& [rows, depth, cols] : kSizes) {
      SCOPED_TRACE(Cat(kind.name, " ", rows, " ", depth, " ", cols));
      const Operands in(*kind.gemm, rows, depth, cols, /*exact=*/false);
      const std::vector<float> all = in.Multiply(*kind.gemm, 0, rows, true);
      for (int64_t t = 0; t < rows; ++t) {
        const std::vector<float> one = in.Multiply(*kind.gemm, t, 1, true);
        for (int64_t n = 0; n < cols; ++n)
          ASSERT_EQ(one[static_cast<size_t>(n)], all[static_cast<size_t>(t * cols + n)]) << t;
      }
    }
  }
}

}  // namespace
}  // namespace retort
