// SPDX-License-Identifier: Apache-2.0
// A NaN or an infinity is never lost: not in activations that are quantised, not in an activation
// function or a divergence, and not in weights, which are searched before they are quantised.
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "tensor/cpu/products.h"
#include "tensor/quant/finite.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                kInfinity = std::numeric_limits<float>::infinity();
constexpr std::array<float, 4> kOdd = {kNan, -kNan, kInfinity, -kInfinity};

std::vector<Isa> IsasHere() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa <= HostIsa()) isas.push_back(isa);
  }
  return isas;
}

// Row `row` of y [rows, out] holds no finite number, the others only such.
void ExpectOddRow(const std::vector<float>& y, int64_t out, int64_t row) {
  for (size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(std::isfinite(y[i]), static_cast<int64_t>(i) / out != row)
        << "row " << static_cast<int64_t>(i) / out << " holds " << y[i];
  }
}

// In every place of a row, for each kernel: rows or strips, a few rows or many, 8 or 15 bits.
TEST(NotANumber, MakesAnInt8RowOdd) {
  constexpr int64_t kIn = 96, kOut = 70;
  TestWeights weights;
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    const Weight w = weights.Make(format, kOut, kIn, RandomFloats(kOut * kIn, 1, 0.2));
    for (const Isa isa : IsasHere()) {
      CpuBackend cpu(1, Compute::kInt8);
      cpu.set_isa(isa);
      for (const bool lasting : {false, true}) {
        for (const bool wide : {false, true}) {
          const PreparedWeight prepared = cpu.Prepare(w, {.sensitive = wide, .lasting = lasting});
          for (const int64_t rows : {1, 3, 40}) {
            SCOPED_TRACE(Cat(TraitsOf(format).name, ", isa ", static_cast<int>(isa), ", lasting ",
                             lasting, ", wide ", wide, ", rows ", rows));
            const int64_t row = rows / 2;
            for (int64_t place = 0; place < kIn; place += rows == 40 ? 5 : 1) {
              std::vector<float> x = RandomFloats(rows * kIn, 2);
              x[static_cast<size_t>(row * kIn + place)] = kOdd[static_cast<size_t>(place) % 4];
              Tensor y = cpu.New({rows, kOut});
              cpu.LinearForward(cpu.FromFloats(x, {rows, kIn}), prepared, y);
              ExpectOddRow(cpu.ToFloats(y), kOut, row);
              if (testing::Test::HasFatalFailure()) return;
            }
          }
        }
      }
    }
  }
}

TEST(NotANumber, PassesThroughEveryActivation) {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(MakeReferenceBackend());
  for (const Isa isa : IsasHere()) {
    auto cpu = std::make_unique<CpuBackend>(1, Compute::kF32);
    cpu->set_isa(isa);
    backends.push_back(std::move(cpu));
  }
  for (const auto& b : backends) {
    for (const Activation f :
         {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu2}) {
      for (size_t at = 0; at < 21; ++at) {
        std::vector<float> gate = RandomFloats(21, 3);
        gate[at] = kNan;
        Tensor y = b->New({1, 21});
        b->GatedActivation(f, b->FromFloats(gate, {1, 21}),
                           b->FromFloats(RandomFloats(21, 4), {1, 21}), y);
        const std::vector<float> got = b->ToFloats(y);
        for (size_t i = 0; i < got.size(); ++i)
          EXPECT_EQ(std::isnan(got[i]), i == at) << b->name() << ", " << static_cast<int>(f);
      }
    }
  }
}

