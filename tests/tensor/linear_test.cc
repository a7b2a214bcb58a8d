// SPDX-License-Identifier: Apache-2.0
// Products on the CPU against plain loops in double. If a compute type rounds its inputs, the loops
// round theirs in the same way, so that the tolerances are those of f32 sums.
#include <gtest/gtest.h>

#include <array>

#include "tensor/cpu/int8_dots.h"
#include "tensor/cpu/products.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

struct Storage {
  WeightFormat format;
  bool double_quant = false, strips = false;
};
std::vector<Storage> Storages() {
  std::vector<Storage> storages = {{WeightFormat::kNF4, true}};
  for (const WeightFormat format : AllFormats()) {
    storages.push_back({format});
    if (TraitsOf(format).int8) storages.push_back({format, false, true});
  }
  return storages;
}
std::string TextOf(const Storage& s) {
  return Cat(TraitsOf(s.format).name, s.strips ? " in strips" : "");
}
constexpr Compute kComputes[] = {Compute::kF32, Compute::kBF16, Compute::kInt8};

// Whether products of so many rows are int8.
bool HasInt8(WeightFormat format, Isa isa = Isa::kPortable, int64_t tokens = 1) {
  const bool tiles = isa != Isa::kPortable || tokens <= kVectorRows;
  return TraitsOf(format).int8 || (TraitsOf(format).codes && tiles);
}

struct LinearSize {
  int64_t tokens, outputs, inputs;
};
std::vector<LinearSize> CasesFor(WeightFormat format) {
  // Products of long blocks differ from those of others in their decoding alone, and in int8.
  if (TraitsOf(format).row_step() == 256) {
    std::vector<LinearSize> cases = {
        {1, 1, 256}, {3, 129, 512}, {16, 33, 2304}, {17, 65, 256}, {130, 70, 2304}};
    // A strip that is short; tiles of every size; rows in one piece, and in two.
    if (TraitsOf(format).codes)
      cases.insert(cases.end(), {{17, 5, 256}, {19, 70, 768}, {511, 33, 512}});
    return cases;
  }
  std::vector<LinearSize> cases = {{1, 1, 1},       {3, 5, 7},      {2, 65, 129},   {4, 172, 64},
                                   {5, 129, 65},    {17, 172, 172}, {64, 64, 1100}, {130, 70, 33},
                                   {130, 200, 576}, {130, 70, 2080}};
  for (int64_t t = 1; t <= 8; ++t) cases.push_back({t, 40, 1056});
  if (TraitsOf(format).int8) {
    for (int64_t t : {32, 33, 37}) cases.push_back({t, 70, 2080});  // packed whole, and in parts
    for (int64_t t : {510, 511}) cases.push_back({t, 33, 544});     // rows in one piece, and in two
    cases.push_back({110, 70, 7680});                               // several strips of a piece
  }
  for (int64_t t = 12; t <= 18; ++t) cases.push_back({t, 80, 2080});  // around every switch of path
  for (LinearSize& c : cases) c.inputs = RoundUp(c.inputs, TraitsOf(format).row_step());
  return cases;
}

// Sums of products and the largest sum of their magnitudes, which rounding is measured by: a result
// may be next to nothing where its terms are not.
struct Sums {
  std::vector<double> values;
  double magnitude = 0;

  double ErrorOf(const std::vector<float>& actual) const {
    EXPECT_EQ(actual.size(), values.size());
    double worst = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      const double difference = std::abs(actual[i] - values[i]);
      if (!(difference <= worst)) worst = difference;  // a NaN too
    }
    return worst / magnitude;
  }
};

std::vector<float> Rounded(std::vector<float> values) {
  for (float& v : values) v = ToFloat(ToBF16(v));
  return values;
}

// The nearest multiple of a 127th of the largest magnitude among each 32; precisely, of a 16319th.
std::vector<float> RoundedInt8(std::vector<float> values, bool wide_input = false) {
  for (size_t b = 0; b < values.size(); b += 32) {
    float top = 0;
    for (size_t i = b; i < b + 32; ++i) top = std::max(top, std::abs(values[i]));
    const float d = top / (wide_input ? 128 * 127 + 63 : 127), inverse = d > 0 ? 1 / d : 0;
    for (size_t i = b; i < b + 32; ++i) values[i] = std::nearbyint(values[i] * inverse) * d;
  }
  return values;
}

