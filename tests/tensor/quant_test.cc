// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/quant.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/file.h"
#include "base/hex.h"
#include "tensor/quant/blocks.h"
#include "tensor/quant/decode.h"
#include "tests/tensor/awkward_matrix.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

std::string Sha256OfFloats(std::vector<float> values) {
  for (float& v : values) v += 0.0f;  // zeros of one sign
  return Sha256(std::as_bytes(std::span(values)));
}

// The sums of ggml's formats are of the tensor's bytes in the file that llama.cpp's
// `llama-quantize --pure` made of this matrix as an F32 GGUF (version 0.25.1 of its ggml); those
// of f16 and bf16, of NumPy's and PyTorch's conversion. Those of q4_1, q5_0 and q5_1 are of
// what ggml_quantize_chunk made, which that program calls.
TEST(Encode, BytesEqualThoseOfOtherPrograms) {
  const std::vector<float> matrix = AwkwardMatrix();
  ASSERT_EQ(Sha256(std::as_bytes(std::span(matrix))), kAwkwardSha256);
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"q8_0", "9a993766c0cf6854fbed8fe2fb942bf7a2206196790224a61f7a0cb18b515e9b"},
      {"q4_0", "3adc8c76d6955a607374641f0102a20c3c5a8b3319262a0d853df042b37a8f81"},
      {"q4_1", "8e65a42e3748dbea29e499985156a0bdb286a1ae00c954b80ccbd6a85e247c9d"},
      {"q5_0", "1e44487e333566b6a5b852aa336135422e8f6e92d66ed0f7340c43ff6a8ce993"},
      {"q5_1", "a005973a1b49ff6b02f7d8c24a54bcaad3ebec54808132c855e06ad6c1fb06b8"},
      {"f16", "bbc3bd5675837468b54e2012d94fcee3bd7f386b24ba9da1589bceb9a19ce556"},
      {"bf16", "d5436c2ea7cfea5f7f728da31b6d270d8a1af8a07939154f88e8e2482cb3ba01"},
  };
  TestWeights weights;
  const Weight source = weights.Make(WeightFormat::kF32, kAwkwardRows, kAwkwardCols, matrix);
  for (const auto& [name, sum] : expected) {
    SCOPED_TRACE(name);
    EXPECT_EQ(Sha256(weights.Converted(source, FormatNamed(name)).bytes()), sum);
  }
}

std::string HexOf(Bytes bytes) {
  return HexText(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// A line a block, as ggml_quantize_chunk, which `llama-quantize --pure` calls, wrote it (ggml
// 0.25.1).
TEST(Encode, BlocksHaveTheBytesOfTheDefiningProgram) {
  const std::vector<float> values = SpecialBlocks();
  const std::pair<std::string_view, std::string> expected[] = {
      {"q4_1",
       "0000000000000000000000000000000000000000"
       "0000008000000000000000000000000000000000"
       "0000cd3400000000000000000000000000000000"
       "000000be00000000000000000000000000000000"
       "003c0000809191a2a2b3b3c4c4d5d5e6e6f7f7f8"
       "444000cc04ff80f4009f05ff90f600af07ffb0f7"
       "222880b080809191a2a2b3b3c4c4d5d5e6e6f7f7"
       "0000008000000000000000000000000000000000"},
      {"q5_0",
       "0080ffffffff00000000000000000000000000000000"
       "0080ffffffff00000000000000000000000000000000"
       "cda40000000000000000000000000000000000000000"
       "002e0000000000000000000000000000000000000000"
       "80bb01000000707f6f6e5e5d4d4c3c3b2b2a1a190908"
       "00bc5dd75114f800ff07ffe0f500cf04ffb0f2009f01"
       "80a5ff030000b7a695948473726151404f3f2e1d1c0c"
       "00000000000000000000000000000000000000000000"},
      {"q5_1",
       "000000000000000000000000000000000000000000000000"
       "000000800000000000000000000000000000000000000000"
       "0000cd340000000000000000000000000000000000000000"
       "000000be0000000000000000000000000000000000000000"
       "be3700000080ffff102132435465768798a9bacbdcedfef0"
       "213c00cca228aeeb08ff00f9002f0bff30fc005f0eff60ff"
       "002480b00000ffff00112233445566778899aabbccddeeff"
       "000000800000000000000000000000000000000000000000"},
  };
  TestWeights weights;
  const Weight source = weights.Make(WeightFormat::kF32, 4, 64, values);
  for (const auto& [name, bytes] : expected) {
    SCOPED_TRACE(name);
    EXPECT_EQ(HexOf(weights.Converted(source, FormatNamed(name)).bytes()), bytes);
  }
}

// With the bytes known to be right, this shows that decoding finds each value at its place.
TEST(Encode, DecodesToNearlyTheSameValues) {
  TestWeights weights;
  const std::vector<float> values = RandomFloats(8 * 512, 11);
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (f.block_elements == 1 || !(f.encode || f.convert)) continue;
    SCOPED_TRACE(f.name);
    const std::vector<float> decoded =
        Decoded(weights.Converted(weights.Make(WeightFormat::kF32, 8, 512, values), format));
    const int bits = 8 * f.block_bytes / f.block_elements;  // of a value, of which one is its sign
    // MXFP4's largest level may be 3/4 of the largest magnitude; FP4's largest two are far apart.
    const double steps = f.name == "mxfp4" || f.name == "fp4" ? 2 : 1.25;
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t begin = i / f.block_elements * f.block_elements;
      float top = 0;
      for (size_t j = begin; j < begin + f.block_elements; ++j)
        top = std::max(top, std::abs(values[j]));
      ASSERT_NEAR(decoded[i], values[i], steps * top / (1 << (bits - 1))) << i;
    }
  }
}

