// SPDX-License-Identifier: Apache-2.0
// Parts of a matrix with which an adapter may begin.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace retort {

struct WeightMatrix {
  std::span<const float> values;  // [rows,cols]
  int64_t rows, cols;
};
// A part b a of the matrix: a [R,cols], b [rows,R].
struct WeightPart {
  std::vector<float> a, b;
};

// PiSSA (arXiv 2404.02948): scale b a is the part of the R largest singular values, each divided
// evenly between b and a. iterations 0: from the eigenvectors of the smaller of W W^T and W^T W, in
// double; else from a random subspace that so many iterations improve (Halko, Martinsson and Tropp,
// arXiv 0909.4061).
WeightPart PrincipalPart(const WeightMatrix& w, int64_t rank, double scale, int64_t iterations,
                         RandomStream& random);

// OLoRA (arXiv 2406.01775): of W = Q R, b the first columns of Q and a the first rows of R.
WeightPart OrthogonalPart(const WeightMatrix& w, int64_t rank);

}  // namespace retort
