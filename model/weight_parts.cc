// SPDX-License-Identifier: Apache-2.0
#include "model/weight_parts.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>

namespace retort {
namespace {

using Doubles = Eigen::MatrixXd;
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Doubles InDoubles(const WeightMatrix& w) {
  return Eigen::Map<const Rows>(w.values.data(), w.rows, w.cols).cast<double>();
}

std::vector<float> InFloats(const Doubles& m) {
  std::vector<float> out(static_cast<size_t>(m.size()));
  Eigen::Map<Rows>(out.data(), m.rows(), m.cols()) = m.cast<float>();
  return out;
}

// An orthonormal basis of the columns; their signs are those of Householder's reflections.
Doubles BasisOf(const Doubles& m) {
  const Eigen::HouseholderQR<Doubles> qr(m);
  return qr.householderQ() * Doubles::Identity(m.rows(), m.cols());
}

// The R largest singular values of W = U S V^T, with their columns of U and V.
struct SingularPart {
  Doubles u, v;
  Eigen::VectorXd s;
};

SingularPart ExactPart(const Doubles& w, int64_t rank) {
  const bool wide = w.rows() <= w.cols();
  const Doubles gram = wide ? Doubles(w * w.transpose()) : Doubles(w.transpose() * w);
  const Eigen::SelfAdjointEigenSolver<Doubles> solver(gram);  // smallest first
  const Doubles vectors = solver.eigenvectors().rightCols(rank).rowwise().reverse();
  // What W makes of a singular vector is the other one, as long as its singular value.
  Doubles other = wide ? Doubles(w.transpose() * vectors) : Doubles(w * vectors);
  const Eigen::VectorXd s = other.colwise().norm();
  for (int64_t i = 0; i < rank; ++i) {
    if (s(i) > 0) other.col(i) /= s(i);
  }
  return wide ? SingularPart{vectors, other, s} : SingularPart{other, vectors, s};
}

SingularPart SubspacePart(const Doubles& w, int64_t rank, int64_t iterations,
                          RandomStream& random) {
  constexpr int64_t kMore = 8;  // further dimensions
  const int64_t wanted = std::min({rank + kMore, w.rows(), w.cols()});
  Doubles start(w.cols(), wanted);
  for (int64_t i = 0; i < start.size(); ++i) start.data()[i] = random.Normal();
  Doubles basis = BasisOf(w * start);
  for (int64_t i = 0; i < iterations; ++i) basis = BasisOf(w * BasisOf(w.transpose() * basis));
  // The singular values of the small matrix are W's within the subspace.
  const SingularPart small = ExactPart(basis.transpose() * w, rank);
  return {basis * small.u, small.v, small.s};
}

}  // namespace

WeightPart PrincipalPart(const WeightMatrix& matrix, int64_t rank, double scale, int64_t iterations,
                         RandomStream& random) {
  const Doubles w = InDoubles(matrix);
  const SingularPart part =
      iterations == 0 ? ExactPart(w, rank) : SubspacePart(w, rank, iterations, random);
  const Eigen::VectorXd root = (part.s / scale).cwiseSqrt();
  return {InFloats(root.asDiagonal() * part.v.transpose()), InFloats(part.u * root.asDiagonal())};
}

WeightPart OrthogonalPart(const WeightMatrix& matrix, int64_t rank) {
  const Doubles w = InDoubles(matrix);
  const Doubles q = BasisOf(w.leftCols(rank));
  return {InFloats(q.transpose() * w), InFloats(q)};
}

}  // namespace retort
