// SPDX-License-Identifier: Apache-2.0
// The tensors of one kernel case on one backend, made from a fixed seed. Every tensor is between
// two guards. Around inputs these are NaN, so that reading beyond the end gives a wrong result.
// Around outputs they are a known number, which must be unchanged afterwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/op_cases.h"

namespace retort {

inline constexpr double kSimple = 1e-6;  // about ten f32 roundings, including an exponential

class Stage {
 public:
  explicit Stage(Backend& backend) : backend_(backend) {}

  // A kernel's input, which must be unchanged afterwards: normal values times `size`, or `values`.
  Tensor Input(std::string name, Shape shape, double size = 1);
  Tensor Input(std::string name, Shape shape, const std::vector<float>& values);
  // A tensor that a kernel adds to or changes. Starts with normal values times `size`, or `values`.
  Tensor InOut(std::string name, Shape shape, double size = 1);
  Tensor InOut(std::string name, Shape shape, const std::vector<float>& values);
  // A tensor that a kernel overwrites. Starts as NaN.
  Tensor Output(std::string name, Shape shape);
  // A tensor that a kernel may use as scratch memory. Its values afterwards are not compared.
  Tensor Scratch(std::string name, Shape shape, const std::vector<float>& values);
  // An f64 tensor (for every backend) that a kernel overwrites. Starts as NaN. `more` is added to
  // the results before the comparison, so that the tolerance is relative to about `more` and not to
  // values near 0.
  Tensor Doubles(std::string name, int64_t count, double more = 0);
  // An f64 sum that a kernel adds to.
  Tensor Sum(std::string name, double before);
  // Row numbers, i32 [N], between guards that are not valid row numbers.
  Tensor Indices(const std::vector<int32_t>& values);
  // An i32 tensor [N] that a kernel overwrites.
  Tensor IndexOutput(std::string name, int64_t count);
  // An f32 tensor [N] (for every backend): weights of tokens, factors.
  Tensor Singles(std::string name, const std::vector<float>& values);
  Tensor SingleOutput(std::string name);
  // Pages [pages,K,P,D] of this type, filled with the rows of values [pages*P, K*D] by StoreRows.
  // They have no guards, and only Attention reads them.
  Tensor Pages(Shape pages, DType type, const std::vector<float>& rows);

  Backend& backend() { return backend_; }
  RandomStream& random() { return random_; }
  std::vector<float> Normal(int64_t count, double size = 1);
  std::vector<int32_t> Below(int64_t count, int64_t limit);  // uniform in [0, limit)

  std::vector<OpOutput> Outputs() const;

 private:
  enum class Role { kInput, kOutput, kScratch };
  struct Place {
    std::string name;
    Role role;
    Tensor whole;  // including the guards
    double more = 0;
  };
  template <class T>
  Tensor GuardedAs(std::string name, Role role, Shape shape, const std::vector<T>& values,
                   double more = 0);
  Tensor Guarded(std::string name, Role role, Shape shape, const std::vector<float>& values);

  Backend& backend_;
  RandomStream random_{MakeKey(20240917, RandomUse::kData)};
  std::vector<Place> places_;
};

// The run of a stage. `call` must hold its tensors by value.
OpRun RunOn(std::shared_ptr<Stage> stage, std::function<void()> call);

// A weight whose decoded values are the same on every backend. `whole` makes values that bf16, int8
// and the 4-bit blocks represent exactly, so that products need no larger tolerance. Otherwise, and
// for NF4, the values are normal, times 1 / sqrt(cols).
Weight MakeWeight(Stage& stage, WeightFormat format, int64_t rows, int64_t cols, bool whole,
                  bool double_quant = false);
// Whether that is so for the format: its blocks keep such values, exactly.
bool KeepsWholeWeights(WeightFormat format);
// [rows, cols] multiples of 1/64 in [-127/64, 127/64]. Each block of 32 contains an extreme value,
// so that the values are exact in bf16 and in int8 blocks.
std::vector<float> WholeValues(Stage& stage, int64_t rows, int64_t cols);

}  // namespace retort