// before + a op(w), where op(w) [depth,cols] is w or its transpose.
Sums Product(int64_t rows, int64_t depth, int64_t cols, const std::vector<float>& a,
             const std::vector<float>& w, bool transposed, const std::vector<float>& before = {}) {
  Sums out;
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t c = 0; c < cols; ++c) {
      double sum = before.empty() ? 0 : before[static_cast<size_t>(t * cols + c)];
      double magnitude = std::abs(sum);
      for (int64_t k = 0; k < depth; ++k) {
        const double term = static_cast<double>(a[static_cast<size_t>(t * depth + k)]) *
                            w[static_cast<size_t>(transposed ? c * depth + k : k * cols + c)];
        sum += term;
        magnitude += std::abs(term);
      }
      out.values.push_back(sum);
      out.magnitude = std::max(out.magnitude, magnitude);
    }
  }
  return out;
}
Sums Forward(const LinearSize& c, const std::vector<float>& x, const std::vector<float>& w) {
  return Product(c.tokens, c.inputs, c.outputs, x, w, true);
}
Sums InputGrad(const LinearSize& c, const std::vector<float>& dy, const std::vector<float>& w,
               const std::vector<float>& before) {
  return Product(c.tokens, c.outputs, c.inputs, dy, w, false, before);
}

// One case's operands, and what must come of them.
struct LinearOperands {
  LinearOperands(TestWeights& weights, const LinearSize& c, const Storage& storage)
      : x(RandomFloats(c.tokens * c.inputs, 1)),
        dy(RandomFloats(c.tokens * c.outputs, 2)),
        dx(RandomFloats(c.tokens * c.inputs, 3)),
        w(weights.Make(storage.format, c.outputs, c.inputs,
                       RandomFloats(c.outputs * c.inputs, 4, 0.05), storage.double_quant)) {
    if (storage.strips) w = weights.InStrips(w);
    values.resize(static_cast<size_t>(c.outputs * c.inputs));
    for (int64_t o = 0; o < c.outputs; ++o)
      DecodeRow(w, o, 0, c.inputs, values.data() + o * c.inputs);
    exact = Forward(c, x, values);
    bf16 = Forward(c, Rounded(x), Rounded(values));
    if (HasInt8(storage.format)) {
      int8 = Forward(c, RoundedInt8(x), values);
      wide_input = Forward(c, RoundedInt8(x, true), values);
    }
    exact_grad = InputGrad(c, dy, values, dx);
    bf16_grad = InputGrad(c, Rounded(dy), Rounded(values), dx);
  }
  std::vector<float> x, dy, dx;
  Weight w;
  std::vector<float> values;  // of w
  Sums exact, bf16, int8, wide_input, exact_grad, bf16_grad;
};

bool MultipliesBf16(const CpuBackend& backend, Isa isa) {
  const bool here = backend.compute() == Compute::kInt8 ? CpuPrefersBf16() : CpuHasBf16();
  return backend.compute() != Compute::kF32 && isa == Isa::kAvx512 && here;
}

// body(backend, isa) for every width of vectors; the same bits with one, two and three threads.
template <class Body>
void ForEach(Compute compute, const Body& body) {
  ForCpuBackends([&](CpuBackend& backend) { return body(backend, backend.isa()); }, compute);
}

constexpr double kTolerance = 1e-6;  // of sums in f32

