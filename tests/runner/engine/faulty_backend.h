// SPDX-License-Identifier: Apache-2.0
// The reference, but for two tokens: one makes the pass that reads it fail, the other makes the
// numbers of its stream odd. No model says them.
#pragma once

#include <limits>

#include "base/error.h"
#include "tensor/reference/reference_backend.h"

namespace retort {

class FaultyBackend : public ReferenceBackend {
 public:
  static constexpr int32_t kFails = 200, kNotANumber = 201;

  // vocab: the width of logits, and of nothing else.
  explicit FaultyBackend(int64_t vocab) : vocab_(vocab) {}

  void EmbedRows(const PreparedWeight& table, const Tensor& ids, Tensor& out) override {
    ReferenceBackend::EmbedRows(table, ids, out);
    for (int64_t i = 0; i < ids.elements(); ++i) {
      const int32_t id = ids.data<int32_t>()[i];
      if (id == kFails) throw Failure("the device failed");
      if (id == kNotANumber)
        out.data<double>()[i * out.cols()] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  void LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) override {
    ReferenceBackend::LinearForward(x, w, y);
    if (y.cols() != vocab_) return;
    for (int64_t t = 0; t < y.rows(); ++t) {
      for (const int32_t id : {kFails, kNotANumber})
        y.data<double>()[t * vocab_ + id] = -std::numeric_limits<double>::infinity();
    }
  }

 private:
  int64_t vocab_;
};

}  // namespace retort
