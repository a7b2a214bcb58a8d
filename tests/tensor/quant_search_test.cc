// SPDX-License-Identifier: Apache-2.0
// Formats whose scales and codes are found by a search, and others of long blocks, beside ggml.
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
struct ExpectedBlocks {
  std::string_view format;
  std::string_view awkward;     // blocks
  std::string_view values;      // of these blocks, zeros being positive
  std::string_view special;     // blocks
  std::string_view importance;  // blocks of the awkward matrix, by Importance()
};
constexpr ExpectedBlocks kExpected[] = {
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
    {"q8_k", "f58a699f695b840b182215af20963ac4a0b643cc61320b711f0f0ce81e72fd98",
     "e20d7ce3a027de24ac1fd27c1632848ee82e16d4749144aa26ea69a38fbc140e",
     "2ac2f1f123b0f648a2b0f0e64a23f4f5b74647fad1b2192458ef6054989245b2",
     "f58a699f695b840b182215af20963ac4a0b643cc61320b711f0f0ce81e72fd98"},
    {"iq4_nl", "453f2b3f79c2507cda4f48a61dc6adeeb218680265291e0bb4caacf6250e37e3",
     "bdde0aa73a33a0f51336a6107f1950d6f86405ed4f86eae6326d2feab9b6dfdd",
     "8bfeab0db703ef9e38e305e5de959f04b316582552c10fd42da860ad8458db24",
     "4e7288a49ae8cd62187e88773d834fb59f8b0168c95d81df11d5c657ff425fb5"},
    {"iq4_xs", "9a2991ab4a3a384f6c04b18aaabd008337f7985aeeb19ad8a7633d867a445695",
     "ff3a7b13107641e7b8e44c57b8df4c6be893ee0946910c337cd1634623b5fac1",
     "28513072773e94cc0842c7ebf6dbf42605374c1a67387e7a3308e3cd9072eec4",
     "cc9bca4878329370bd772d5a2ed3ab6573cbdf887412f6f4e364e14a17302021"},
    {"mxfp4", "9c8dad297a433d6cc57e146caa983bd94ca902cdd393e53a9ea1fcea51a538aa",
     "66ef175b98013725e46338c7a5d9255d7f4a5e18533ac182a4209c8865fb19bf",
     "45524322ddc8d0f7796746067e2b024683f8c73ad8e63fe06754a9a4718bcce0",
     "9c8dad297a433d6cc57e146caa983bd94ca902cdd393e53a9ea1fcea51a538aa"},
    {"tq1_0", "fd015cb4a9fa6ba90b86a80a37af2e1f413f1a734b3269bf76af32b32ae56ad9",
     "1bb0f647713cc05fc738d35ef580f546471f42e3cec5c3db47f80f1fffecba87",
     "b9741210d89ca67cb11fb627e1844a9c20984e58aad251f076563a7a9436898a",
     "fd015cb4a9fa6ba90b86a80a37af2e1f413f1a734b3269bf76af32b32ae56ad9"},
    {"tq2_0", "c59d95cf714b6c837b7726d302b08ee408a38291cc4ec4daf32e29e06e151f5e",
     "1bb0f647713cc05fc738d35ef580f546471f42e3cec5c3db47f80f1fffecba87",
     "c69a5cdaabe976636ac5f91db44b52c220454d7b922f7a1269bd022fb1dc09f9",
     "c59d95cf714b6c837b7726d302b08ee408a38291cc4ec4daf32e29e06e151f5e"},
    {"q4_0", "3adc8c76d6955a607374641f0102a20c3c5a8b3319262a0d853df042b37a8f81",
     "e536e87fac05d8b4cdd4ec27a06b945c639dead99039d5d7fc213f22c5391ae4",
     "1ca44647706e65f371c3da98bdc3d2b171b640a6ff8479192d2899e7eaec926a",
     "818b7ae6a456788110d0ebfd8afb4b536861c7daa991f458c8a336458431ad3d"},
    {"q4_1", "8e65a42e3748dbea29e499985156a0bdb286a1ae00c954b80ccbd6a85e247c9d",
     "de0b171e39094bd5c7e011c9a40705db7a9f72be1e76cffafa81d8aebead1c81",
     "1c02746659184fdc4bee2aa2a1d97e396f2e172cceeea0d9f4748fd3befe8faf",
     "c1da0eae5b4176e8113506011a920d8480e104d62972a2fa06bb1726dbf4d009"},
    {"q5_0", "1e44487e333566b6a5b852aa336135422e8f6e92d66ed0f7340c43ff6a8ce993",
     "a19af590abe3b855e8ca54187fd25febd61fea4e0246911c8cb6a4ce539603a3",
     "e03269cf67048d8cc79a03892ec93026b4d586568dec05d62832e4b41bd34881",
     "19d37f09f8b7c3b11367ac76674c31f70a0482246ad042c8ef01d6c06afd97db"},
    {"q5_1", "a005973a1b49ff6b02f7d8c24a54bcaad3ebec54808132c855e06ad6c1fb06b8",
     "09149f7f1ddb3feb591307d4f746f8144d431eaa846479dc3bab2d0f655560ed",
     "41a950fcc1f7cafccd4faa5fa735cc03822d0f0a53233d6f4f1fc9ae9fbb4082",
     "c8b0456abe634da7bdc886150a3c0289c81173f27298d412060da89b2eb79b75"},
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

// SHA-256 of the decoded values.
std::string SumOfValues(const Weight& w) {
  std::vector<float> values(static_cast<size_t>(w.rows() * kRow));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, kRow, values.data() + r * kRow);
  for (float& v : values) v += 0.0f;  // zeros of one sign
  return Sha256(std::as_bytes(std::span(values)));
}