TEST(LinearForward, EqualsTheDoubleLoopInEveryFormatAndComputeType) {
  for (const Storage& storage : Storages()) {
    TestWeights weights;
    const std::vector<LinearSize> cases = CasesFor(storage.format);
    std::vector<LinearOperands> operands;
    for (const LinearSize& c : cases) operands.emplace_back(weights, c, storage);
    for (const Compute compute : kComputes) {
      SCOPED_TRACE(Cat(TextOf(storage), ", computed in ", NameOf(compute)));
      ForEach(compute, [&](CpuBackend& backend, Isa isa) {
        std::vector<float> all;
        for (size_t i = 0; i < cases.size(); ++i) {
          const LinearSize& c = cases[i];
          SCOPED_TRACE(Cat(c.tokens, " x ", c.inputs, " to ", c.outputs));
          const LinearOperands& in = operands[i];
          Tensor y = backend.New({c.tokens, c.outputs});
          backend.LinearForward(backend.FromFloats(in.x, {c.tokens, c.inputs}),
                                backend.Prepare(in.w, {}), y);
          const std::vector<float> actual = backend.ToFloats(y);
          if (compute == Compute::kInt8 && HasInt8(storage.format, isa, c.tokens)) {
            EXPECT_LT(in.int8.ErrorOf(actual), kTolerance);
          } else if (MultipliesBf16(backend, isa) && c.tokens > kVectorRows) {
            EXPECT_LT(in.bf16.ErrorOf(actual), kTolerance);
          } else {
            EXPECT_LT(in.exact.ErrorOf(actual), kTolerance);
          }
          Append(all, actual);
          if (compute != Compute::kInt8 || !HasInt8(storage.format, isa, c.tokens)) continue;
          // Beside one that is not: neither changes the other.
          Tensor other = backend.New(y.shape()), wide_input = backend.New(y.shape());
          const PreparedWeight plain = backend.Prepare(in.w, {}),
                               wide = backend.Prepare(in.w, {.sensitive = true});
          std::array products = {LinearProduct{&plain, other, {}},
                                 LinearProduct{&wide, wide_input, {}}};
          backend.LinearForwards(backend.FromFloats(in.x, {c.tokens, c.inputs}), products);
          EXPECT_EQ(backend.ToFloats(other), actual);
          EXPECT_LT(in.wide_input.ErrorOf(backend.ToFloats(wide_input)), kTolerance);
          Append(all, backend.ToFloats(wide_input));
        }
        return all;
      });
    }
  }
}

TEST(LinearInputGrad, AddsTheDoubleLoopInEveryFormatAndComputeType) {
  for (const Storage& storage : Storages()) {
    TestWeights weights;
    std::vector<LinearSize> cases = CasesFor(storage.format);
    // More than one chunk of outputs; enough columns for pieces of several panels.
    cases.push_back({20, 1100, RoundUp(96, TraitsOf(storage.format).row_step())});
    const int64_t step = TraitsOf(storage.format).row_step();
    cases.push_back({7, 33, RoundUp(1111, step)});
    cases.push_back({6, 18, RoundUp(2177, step)});
    std::vector<LinearOperands> operands;
    for (const LinearSize& c : cases) operands.emplace_back(weights, c, storage);
    for (const Compute compute : kComputes) {
      SCOPED_TRACE(Cat(TextOf(storage), ", computed in ", NameOf(compute)));
      ForEach(compute, [&](CpuBackend& backend, Isa isa) {
        std::vector<float> all;
        for (size_t i = 0; i < cases.size(); ++i) {
          const LinearSize& c = cases[i];
          SCOPED_TRACE(Cat(c.tokens, " x ", c.outputs, " back to ", c.inputs));
          const LinearOperands& in = operands[i];
          Tensor dx = backend.FromFloats(in.dx, {c.tokens, c.inputs});
          backend.LinearInputGrad(backend.FromFloats(in.dy, {c.tokens, c.outputs}),
                                  backend.Prepare(in.w, {}), dx);
          const std::vector<float> actual = backend.ToFloats(dx);
          const bool bf16 = MultipliesBf16(backend, isa);
          EXPECT_LT((bf16 ? in.bf16_grad : in.exact_grad).ErrorOf(actual), kTolerance);
          Append(all, actual);
        }
        return all;
      });
    }
  }
}

// More tokens than a panel is kept for: the second round must decode the same and write behind.
TEST(LinearForward, TakesManyTokens) {
  TestWeights weights;
  const LinearSize c{1030, 70, 40};
  const LinearOperands in(weights, c, {WeightFormat::kBF16});
  ForCpuBackends([&](CpuBackend& backend) {
    Tensor y = backend.New({c.tokens, c.outputs});
    Tensor dx = backend.FromFloats(in.dx, {c.tokens, c.inputs});
    backend.LinearForward(backend.FromFloats(in.x, {c.tokens, c.inputs}), backend.Prepare(in.w, {}),
                          y);
    backend.LinearInputGrad(backend.FromFloats(in.dy, {c.tokens, c.outputs}),
                            backend.Prepare(in.w, {}), dx);
    std::vector<float> all = backend.ToFloats(y);
    EXPECT_LT(in.exact.ErrorOf(all), kTolerance);
    EXPECT_LT(in.exact_grad.ErrorOf(backend.ToFloats(dx)), kTolerance);
    Append(all, backend.ToFloats(dx));
    return all;
  });
}