// A teacher's NaN makes the divergence NaN, whatever the divergence and wherever it is.
TEST(NotANumber, OfATeacherMakesTheDivergenceNan) {
  constexpr int64_t kVocab = 37;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(MakeReferenceBackend());
  for (const Isa isa : IsasHere()) {
    auto cpu = std::make_unique<CpuBackend>(1, Compute::kF32);
    cpu->set_isa(isa);
    backends.push_back(std::move(cpu));
  }
  for (const auto& b : backends) {
    for (const Divergence d : {Divergence::kForwardKl, Divergence::kReverseKl, Divergence::kJsd,
                               Divergence::kTotalVariation, Divergence::kSorted}) {
      const Tensor ce = b->New({1}, DType::kF64), kd = b->New({1}, DType::kF64),
                   losses = b->New({1}, DType::kF64);
      const DistillTokens tokens{b->Upload(std::vector<int32_t>{3}),
                                 b->Upload(std::vector<float>{0.5f}),
                                 b->Upload(std::vector<float>{0.5f}),
                                 1,
                                 ce,
                                 kd,
                                 losses};
      const auto expect_nan = [&](const std::string& what) {
        EXPECT_TRUE(std::isfinite(b->ToDoubles(ce)[0])) << what;
        EXPECT_TRUE(std::isnan(b->ToDoubles(kd)[0])) << what << ": " << b->ToDoubles(kd)[0];
        EXPECT_TRUE(std::isnan(b->ToDoubles(losses)[0])) << what;
      };
      for (const bool gradient : {false, true}) {
        for (int64_t at = 0; at < kVocab; ++at) {
          std::vector<float> logits = RandomFloats(kVocab, 6);
          logits[static_cast<size_t>(at)] = kNan;
          Tensor z = b->FromFloats(RandomFloats(kVocab, 5), {1, kVocab}),
                 t = b->FromFloats(logits, {1, kVocab});
          b->Distill({d, 0.3f, 1}, tokens, gradient, z, t);
          expect_nan(Cat(b->name(), ", divergence ", static_cast<int>(d), ", place ", at));
        }
        if (d == Divergence::kSorted) continue;
        for (size_t at = 0; at < 3; ++at) {
          std::vector<float> kept = {-1.0f, -1.5f, -1.3f};  // and the tail
          kept[at] = kNan;
          Tensor z = b->FromFloats(RandomFloats(kVocab, 5), {1, kVocab});
          b->DistillTop({d, 0.3f, 1}, tokens, gradient, z,
                        {2, kVocab, b->Upload(std::vector<int32_t>{4, 30}),
                         b->Upload(std::vector<float>{kept[0], kept[1]}),
                         b->Upload(std::vector<float>{kept[2]})});
          expect_nan(Cat(b->name(), ", top, divergence ", static_cast<int>(d), ", place ", at));
        }
      }
    }
  }
}

TEST(NotANumber, IsFoundInWeightsOfEveryFloatFormat) {
  ThreadPool pool(2);
  TestWeights weights;
  constexpr int64_t kRows = 300, kCols = 1037;  // several pieces, a tail
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16}) {
    std::vector<float> values = RandomFloats(kRows * kCols, 7);
    EXPECT_FALSE(FirstNotFinite(weights.Make(format, kRows, kCols, values), pool));
    for (const int64_t at : {kRows * kCols - 1, 299 * kCols, 250 * kCols + 1030, int64_t{17}}) {
      const float odd = kOdd[static_cast<size_t>(at) % 4];
      values[static_cast<size_t>(at)] = odd;
      const auto found = FirstNotFinite(weights.Make(format, kRows, kCols, values), pool);
      ASSERT_TRUE(found) << at;
      EXPECT_EQ(found->row * kCols + found->col, at);
      EXPECT_EQ(std::isnan(found->value), std::isnan(odd));
    }
  }
}

// The scale of a block, where it is an f16: in files it may be NaN or infinite. All halves of the
// block become it, wherever the scale is.
TEST(NotANumber, IsFoundInTheScalesOfBlocks) {
  ThreadPool pool(1);
  TestWeights weights;
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (f.block_elements == 1 || f.alignment != alignof(F16)) continue;
    const int64_t cols = 4 * f.row_step();
    for (const uint16_t bits : {0x7e00, 0x7c00, 0xfc00}) {
      const Weight w = weights.Make(format, 5, cols, RandomFloats(5 * cols, 8));
      std::vector<std::byte> bytes(w.bytes().begin(), w.bytes().end());
      std::byte* block = bytes.data() + (4 * 3 + 2) * f.block_bytes;  // row 3, block 2
      for (int at = 0; at < f.block_bytes; at += 2) std::memcpy(block + at, &bits, 2);
      const auto found = FirstNotFinite(Weight(format, 5, cols, bytes, nullptr), pool);
      ASSERT_TRUE(found) << f.name;
      EXPECT_EQ(found->row, 3) << f.name;
      EXPECT_EQ(found->col / f.block_elements, 2) << f.name;
    }
  }
}

TEST(NotANumber, MakesItsNf4BlockOdd) {
  TestWeights weights;
  for (const bool twice : {false, true}) {
    for (int64_t at = 64; at < 128; ++at) {
      std::vector<float> values = RandomFloats(4 * 64, 9);
      values[static_cast<size_t>(at)] = kOdd[static_cast<size_t>(at) % 4];
      const Weight w = weights.Make(WeightFormat::kNF4, 4, 64, values, twice);
      std::array<float, 64> block;
      DecodeRow(w, 1, 0, 64, block.data());
      EXPECT_FALSE(std::isfinite(block[static_cast<size_t>(at) - 64])) << at;
    }
  }
}

TEST(NotANumber, IsToldWithItsPlace) {
  ThreadPool pool(1);
  TestWeights weights;
  const Weight w = weights.Make(WeightFormat::kF32, 2, 2, {1, 2, 3, kInfinity});
  try {
    CheckFinite(w, "model.safetensors", "'a.weight'", 10, pool);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_EQ(std::string(e.what()).find(
                  "model.safetensors: tensor 'a.weight' holds inf at row 11, column 1"),
              0u)
        << e.what();
  }
}

}  // namespace
}  // namespace retort
