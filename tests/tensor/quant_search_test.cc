// SPDX-License-Identifier: Apache-2.0
// Formats whose scales and codes are found by a search, beside ggml.
#include <gtest/gtest.h>

#include "base/file.h"
#include "tensor/quant/quant.h"
#include "tests/tensor/awkward_matrix.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

constexpr int64_t kRow = 256;  // whole blocks of every format

// SHA-256 of what ggml 0.25.1 makes of AwkwardMatrix() and SpecialBlocks(), in rows of 256:
// ggml_quantize_chunk, which `llama-quantize` calls, and dequantize_row_*.
struct Expected {
  std::string_view format;
  std::string_view awkward;     // blocks
  std::string_view values;      // of these blocks, zeros being positive
  std::string_view special;     // blocks
  std::string_view importance;  // blocks of the awkward matrix, by Importance()
};
constexpr Expected kExpected[] = {
    {"q2_k", "c18afdbaa1df5744941c87ca76e44b421b3f1a5005647e659bcd4284f92561ac",
     "da100a42acd3a1bd0d396f5d33df938e507ee6267429488d285891db5de92294",
     "e1a3447a515ef39107695ef52b13bf48b15c2e28c6a7b9ff5cebe57e7e8a7354",
     "e3f380c0f9d7525793b11ac5feaa6cd78b996fd6ab2214c171b49569920a7c45"},
    {"q3_k", "38f82226fade1908e21bfddef36130cafd8be995e5e34b775e067f323351a204",
     "96ddf26ab10cf73982043a58dde709e930aadf04a0175bad83ae9af70378bafe",
     "37723821f832d5bae80c6d6aa7bc0428442187771a3e53942c63cd2a0fec3166",
     "175e3700c3abe09aa21ad3d3c5cbe1cced03fa8ba44acda1274352f4e30d1004"},
    {"q4_k", "07122d1ba8602cea2e9ce5fe1afdb8163ed9b8dc0ecccda2d0d54828f9dacec5",
     "f5eb671eadfb607b1f475d8a5a3d524b23f2d6c5c0f2f45e521c3cfc9ca4f1b1",
     "f25d3593a01a40f3c9b2e6ef3c6f58adb3671d1400ed2c2944e3876cf65290f0",
     "587e6c95c8ffa5f3b71865d2e2705b0a86dadcfbc450fabd8ab8a13684ef451a"},
    {"q5_k", "5657f1ad3ed72c25e4c52714d8bc51416cb122dfebb5a425ea4391a7baf5459d",
     "a5e9fd08d35e3b5c818975721941d4a8882dc13526128409fb6e4b7d7726bfe4",
     "a479a9b2d50db48cd8f26c63e6800257f4a03f8483220fcfe06eadc4b7acea62",
     "f5581888e2d549399835fd443f393fc9c4a37d0c80f8b858899bb166c9814b3f"},
    {"q6_k", "7e4380ec67a608e3eb36d7007de463c1c325f811920bfdf8c358922ef7e498df",
     "7530202dbaed27b81bbdb86c8456c722879a8e063a0ebe799e2b3b29b0394915",
     "645fcafc42af0e0ee3f87bd3b8a0cb9c140c84ca7a86d991c1733a9c96914c6a",
     "613dcbe2993d2f2ce2789cb681be7aa95518036e91c9247afa9d72b01954e420"},
    {"iq4_nl", "453f2b3f79c2507cda4f48a61dc6adeeb218680265291e0bb4caacf6250e37e3",
     "bdde0aa73a33a0f51336a6107f1950d6f86405ed4f86eae6326d2feab9b6dfdd",
     "8bfeab0db703ef9e38e305e5de959f04b316582552c10fd42da860ad8458db24",
     "4e7288a49ae8cd62187e88773d834fb59f8b0168c95d81df11d5c657ff425fb5"},
    {"iq4_xs", "9a2991ab4a3a384f6c04b18aaabd008337f7985aeeb19ad8a7633d867a445695",
     "ff3a7b13107641e7b8e44c57b8df4c6be893ee0946910c337cd1634623b5fac1",
     "28513072773e94cc0842c7ebf6dbf42605374c1a67387e7a3308e3cd9072eec4",
     "cc9bca4878329370bd772d5a2ed3ab6573cbdf887412f6f4e364e14a17302021"},
};

std::vector<float> Importance() {
  std::vector<float> out;
  for (int c = 0; c < kRow; ++c) {
    const auto root = static_cast<float>(c * 7 % 13);
    out.push_back(root * root / 8);
  }
  return out;
}

std::vector<std::byte> Encoded(WeightFormat format, const std::vector<float>& values,
                               const float* importance = nullptr) {
  const int64_t rows = std::ssize(values) / kRow, bytes = RowBytes(format, kRow);
  std::vector<std::byte> out(static_cast<size_t>(rows * bytes));
  for (int64_t r = 0; r < rows; ++r)
    EncodeRow(format, values.data() + r * kRow, kRow, out.data() + r * bytes, importance);
  return out;
}

TEST(Search, ChoosesTheBytesOfTheDefiningProgram) {
  const std::vector<float> matrix = AwkwardMatrix(), importance = Importance();
  for (const Expected& e : kExpected) {
    SCOPED_TRACE(e.format);
    const WeightFormat format = FormatNamed(e.format);
    const std::vector<std::byte> blocks = Encoded(format, matrix);
    EXPECT_EQ(Sha256(blocks), e.awkward);
    EXPECT_EQ(Sha256(Encoded(format, SpecialBlocks())), e.special);
    EXPECT_EQ(Sha256(Encoded(format, matrix, importance.data())), e.importance);
    const Weight w(format, std::ssize(matrix) / kRow, kRow, blocks, nullptr);
    std::vector<float> values(matrix.size());
    for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, kRow, values.data() + r * kRow);
    for (float& v : values) v += 0.0f;
    EXPECT_EQ(Sha256(std::as_bytes(std::span(values))), e.values);
  }
}

TEST(Search, GivesTheSameBytesWithEveryInstructionSet) {
  const std::vector<float> matrix = AwkwardMatrix(), importance = Importance();
  for (const Expected& e : kExpected) {
    SCOPED_TRACE(e.format);
    const BlockFormat& f = TraitsOf(FormatNamed(e.format));
    std::vector<std::byte> portable(static_cast<size_t>(RowBytes(FormatNamed(e.format), kRow)));
    std::vector<std::byte> other = portable;
    for (int64_t r = 0; r < std::ssize(matrix) / kRow; ++r) {
      const float* row = matrix.data() + r * kRow;
      f.encode(Isa::kPortable, row, importance.data(), kRow, portable.data());
      for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
        if (isa > HostIsa()) continue;
        f.encode(isa, row, importance.data(), kRow, other.data());
        EXPECT_EQ(portable, other) << r;
      }
    }
  }
}

}  // namespace
}  // namespace retort