// A row's result must not depend on the rows beside it, whichever path they make it take... within
// one path: padding rows, and what stands in rows below, never reach a sum.
TEST(LinearForward, ANotANumberStaysInItsRow) {
  TestWeights weights;
  const LinearSize c{21, 80, 96};
  LinearOperands in(weights, c, {WeightFormat::kF32});
  in.x[20 * 96 + 3] = std::numeric_limits<float>::quiet_NaN();
  CpuBackend backend(1, Compute::kF32);
  Tensor y = backend.New({c.tokens, c.outputs});
  backend.LinearForward(backend.FromFloats(in.x, {c.tokens, c.inputs}), backend.Prepare(in.w, {}),
                        y);
  const std::vector<float> actual = backend.ToFloats(y);
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(std::isnan(actual[i]), i >= size_t{20 * 80}) << i;
  }
}

// Of weights as a runner holds them a token's logits do not depend on what is computed beside it.
TEST(LinearForward, ResidentInt8RowsDoNotDependOnTheirNumber) {
  TestWeights weights;
  constexpr int64_t kMost = 40, kIn = 1056, kOut = 75;
  const std::vector<float> x = RandomFloats(kMost * kIn, 1),
                           values = RandomFloats(kOut * kIn, 2, 0.05);
  const auto run = [&](CpuBackend& backend, const PreparedWeight& w) {
    const auto product = [&](int64_t first, int64_t rows) {
      const std::span in(x.data() + first * kIn, static_cast<size_t>(rows * kIn));
      LinearProduct p{&w, backend.New({rows, kOut}), {}};
      backend.LinearForwards(backend.FromFloats(in, {rows, kIn}), {&p, 1});
      return backend.ToFloats(p.y);
    };
    std::vector<float> alone;
    for (int64_t t = 0; t < kMost; ++t) Append(alone, product(t, 1));
    if (w.as<CpuWeight>().weight.layout() != WeightLayout::kStrips) return alone;
    for (const int64_t rows : {2, 3, 6, 7, 13, 40}) {
      EXPECT_EQ(product(0, rows), std::vector<float>(alone.begin(), alone.begin() + rows * kOut))
          << rows;
    }
    return alone;
  };
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    const Weight stored = weights.Make(format, kOut, kIn, values);
    const auto both = [&](CpuBackend& backend) {
      const PreparedWeight w = backend.Prepare(stored, {.lasting = true});
      EXPECT_EQ(w.as<CpuWeight>().weight.layout() == WeightLayout::kStrips,
                backend.isa() == Isa::kAvx512 && CpuHasVnni());
      std::vector<float> all = run(backend, w);
      Append(all, run(backend, backend.Prepare(stored, {.sensitive = true, .lasting = true})));
      return all;
    };
    ForCpuBackends(both, Compute::kInt8);
  }
}

std::vector<float> PartOf(const std::vector<float>& values, int64_t begin, int64_t count) {
  return {values.begin() + begin, values.begin() + begin + count};
}