TEST(Encode, GivesTheSameBytesWithEveryInstructionSet) {
  std::vector<float> values = AwkwardMatrix();
  for (const float v : SpecialBlocks()) values.push_back(v);
  const float inf = std::numeric_limits<float>::infinity();
  for (int i = 0; i < 256; ++i)
    values.push_back(i % 77 == 5 ? (i % 2 ? inf : -inf) : static_cast<float>(i));
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (!f.encode) continue;
    SCOPED_TRACE(f.name);
    const int64_t count = std::ssize(values) / f.block_elements * f.block_elements;
    std::vector<std::byte> portable(static_cast<size_t>(count / f.block_elements * f.block_bytes)),
        other = portable;
    f.encode(Isa::kPortable, values.data(), nullptr, count, portable.data());
    for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
      if (isa > HostIsa()) continue;
      f.encode(isa, values.data(), nullptr, count, other.data());
      EXPECT_EQ(HexOf(portable), HexOf(other));
    }
  }
}

// Code names some formats by their place in the table.
TEST(Formats, NamesAreThoseOfTheTable) {
  const std::pair<WeightFormat, std::string_view> named[] = {
      {WeightFormat::kF32, "f32"},   {WeightFormat::kF16, "f16"},   {WeightFormat::kBF16, "bf16"},
      {WeightFormat::kQ8_0, "q8_0"}, {WeightFormat::kQ4_0, "q4_0"}, {WeightFormat::kNF4, "nf4"}};
  for (const auto& [format, name] : named) {
    EXPECT_EQ(TraitsOf(format).name, name);
    EXPECT_EQ(FormatNamed(name), format);
  }
  EXPECT_EQ(FormatNames().size(), AllFormats().size());
  EXPECT_THROW(FormatNamed("q9"), Error);
}

TEST(Formats, AreUsable) {
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    SCOPED_TRACE(f.name);
    EXPECT_TRUE(std::has_single_bit(static_cast<unsigned>(f.block_elements)));
    EXPECT_LE(f.block_elements, kMostBlockElements);
    EXPECT_TRUE(f.decode);
    EXPECT_FALSE(f.encode && f.convert);
    EXPECT_GT(f.kl_limit, 0);
  }
}

