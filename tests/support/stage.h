// SPDX-License-Identifier: Apache-2.0
// The tensors of one kernel case on one backend, made from a fixed seed. Every tensor lies between
// two guards: NaN around inputs, so that a value from beyond the end spoils the result, and a known
// number around outputs, which must still be there afterwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/op_cases.h"

namespace retort {

class Stage {
 public:
  explicit Stage(Backend& backend) : backend_(backend) {}

  // Must be unchanged afterwards. Normal values times `size`, or those given.
  Tensor Input(std::string name, Shape shape, double size = 1);
  Tensor Input(std::string name, Shape shape, const std::vector<float>& values);
  // What a kernel adds to or changes: begins with normal values, or those given.
  Tensor InOut(std::string name, Shape shape, double size = 1);
  Tensor InOut(std::string name, Shape shape, const std::vector<float>& values);
  // What a kernel overwrites: begins as NaN.
  Tensor Output(std::string name, Shape shape);
  // What a kernel may use up: its values afterwards mean nothing.
  Tensor Scratch(std::string name, Shape shape, const std::vector<float>& values);
  // Of f64 whatever the backend's type. What a kernel overwrites: begins as NaN. `more` is added to
  // what comes out, where a tolerance is of 1 rather than of values near 0.
  Tensor Doubles(std::string name, int64_t count, double more = 0);
  // A sum in f64, which a kernel adds to.
  Tensor Sum(std::string name, double before);
  // Numbers of rows, i32 [N], between others that are no row's.
  Tensor Indices(const std::vector<int32_t>& values);
  // i32 [N], which a kernel overwrites.
  Tensor IndexOutput(std::string name, int64_t count);
  // f32 [N] whatever the backend's type: weights of tokens, factors.
  Tensor Singles(std::string name, const std::vector<float>& values);
  Tensor SingleOutput(std::string name);
  // Pages [pages,K,P,D] of that type, holding rows of values [pages*P, K*D] as StoreRows puts them
  // there. They have no guards, and nothing reads them back but Attention.
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
    Tensor whole;  // guards included
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

// The run of a stage: `call` must hold its tensors by value.
OpRun RunOn(std::shared_ptr<Stage> stage, std::function<void()> call);

// A weight whose decoded values are the same everywhere. `whole` makes values that bf16, int8 and
// the 4-bit blocks hold exactly, so that their products need no loose limit; otherwise normal
// values times 1 / sqrt(cols). NF4 has no whole values.
Weight MakeWeight(Stage& stage, WeightFormat format, int64_t rows, int64_t cols, bool whole,
                  bool double_quant = false);
// [rows, cols] of multiples of 1/64 in [-127/64, 127/64], each block of 32 with an extreme: exact
// in bf16 and under quantisation to int8 in blocks.
std::vector<float> WholeValues(Stage& stage, int64_t rows, int64_t cols);

}  // namespace retort
