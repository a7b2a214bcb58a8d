// SPDX-License-Identifier: Apache-2.0
// Attention as softmax(cap(scale * q k^T)) v, one query of one head at a time, over the list of its
// visible key rows.
#include <algorithm>
#include <cmath>

#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

// The rows of the key tensor that are visible to query i of a run, oldest first.
std::vector<int64_t> VisibleRows(const AttentionLayout& layout, int window, const AttentionRun& run,
                                 int i) {
  const int position = run.first_position + i;
  const int oldest = window > 0 ? std::max(0, position - window + 1) : 0;
  std::vector<int64_t> rows;
  for (int p = oldest; p <= position; ++p) {
    const int block = run.first_block + p / layout.block_size;
    rows.push_back(layout.block_rows.at(static_cast<size_t>(block)) + p % layout.block_size);
  }
  return rows;
}

double Dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

double Capped(const AttentionShape& shape, double score) {
  const double cap = shape.soft_cap;
  return cap > 0 ? cap * std::tanh(score / cap) : score;
}
// d capped / d score = 1 - tanh(score / cap)^2, from the capped score.
double CapSlope(const AttentionShape& shape, double capped) {
  const double cap = shape.soft_cap;
  return cap > 0 ? 1 - capped * capped / (cap * cap) : 1;
}

// Turns scores into probabilities; returns the natural log of the sum of their exponentials.
double Softmax(std::vector<double>& scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double s : scores) sum += std::exp(s - top);
  for (double& s : scores) s = std::exp(s - top) / sum;
  return top + std::log(sum);
}

// Keys or values as [rows, K*D]; pages are copied.
Tensor InRows(Backend& backend, const Tensor& x) {
  const Shape& s = x.shape();
  if (s.rank() != 4) return x;
  Tensor rows = backend.New({s[0] * s[2], s[1] * s[3]});
  for (int64_t i = 0; i < x.elements(); ++i) {
    const int64_t d = i % s[3], in_page = i / s[3] % s[2], head = i / s[3] / s[2] % s[1],
                  page = i / s[3] / s[2] / s[1];
    rows.data<double>()[(page * s[2] + in_page) * rows.cols() + head * s[3] + d] =
        x.data<double>()[i];
  }
  return rows;
}

// Calls body(token, head, visible rows, offset of the head in a key row) for every query head.
template <class Body>
void ForEachQuery(const AttentionShape& shape, const AttentionLayout& layout, const Tensor& q,
                  const Tensor& keys, const Tensor& values, Body body) {
  RETORT_CHECK(q.cols() == int64_t{shape.heads} * shape.head_dim &&
                   keys.shape() == values.shape() &&
                   keys.cols() == int64_t{shape.kv_heads} * shape.head_dim &&
                   shape.heads % shape.kv_heads == 0 && layout.block_size > 0,
               "attention of ", q.shape().text(), " over ", keys.shape().text());
  for (const AttentionRun& run : layout.runs) {
    for (int i = 0; i < run.queries; ++i) {
      const int64_t token = run.first_query + i;
      const std::vector<int64_t> rows = VisibleRows(layout, shape.window, run, i);
      RETORT_CHECK(token >= 0 && token < q.rows() && *std::ranges::max_element(rows) < keys.rows());
      for (int h = 0; h < shape.heads; ++h) {
        body(token, h, rows, int64_t{h / (shape.heads / shape.kv_heads)} * shape.head_dim);
      }
    }
  }
}

}  // namespace

void ReferenceBackend::Attention(const AttentionShape& shape, const AttentionPlan& plan,
                                 const Tensor& q, const Tensor& keys, const Tensor& values,
                                 Tensor& out, Tensor& log_sum) {
  const HostPlan& host = HostPlan::Of(plan);
  host.Check(shape, q, keys, values);
  RETORT_CHECK(out.shape() == q.shape() && log_sum.elements() == q.rows() * shape.heads);
  const Tensor wide_keys = InRows(*this, AsDoubles(keys)),
               wide_values = InRows(*this, AsDoubles(values));
  const int64_t dim = shape.head_dim, width = wide_keys.cols();
  const auto one = [&](int64_t token, int head, const std::vector<int64_t>& rows, int64_t kv) {
    const int64_t at = token * q.cols() + head * dim;
    const double* query = q.data<double>() + at;
    const double* key = wide_keys.data<double>() + kv;
    std::vector<double> p;
    p.reserve(rows.size());
    for (int64_t row : rows)
      p.push_back(Capped(shape, shape.scale * Dot(query, key + row * width, dim)));
    log_sum.data<double>()[token * shape.heads + head] = Softmax(p);
    for (int64_t d = 0; d < dim; ++d) {
      double sum = 0;
      for (size_t j = 0; j < p.size(); ++j) {
        sum += p[j] * wide_values.data<double>()[rows[j] * width + kv + d];
      }
      out.data<double>()[at + d] = sum;
    }
  };
  ForEachQuery(shape, host.layout(), q, wide_keys, wide_values, one);
}

// With p the probabilities, s the scores before the softmax and o the output:
//   dv_j += p_j do,   dp_j = do . v_j,   ds_j = p_j (dp_j - sum_i p_i dp_i) c'_j,
//   dq += scale * sum_j ds_j k_j,   dk_j += scale * ds_j q,
// c'_j the slope of the soft cap at score j.
// `out` and `log_sum` are not used: p is recomputed, so that an error in values saved by a forward
// pass cannot hide in the gradient.
void ReferenceBackend::AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan,
                                     const Tensor& dout, const Tensor& q, const Tensor& keys,
                                     const Tensor& values, const Tensor& out, const Tensor& log_sum,
                                     Tensor& dq, Tensor& dkeys, Tensor& dvalues) {
  RETORT_CHECK(dout.shape() == q.shape() && out.shape() == q.shape() && dq.shape() == q.shape() &&
               log_sum.elements() == q.rows() * shape.heads && dkeys.shape() == keys.shape() &&
               dvalues.shape() == values.shape());
  const HostPlan& host = HostPlan::Of(plan);
  host.Check(shape, q, keys, values);
  const Tensor wide_keys = AsDoubles(keys), wide_values = AsDoubles(values);
  const int64_t dim = shape.head_dim, width = keys.cols();
  const auto one = [&](int64_t token, int head, const std::vector<int64_t>& rows, int64_t kv) {
    const int64_t at = token * q.cols() + head * dim;
    const double* query = q.data<double>() + at;
    const double* d_out = dout.data<double>() + at;
    std::vector<double> p, dp, slope;
    for (int64_t row : rows) {
      p.push_back(Capped(
          shape, shape.scale * Dot(query, wide_keys.data<double>() + row * width + kv, dim)));
      slope.push_back(CapSlope(shape, p.back()));
      dp.push_back(Dot(d_out, wide_values.data<double>() + row * width + kv, dim));
    }
    Softmax(p);
    const double mean = Dot(p.data(), dp.data(), static_cast<int64_t>(p.size()));
    for (size_t j = 0; j < p.size(); ++j) {
      const double ds = p[j] * (dp[j] - mean) * slope[j];
      const int64_t key = rows[j] * width + kv;
      for (int64_t d = 0; d < dim; ++d) {
        dvalues.data<double>()[key + d] += p[j] * d_out[d];
        dq.data<double>()[at + d] += shape.scale * ds * wide_keys.data<double>()[key + d];
        dkeys.data<double>()[key + d] += shape.scale * ds * query[d];
      }
    }
  };
  ForEachQuery(shape, host.layout(), q, keys, values, one);
}

}  // namespace retort