TEST(Strips, HoldTheRowsValuesWhereTheirHeaderSays) {
  TestWeights weights;
  constexpr int64_t kRows = 70, kCols = 96;
  const std::vector<float> matrix = RandomFloats(kRows * kCols, 5);
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0}) {
    SCOPED_TRACE(TraitsOf(format).name);
    const Weight rows = weights.Make(format, kRows, kCols, matrix), strips = weights.InStrips(rows);
    EXPECT_EQ(std::ssize(strips.bytes()), 3 * StripBytes(format, kCols));
    const std::vector<float> values = Decoded(rows);
    EXPECT_EQ(Decoded(strips), values);
    EXPECT_EQ(Decoded(weights.Converted(strips, format)), values);  // a copy
    std::vector<float> part(50);
    DecodeRow(strips, 69, 33, 50, part.data());  // begins and ends within blocks
    EXPECT_EQ(part, std::vector<float>(values.end() - 63, values.end() - 13));
  }
  const Weight q8 = weights.Make(WeightFormat::kQ8_0, kRows, kCols, matrix);
  const Weight q4 = weights.Make(WeightFormat::kQ4_0, kRows, kCols, matrix);
  const Weight q8_strips = weights.InStrips(q8), q4_strips = weights.InStrips(q4);
  const auto* wide = reinterpret_cast<const StripBlockQ8_0*>(q8_strips.bytes().data());
  const auto* narrow = reinterpret_cast<const StripBlockQ4_0*>(q4_strips.bytes().data());
  const auto* q8_rows = reinterpret_cast<const BlockQ8_0*>(q8.bytes().data());
  const auto* q4_rows = reinterpret_cast<const BlockQ4_0*>(q4.bytes().data());
  // Block 2 of row 37: strip 1, row 5 of it, three blocks a row.
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(wide[3 + 2].q[i / 4][5][i % 4], q8_rows[37 * 3 + 2].q[i] + 128) << i;
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(narrow[3 + 2].q[i / 4][5][i % 4], q4_rows[37 * 3 + 2].q[i]) << i;
  EXPECT_EQ(wide[3 + 2].d[5].bits, q8_rows[37 * 3 + 2].d.bits);
  EXPECT_EQ(narrow[3 + 2].d[5].bits, q4_rows[37 * 3 + 2].d.bits);
  for (int64_t r = 70 - 64; r < 32; ++r)
    EXPECT_EQ(wide[6 + 1].d[r].bits, 0) << r;  // rows that are not there
}

// The sums are of what bitsandbytes 0.50.2 on a CPU makes of the flattened matrix, whole and
// without its last five values, and decodes.
TEST(Nf4, DecodesToBitsandbytesValues) {
  const std::vector<float> matrix = AwkwardMatrix();
  TestWeights weights;
  const int64_t n = std::ssize(matrix);
  const auto round_trip = [&](int64_t rows, int64_t cols) {
    const Weight source = weights.Make(WeightFormat::kF32, rows, cols, matrix);
    return Sha256OfFloats(Decoded(weights.Converted(source, WeightFormat::kNF4)));
  };
  EXPECT_EQ(round_trip(kAwkwardRows, kAwkwardCols), kAwkwardNf4Sha256);
  EXPECT_EQ(round_trip(n / 96, 96), kAwkwardNf4Sha256);  // blocks cross rows
  EXPECT_EQ(round_trip(n / 3, 3), kAwkwardNf4Sha256);
  EXPECT_EQ(round_trip(n - 5, 1), kAwkwardShortNf4Sha256);
  EXPECT_EQ(round_trip(1, n - 5), kAwkwardShortNf4Sha256);
}

TEST(Nf4, PacksTheFirstValueHighAndZerosAsCodeSeven) {
  std::vector<float> values(67, 0.0f);
  values[64] = -2;
  values[65] = 2;
  values[66] = 0.5f;  // 0.25 of the maximum: nearest is code 10, 0.2461
  TestWeights weights;
  const Weight w =
      weights.Converted(weights.Make(WeightFormat::kF32, 1, 67, values), WeightFormat::kNF4);
  ASSERT_EQ(w.bytes().size(), 34u);
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(static_cast<int>(w.bytes()[i]), 0x77);
  EXPECT_EQ(static_cast<int>(w.bytes()[32]), 0x0f);
  EXPECT_EQ(static_cast<int>(w.bytes()[33]), 0xa7);  // what is missing is zero too
  EXPECT_EQ(w.nf4().absmax.data<float>()[0], 0);
  EXPECT_EQ(w.nf4().absmax.data<float>()[1], 2);
}

