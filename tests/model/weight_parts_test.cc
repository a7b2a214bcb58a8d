// SPDX-License-Identifier: Apache-2.0
#include "model/weight_parts.h"

#include <gtest/gtest.h>

#include <cmath>

namespace retort {
namespace {

// The matrix sum of s[i] u_i v_i^T with orthonormal u and v that are known: columns of the
// Hadamard-like cosine bases, so the parts can be computed by hand.
struct Known {
  int64_t rows, cols;
  std::vector<double> s;
  std::vector<float> values;

  static double Cosine(int64_t n, int64_t i, int64_t k) {  // the DCT's orthonormal basis
    const double x = std::cos(M_PI * (static_cast<double>(i) + 0.5) * static_cast<double>(k) /
                              static_cast<double>(n));
    return x * std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  }
  double Sum(int64_t r, int64_t c, size_t terms) const {
    double sum = 0;
    for (size_t k = 0; k < terms; ++k)
      sum += s[k] * Cosine(rows, r, static_cast<int64_t>(k)) *
             Cosine(cols, c, static_cast<int64_t>(k));
    return sum;
  }
  Known(int64_t m, int64_t n, std::vector<double> singular)
      : rows(m), cols(n), s(std::move(singular)) {
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < n; ++c) values.push_back(static_cast<float>(Sum(r, c, s.size())));
    }
  }
};

double At(const WeightPart& part, int64_t rank, int64_t cols, int64_t r, int64_t c) {
  double sum = 0;
  for (int64_t k = 0; k < rank; ++k)
    sum += double{part.b[static_cast<size_t>(r * rank + k)]} *
           part.a[static_cast<size_t>(k * cols + c)];
  return sum;
}

TEST(WeightParts, ThePrincipalOneHoldsTheLargestSingularValues) {
  RandomStream random(MakeKey(1, RandomUse::kInit));
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{24, 40}, {40, 24}, {16, 16}}) {
    const Known w(rows, cols, {9, 7, 4, 2, 0.5, 0.25});
    for (const int64_t iterations : {0, 6}) {
      const WeightPart part = PrincipalPart({w.values, rows, cols}, 3, 0.5, iterations, random);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c)
          ASSERT_NEAR(0.5 * At(part, 3, cols, r, c), w.Sum(r, c, 3), 2e-5)
              << rows << " " << iterations;
      }
      // Divided evenly: the rows of a are as long as the columns of b, sqrt(s / scale).
      for (int64_t k = 0; k < 3; ++k) {
        double a = 0, b = 0;
        for (int64_t c = 0; c < cols; ++c)
          a += std::pow(part.a[static_cast<size_t>(k * cols + c)], 2);
        for (int64_t r = 0; r < rows; ++r) b += std::pow(part.b[static_cast<size_t>(r * 3 + k)], 2);
        EXPECT_NEAR(a, w.s[static_cast<size_t>(k)] / 0.5, 1e-3);
        EXPECT_NEAR(b, a, 1e-3);
      }
    }
  }
}

// Q^T Q = 1, R is upper triangular, and Q R is the matrix in its first columns.
TEST(WeightParts, TheOrthogonalOneIsTheBeginningOfQr) {
  const Known w(12, 20, {5, 4, 3, 2, 1, 0.5});
  const WeightPart part = OrthogonalPart({w.values, 12, 20}, 4);
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      double dot = 0;
      for (int64_t r = 0; r < 12; ++r)
        dot +=
            double{part.b[static_cast<size_t>(r * 4 + i)]} * part.b[static_cast<size_t>(r * 4 + j)];
      EXPECT_NEAR(dot, i == j, 1e-6);
      if (j < i) {
        EXPECT_NEAR(part.a[static_cast<size_t>(i * 20 + j)], 0, 1e-6);
      }
    }
  }
  for (int64_t r = 0; r < 12; ++r) {
    for (int64_t c = 0; c < 4; ++c)
      EXPECT_NEAR(At(part, 4, 20, r, c), w.values[static_cast<size_t>(r * 20 + c)], 1e-5);
  }
}

}  // namespace
}  // namespace retort