TEST(Search, ChoosesTheBytesOfTheDefiningProgram) {
  const std::vector<float> matrix = AwkwardMatrix(), importance = Importance();
  for (const ExpectedBlocks& e : kExpected) {
    SCOPED_TRACE(e.format);
    const WeightFormat format = FormatNamed(e.format);
    const std::vector<std::byte> blocks = Encoded(format, matrix);
    EXPECT_EQ(Sha256(blocks), e.awkward);
    EXPECT_EQ(Sha256(Encoded(format, SpecialBlocks())), e.special);
    EXPECT_EQ(Sha256(Encoded(format, matrix, importance.data())), e.importance);
    const Weight w(format, std::ssize(matrix) / kRow, kRow, blocks, nullptr);
    EXPECT_EQ(SumOfValues(w), e.values);
  }
}

TEST(Search, GivesTheSameBytesWithEveryInstructionSet) {
  const std::vector<float> matrix = AwkwardMatrix(), importance = Importance();
  for (const ExpectedBlocks& e : kExpected) {
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

// Blocks of these bytes, 32 of each format that is only read; no half among them is infinite.
std::vector<std::byte> Pattern(int64_t bytes) {
  std::vector<std::byte> out;
  for (int64_t i = 0; i < bytes; ++i) {
    const int64_t byte = (i * 37 + i / 7 * 11) % 251;
    out.push_back(static_cast<std::byte>((byte & 0x7c) == 0x7c ? byte ^ 0x40 : byte));
  }
  return out;
}
constexpr std::pair<std::string_view, std::string_view> kOnlyRead[] = {
    {"iq1_s", "3517936a8a03e185fdaaf50a21a8b2916fb64a52d410e54295b60643ebb57153"},
    {"iq1_m", "0d753ee3e47ee930f70935b5e5b82f0dce94b5c49907f43e4765002ce5f1a67d"},
    {"iq2_xxs", "661d20772a95101afca7cc9b1fadeab7c6b4fa1de46eca68715c2e56fc2ca3ec"},
    {"iq2_xs", "015249a217c5229d5f4727250fecdb89d54bed5465d36c653fdd92a7686f7435"},
    {"iq2_s", "7c107b2889f267625e3097102307e3e5b11353b4c8ec5225ee1606280568bf05"},
    {"iq3_xxs", "c9f7f4a326b28f9139556ae8dbd069239befa74f35e74eac653d22fdb74d3d4d"},
    {"iq3_s", "17bde91073c1284b2c9acb8cd2559ed1273be64230bff0b57867ccd277d84d66"},
};

TEST(OnlyRead, ValuesAreThoseOfTheDefiningProgram) {
  for (const auto& [name, sum] : kOnlyRead) {
    SCOPED_TRACE(name);
    const WeightFormat format = FormatNamed(name);
    EXPECT_FALSE(TraitsOf(format).encode);
    const std::vector<std::byte> bytes = Pattern(32 * RowBytes(format, kRow));
    EXPECT_EQ(SumOfValues(Weight(format, 32, kRow, bytes, nullptr)), sum);
  }
}

}  // namespace
}  // namespace retort