// The sums are of what bitsandbytes 0.50.2 makes on a CPU with PyTorch 2.13.0 in one thread
// (quantize_4bit with compress_statistics, then dequantize_4bit): the codes, the codes of their
// maxima, these codes' maxima, the offset's bits, and the decoded values (a 0 of FP4 never as -0).
TEST(FourBits, AreBitsandbytesToTheByte) {
  std::vector<float> values(30000);
  for (int64_t i = 0; i < 30000; ++i) {
    values[static_cast<size_t>(i)] =
        static_cast<float>(i * 7919 % 10007 - 5003) / 4096 * static_cast<float>(1 + i / 64 % 37);
  }
  struct Case {
    const char* format;
    int64_t rows, cols;
    std::string codes, maxima, nested;
    uint32_t offset;
    std::string decoded;
  };
  const std::string maxima = "a880239d0104aa1e81889cf70eef931299971c7cd46b340dfb2b6bd5cb94777e",
                    nested = "00546bca913be0cfbe56b64a4680b0a608f1c2037141787286048e6285c9294c",
                    short_maxima =
                        "214824355035b5270ac3e6ec53c341e78728a75aa0253db015c0133d0fe12e02",
                    short_nested =
                        "389bc27215fd038590d966480b39e27b53199e5fb63cd8d2f10c2bc6c6ceb11a";
  const Case cases[] = {
      {"nf4", 300, 100, "5579858d6894649f0544d61632d8a37ad9c984c5d75ad6a2d45450c9ee7a1dfc", maxima,
       nested, 1102348883, "1524b82060022c66d8e2c95c3f501b1b10bf45a4b8c4afea23898fa30f28b71e"},
      {"fp4", 300, 100, "c1d9edb76cd87e587200f4170fadfe33d3d77b0ee9f35fc74f1ad242ead0b333", maxima,
       nested, 1102348883, "d871c6702a620686007529666a48ddcb995d9178ed217a6f471cf7ec2b01d819"},
      {"nf4", 1, 29995, "7ec3e0f6523c5568670e72c8771a27a3f68cdf8b136bbc349023938ce0b91824",
       short_maxima, short_nested, 1102348359,
       "335120ab263720bb79c93bf37b763add867fb9cf218196ec551f282dc69eb040"},
      {"fp4", 1, 29995, "9b1279c7eb9ffb62de99cee5d243ffae481539515723b71ae183b380933125fd",
       short_maxima, short_nested, 1102348359,
       "49c0663e913db721233b5dde3ad4fb9e4239336bc7dab40f1b9815291bd35420"}};
  const auto sum_of = [](const Tensor& t) {
    return Sha256(Bytes(t.raw(), static_cast<size_t>(t.bytes())));
  };
  TestWeights weights;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.format);
    const Weight source = weights.Make(WeightFormat::kF32, c.rows, c.cols, values);
    const Weight w = weights.Converted(source, FormatNamed(c.format), true);
    EXPECT_EQ(Sha256(w.bytes()), c.codes);
    EXPECT_EQ(sum_of(w.nf4().codes), c.maxima);
    EXPECT_EQ(sum_of(w.nf4().nested_absmax), c.nested);
    EXPECT_EQ(std::bit_cast<uint32_t>(w.nf4().offset), c.offset);
    EXPECT_EQ(Sha256OfFloats(Decoded(w)), c.decoded);
    const Weight plain = weights.Converted(source, FormatNamed(c.format));
    EXPECT_EQ(Sha256(plain.bytes()), c.codes);
  }
}

TEST(Requantised, GivesTheSameBytesAtAnyNumberOfThreads) {
  TestWeights weights;
  const Weight source = weights.Make(WeightFormat::kF32, 700, 512, RandomFloats(700 * 512, 5));
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (!f.encode && !f.convert) continue;
    SCOPED_TRACE(f.name);
    for (const bool twice : {false, true}) {
      std::vector<std::string> sums;
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        const Weight w = Requantised(source, format, twice, weights.memory(), pool);
        sums.push_back(Sha256OfFloats(Decoded(w)) + Sha256(w.bytes()));
      }
      EXPECT_EQ(sums[0], sums[1]);
      EXPECT_EQ(sums[0], sums[2]);
    }
  }
}

TEST(Requantised, RefusesRowsThatDoNotDivideIntoBlocks) {
  TestWeights weights;
  const Weight source = weights.Make(WeightFormat::kF32, 2, 40, RandomFloats(80, 1));
  EXPECT_THROW(weights.Converted(source, WeightFormat::kQ8_0), Error);
}