// Beside int8 products also those of other formats, and of adapters, as a runner holds them.
TEST(LinearForward, SteadyRowsDoNotDependOnTheirNumber) {
  TestWeights weights;
  constexpr int64_t kMost = 40, kIn = 1280, kOut = 75, kRank = 8;
  const std::vector<float> x = RandomFloats(kMost * kIn, 1),
                           values = RandomFloats(kOut * kIn, 2, 0.05);
  for (const WeightFormat format : AllFormats()) {
    SCOPED_TRACE(TraitsOf(format).name);
    const Weight stored = weights.Make(format, kOut, kIn, values);
    const auto both = [&](CpuBackend& backend) {
      const WeightUse use{.purpose = WeightUse::Purpose::kRunning, .lasting = true};
      const PreparedWeight w = backend.Prepare(stored, use);
      backend.Prepare(weights.Make(WeightFormat::kQ8_0, kOut, kIn, values), use);
      const Tensor a = backend.FromFloats(RandomFloats(kRank * kIn, 3), {kRank, kIn}),
                   b = backend.FromFloats(RandomFloats(kOut * kRank, 4), {kOut, kRank});
      const auto product = [&](int64_t first, int64_t rows, bool adapter) {
        const std::span in(x.data() + first * kIn, static_cast<size_t>(rows * kIn));
        const Tensor input = backend.FromFloats(in, {rows, kIn});
        LinearProduct p{&w, backend.New({rows, kOut}), {}};
        if (adapter) p.adapter = {a, b, 0.5f, input, backend.New({rows, kRank})};
        backend.LinearForwards(input, {&p, 1});
        return backend.ToFloats(p.y);
      };
      // The adapter is added to the last rows of a product, from row `from` on: those.
      const auto partly = [&](int64_t rows, int64_t from) {
        const std::span in(x.data(), static_cast<size_t>(rows * kIn));
        const Tensor input = backend.FromFloats(in, {rows, kIn});
        LinearProduct p{&w, backend.New({rows, kOut}), {}};
        backend.LinearForwards(input, {&p, 1});
        const int64_t count = rows - from;
        AdapterProduct added{a, b, 0.5f, input.RowRange(from, count), backend.New({count, kRank})};
        Tensor y = p.y.RowRange(from, count);
        backend.AddAdapter(w, added, y);
        return backend.ToFloats(y);
      };
      std::vector<float> all;
      for (const bool adapter : {false, true}) {
        std::vector<float> alone;
        for (int64_t t = 0; t < kMost; ++t) Append(alone, product(t, 1, adapter));
        // Without strips, products choose their kernel by the number of rows.
        const bool steady = backend.isa() == Isa::kAvx512 && CpuHasVnni();
        for (const int64_t rows : {2, 3, 4, 5, 16, 17, 33, 40}) {
          if (!steady) continue;
          EXPECT_EQ(product(0, rows, adapter),
                    std::vector<float>(alone.begin(), alone.begin() + rows * kOut))
              << rows << ", adapter " << adapter;
        }
        // Rows that have the adapter beside others that have none.
        const int64_t rows = steady ? kMost : 16, from = rows - 3;
        if (adapter) {
          EXPECT_EQ(partly(rows, from), PartOf(alone, from * kOut, 3 * kOut));
        }
        Append(all, alone);
      }
      return all;
    };
    ForCpuBackends(both, Compute::kInt8);
  }
}

// Quantised activations stay close to the exact product, for a few rows and for many.
TEST(LinearForward, Int8StaysWithinAPercentOfExact) {
  TestWeights weights;
  CpuBackend backend(2, Compute::kInt8);
  for (const LinearSize& c : {LinearSize{6, 100, 512}, LinearSize{20, 100, 512}}) {
    for (const WeightFormat format : AllFormats()) {
      if (!HasInt8(format, backend.isa(), c.tokens)) continue;
      SCOPED_TRACE(Cat(TraitsOf(format).name, ", ", c.tokens, " rows"));
      const LinearOperands in(weights, c, {format});
      const auto error = [&](bool sensitive) {
        Tensor y = backend.New({c.tokens, c.outputs});
        backend.LinearForward(backend.FromFloats(in.x, {c.tokens, c.inputs}),
                              backend.Prepare(in.w, {.sensitive = sensitive}), y);
        return RelativeError(backend.ToFloats(y), in.exact.values);
      };
      const double plain = error(false);
      EXPECT_LT(plain, 0.01);
      EXPECT_GT(plain, 1e-4);  // or it was not int8 at all
      EXPECT_LT(error(true), plain / 50);
    }
  }
}

