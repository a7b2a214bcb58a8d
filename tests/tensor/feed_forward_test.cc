// SPDX-License-Identifier: Apache-2.0
// A feed-forward layer in one call gives the same bits as separate products and activation.
#include "tests/tensor/weights.h"

namespace retort {
namespace {

struct Layer {
  Weight gate, up, down;
};

class FeedForward : public testing::Test {
 protected:
  Layer Make(WeightFormat format, bool strips, int64_t in, int64_t hidden, int64_t out) {
    const auto weight = [&](int64_t rows, int64_t cols, uint64_t seed) {
      const Weight w = weights_.Make(format, rows, cols, RandomFloats(rows * cols, seed, 0.2));
      return strips ? weights_.InStrips(w) : w;
    };
    return {weight(hidden, in, 1), weight(hidden, in, 2), weight(out, hidden, 3)};
  }

  static std::vector<float> Run(Backend& b, const Layer& w, const std::vector<float>& x,
                                int64_t rows, bool wide_input, bool at_once,
                                Activation f = Activation::kSilu, bool lasting = false) {
    const WeightUse use{.sensitive = wide_input, .lasting = lasting};
    const PreparedWeight gate = b.Prepare(w.gate, use), up = b.Prepare(w.up, use),
                         down = b.Prepare(w.down, use);
    const Tensor in = b.FromFloats(x, {rows, w.gate.cols()});
    Tensor y = b.New({rows, w.down.rows()});
    b.Fill(y, NAN);
    at_once ? b.FeedForward(f, in, gate, up, down, y)
            : b.Backend::FeedForward(f, in, gate, up, down, y);
    return b.ToFloats(y);
  }

  TestWeights weights_;
};

TEST_F(FeedForward, GivesTheBitsOfOneStepAfterTheOther) {
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    for (const bool strips : {false, true}) {
      const Layer w =
          Make(format, strips, 96, 416, 70);  // 13 strips, and 2 with one that is cut short
      for (const bool wide_input : {false, true}) {
        for (const int64_t rows : {1, 2, 3, 4, 6, 7, 20}) {
          SCOPED_TRACE(testing::Message() << TraitsOf(format).name << ", strips " << strips
                                          << ", wide_input " << wide_input << ", rows " << rows);
          std::vector<float> x = RandomFloats(rows * 96, 4);
          std::fill_n(x.begin(), 32, 0.0f);  // a block without a scale
          ForCpuBackends(
              [&](CpuBackend& cpu) {
                const std::vector<float> got = Run(cpu, w, x, rows, wide_input, true);
                EXPECT_EQ(got, Run(cpu, w, x, rows, wide_input, false));
                return got;
              },
              Compute::kInt8);
        }
      }
    }
  }
}

TEST_F(FeedForward, GatesWithTheActivationThatItIsGiven) {
  const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  const Layer w = Make(WeightFormat::kQ8_0, true, 96, 416, 70),
              plain = Make(WeightFormat::kQ8_0, false, 96, 416, 70);
  const std::vector<float> x = RandomFloats(3 * 96, 6);
  for (const Activation f :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu2}) {
    SCOPED_TRACE(static_cast<int>(f));
    const std::vector<float> exact = Run(*reference, plain, x, 3, true, true, f);
    const std::vector<double> want(exact.begin(), exact.end());
    ForCpuBackends(
        [&](CpuBackend& cpu) {
          const std::vector<float> got = Run(cpu, w, x, 3, true, true, f);
          EXPECT_EQ(got, Run(cpu, w, x, 3, true, false, f));
          EXPECT_LT(RelativeError(got, want), 5e-4);  // 15 bits of the activations
          return got;
        },
        Compute::kInt8);
  }
}

// Both factors to 8 bits, or to 15, where they were floats; the weights' values are the same on
// both sides.
TEST_F(FeedForward, IsNearTheReference) {
  const std::vector<float> x = RandomFloats(3 * 96, 5);
  const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  CpuBackend cpu(2, Compute::kInt8);
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    const Layer w = Make(format, false, 96, 416, 70);
    const std::vector<float> exact = Run(*reference, w, x, 3, false, true);
    const std::vector<double> want(exact.begin(), exact.end());
    EXPECT_LT(RelativeError(Run(cpu, w, x, 3, false, true, Activation::kSilu, true), want), 2e-2);
    EXPECT_LT(RelativeError(Run(cpu, w, x, 3, true, true, Activation::kSilu, true), want), 1e-4);
  }
}

TEST_F(FeedForward, RefusesWeightsThatDoNotMeet) {
  CpuBackend cpu(1, Compute::kInt8);
  const Layer stored = Make(WeightFormat::kQ8_0, true, 64, 96, 32),
              other = Make(WeightFormat::kQ8_0, true, 64, 64, 32);
  const PreparedWeight gate = cpu.Prepare(stored.gate, {}), up = cpu.Prepare(stored.up, {}),
                       down = cpu.Prepare(stored.down, {});
  const Tensor x = cpu.Zeros({1, 64});
  Tensor y = cpu.New({1, 32}), narrow = cpu.New({1, 31});
  EXPECT_NO_THROW(cpu.FeedForward(Activation::kSilu, x, gate, up, down, y));
  EXPECT_THROW(cpu.FeedForward(Activation::kSilu, x, gate, cpu.Prepare(other.up, {}), down, y),
               Error);
  EXPECT_THROW(cpu.FeedForward(Activation::kSilu, x, gate, up, cpu.Prepare(other.down, {}), y),
               Error);
  EXPECT_THROW(cpu.FeedForward(Activation::kSilu, x, gate, up, down, narrow), Error);
}

}  // namespace
}  // namespace retort