TEST(Requantised, NeverHoldsTheMatrixInF32) {
  TestWeights weights;
  constexpr int64_t kRows = 2048, kCols = 1024;
  const Weight source = weights.Converted(
      weights.Make(WeightFormat::kF32, kRows, kCols, RandomFloats(kRows * kCols, 2)),
      WeightFormat::kBF16);
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kNF4}) {
    const int64_t before = weights.memory().live_bytes();
    weights.memory().ResetPeak();
    const Weight w = weights.Converted(source, format, true);
    EXPECT_LT(weights.memory().peak_bytes() - before, kRows * kCols * 3 / 2);
  }
}

// Values [begin, begin + count) of a row are what the whole row has there, in every format, with
// every instruction set to the bit, and rounded when bf16 is asked for.
TEST(DecodeRow, PartsOfRowsAreTheSameWithEveryInstructionSet) {
  TestWeights weights;
  for (const WeightFormat format : AllFormats()) {
    SCOPED_TRACE(TraitsOf(format).name);
    const int64_t step = TraitsOf(format).row_step(), rows = 5, cols = step > 1 ? 5 * step : 173;
    const Weight w = weights.Converted(
        weights.Make(WeightFormat::kF32, rows, cols, RandomFloats(rows * cols, 9)), format);
    std::vector<float> whole(static_cast<size_t>(cols));
    for (int64_t r = 0; r < rows; ++r) {
      DecodeRow(Isa::kPortable, w, r, 0, cols, whole.data());
      for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
        if (isa > HostIsa()) continue;
        for (int64_t begin = 0; begin<cols; begin += cols> 500 ? 37 : 7) {
          for (const int64_t count :
               {int64_t{0}, int64_t{1}, int64_t{31}, int64_t{66}, cols - begin}) {
            if (begin + count > cols) continue;
            std::vector<float> part(static_cast<size_t>(count) + 1, 77.0f);
            std::vector<BF16> rounded(static_cast<size_t>(count) + 1, BF16{77});
            DecodeRow(isa, w, r, begin, count, part.data());
            DecodeRow(isa, w, r, begin, count, rounded.data());
            for (int64_t i = 0; i < count; ++i) {
              const float value = whole[static_cast<size_t>(begin + i)];
              ASSERT_EQ(part[static_cast<size_t>(i)], value);
              ASSERT_EQ(rounded[static_cast<size_t>(i)].bits, ToBF16(value).bits);
            }
            ASSERT_EQ(part.back(), 77.0f);  // nothing beyond is written
            ASSERT_EQ(rounded.back().bits, 77);
          }
        }
      }
    }
  }
}

// Every half-precision number widens to itself, infinities and NaN included.
TEST(DecodeRow, WidensEveryHalf) {
  std::vector<F16> halves(1 << 16);
  for (size_t i = 0; i < halves.size(); ++i) halves[i].bits = static_cast<uint16_t>(i);
  const Weight w(WeightFormat::kF16, 1, 1 << 16, std::as_bytes(std::span(halves)), nullptr);
  std::vector<float> out(1 << 16);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    DecodeRow(isa, w, 0, 0, 1 << 16, out.data());
    for (size_t i = 0; i < halves.size(); ++i) {
      const float expected = ToFloat(halves[i]);
      if (std::isnan(expected))
        ASSERT_TRUE(std::isnan(out[i])) << i;
      else
        ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(expected)) << i;
    }
  }
}

TEST(RoundToBF16, RoundsAsTheScalarDoes) {
  std::vector<float> values = RandomFloats(1000, 4);
  const float inf = std::numeric_limits<float>::infinity();
  for (const uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x3f807fffu, 0x7f7fffffu,
                              0x00000001u, 0x00018000u, 0x7f800001u, 0xffc00000u}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  values.insert(values.end(), {inf, -inf, 0.0f, -0.0f});
  for (int i = 0; i < 16; ++i) values.push_back(std::bit_cast<float>(0x7f800001u + (i << 3)));
  std::vector<BF16> out(values.size());
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    RoundToBF16(isa, values.data(), std::ssize(values), out.data());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(out[i].bits, ToBF16(values[i]).bits) << values[i];
    }
  }
}

TEST(Blocks, AScaleIsItsHalfsValue) {
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) {
    const F16 half{static_cast<uint16_t>(bits)};
    const float expected = ToFloat(half), actual = ScaleOf(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual)) << bits;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

}  // namespace
}  // namespace retort