TEST(Gemm, EqualsTheDoubleLoop) {
  struct Shape3 {
    int64_t m, n, k;
  };
  const Shape3 shapes[] = {{1, 1, 1},      {3, 5, 7},      {130, 8, 65}, {8, 600, 129},
                           {172, 172, 64}, {16, 700, 300}, {700, 16, 40}};
  ForCpuBackends([&](CpuBackend& backend) {
    std::vector<float> all;
    for (const auto& [m, n, k] : shapes) {
      const std::vector<float> a = RandomFloats(m * k, 1), b = RandomFloats(k * n, 2);
      const std::vector<float> before = RandomFloats(m * n, 3);
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          for (const float beta : {0.0f, 1.0f, -0.5f}) {
            SCOPED_TRACE(Cat(m, " ", n, " ", k, " ", ta, tb, " beta ", beta));
            std::vector<double> expected;
            for (int64_t i = 0; i < m * n; ++i) {
              double sum = 0;
              for (int64_t l = 0; l < k; ++l) {
                const int64_t row = i / n, col = i % n;
                sum += static_cast<double>(a[ta ? l * m + row : row * k + l]) *
                       b[tb ? col * k + l : l * n + col];
              }
              expected.push_back(0.75 * sum + (beta == 0 ? 0 : beta * before[i]));
            }
            std::vector<float> start = before;
            // With beta = 0 what was there does not count, not even a NaN.
            if (beta == 0) start[0] = std::numeric_limits<float>::quiet_NaN();
            Tensor c = backend.FromFloats(start, {m, n});
            backend.Gemm(ta, tb, 0.75f, backend.FromFloats(a, ta ? Shape{k, m} : Shape{m, k}),
                         backend.FromFloats(b, tb ? Shape{n, k} : Shape{k, n}), beta, c);
            const std::vector<float> actual = backend.ToFloats(c);
            EXPECT_LT(RelativeError(actual, expected), 3 * kTolerance);
            Append(all, actual);
          }
        }
      }
    }
    return all;
  });
}

TEST(EmbedRows, GivesDecodedRows) {
  for (const Storage& storage : Storages()) {
    TestWeights weights;
    const int64_t cols = RoundUp(96, TraitsOf(storage.format).row_step());
    const LinearOperands in(weights, {1, 50, cols}, storage);
    const std::vector<int32_t> ids = {0, 49, 7, 7, 31};
    ForCpuBackends([&](CpuBackend& backend) {
      Tensor out = backend.New({5, cols});
      backend.EmbedRows(backend.Prepare(in.w, {}), backend.Upload(ids), out);
      const std::vector<float> actual = backend.ToFloats(out);
      for (size_t i = 0; i < ids.size(); ++i) {
        for (int64_t c = 0; c < cols; ++c) {
          EXPECT_EQ(actual[i * static_cast<size_t>(cols) + static_cast<size_t>(c)],
                    in.values[static_cast<size_t>(ids[i] * cols + c)]);
        }
      }
      return actual;
    });
  }
}

TEST(Products, RefuseSizesThatDoNotFit) {
  TestWeights weights;
  const LinearOperands in(weights, {1, 8, 32}, {WeightFormat::kF32});
  CpuBackend backend(1, Compute::kF32);
  Tensor y = backend.New({2, 8}), short_y = backend.New({2, 7}), x = backend.Zeros({2, 32});
  const PreparedWeight w = backend.Prepare(in.w, {});
  EXPECT_THROW(backend.LinearForward(x, w, short_y), Error);
  EXPECT_THROW(backend.LinearForward(y, w, y), Error);
  EXPECT_THROW(backend.LinearInputGrad(y, w, short_y), Error);
  EXPECT_THROW(backend.Gemm(false, false, 1, x, x, 0, y), Error);
  Tensor out = backend.New({1, 32});
  EXPECT_THROW(backend.EmbedRows(w, backend.Upload(std::vector<int32_t>{8}), out), Error);
  EXPECT_THROW(backend.EmbedRows(w, backend.Upload(std::vector<int32_t>{-1}), out), Error);
}

TEST(MakeBackend, KnowsItsDevices) {
  EXPECT_EQ(MakeBackend({.device = "auto", .threads = 1})->name(), "cpu");
  EXPECT_EQ(MakeBackend({.device = "cpu", .threads = 3})->threads(), 3);
  const auto kind = [](const std::string& device) {
    try {
      MakeBackend({.device = device});
    } catch (const Error& e) {
      return e.kind();
    }
    return Error::Kind::kBug;
  };
  EXPECT_EQ(kind("gpu"), Error::Kind::kInput);
  EXPECT_EQ(kind("cuda:x"), Error::Kind::kInput);
  EXPECT_EQ(kind("cuda:-1"), Error::Kind::kInput);
  EXPECT_EQ(kind("cuda"), Error::Kind::kFailure);
  EXPECT_EQ(kind("cuda:1"), Error::Kind::kFailure);
}

}  // namespace
}  // namespace retort
