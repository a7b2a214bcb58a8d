// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <cctype>
#include <cstring>
#include <limits>

#include "formats/gguf_types.h"
#include "tests/formats/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

// A file with a value of every type, nested arrays, and tensors of known, other and unknown types.
std::string HandMade(uint32_t version) {
  ByteBuilder b;
  b.Text("GGUF").Add(version).Add(uint64_t{4}).Add(uint64_t{15});
  b.String("a.u8").Add(0u).Add(uint8_t{200});
  b.String("a.i8").Add(1u).Add(int8_t{-3});
  b.String("a.u16").Add(2u).Add(uint16_t{60000});
  b.String("a.i16").Add(3u).Add(int16_t{-30000});
  b.String("a.u32").Add(4u).Add(uint32_t{4000000000});
  b.String("a.i32").Add(5u).Add(int32_t{-2000000000});
  b.String("a.f32").Add(6u).Add(0.5f);
  b.String("a.bool").Add(7u).Add(uint8_t{1});
  b.String("a.string").Add(8u).String("zwölf\n");
  b.String("a.strings").Add(9u).Add(8u).Add(uint64_t{3}).String("x").String("").String("yz");
  b.String("a.nested").Add(9u).Add(9u).Add(uint64_t{2});
  b.Add(5u).Add(uint64_t{2}).Add(int32_t{7}).Add(int32_t{-8}).Add(6u).Add(uint64_t{0});
  b.String("a.u64").Add(10u).Add(std::numeric_limits<uint64_t>::max());
  b.String("a.i64").Add(11u).Add(std::numeric_limits<int64_t>::min());
  b.String("a.f64").Add(12u).Add(0.1);
  b.String("a.bools").Add(9u).Add(7u).Add(uint64_t{2}).Add(uint8_t{0}).Add(uint8_t{1});
  b.String("f").Add(2u).Add(uint64_t{3}).Add(uint64_t{2}).Add(0u).Add(uint64_t{0});
  b.String("k").Add(1u).Add(uint64_t{256}).Add(40u).Add(uint64_t{32});
  b.String("new").Add(1u).Add(uint64_t{5}).Add(99u).Add(uint64_t{192});
  b.String("q").Add(1u).Add(uint64_t{32}).Add(8u).Add(uint64_t{192});
  b.PadTo(32);
  for (int i = 0; i < 6; ++i) b.Add(static_cast<float>(i));
  b.PadTo(32).Text(std::string(144, 'k')).PadTo(32).Text(std::string(34, 'q'));
  return b.text();
}

TEST(Gguf, ReadsAFileMadeByHand) {
  for (uint32_t version : {2u, 3u}) {
    TemporaryFolder folder;
    const GgufFile file = ReadGguf(folder.Put("m.gguf", HandMade(version)));
    EXPECT_EQ(file.version, version);
    EXPECT_EQ(file.alignment, 32u);
    const GgufMetadata& m = file.metadata;
    ASSERT_EQ(m.entries().size(), 15u);
    EXPECT_EQ(m.entries()[8].first, "a.string");
    EXPECT_EQ(m.Int("a.u8"), 200);
    EXPECT_EQ(m.Int("a.i8"), -3);
    EXPECT_EQ(m.Int("a.u16"), 60000);
    EXPECT_EQ(m.Int("a.i16"), -30000);
    EXPECT_EQ(m.Int("a.u32"), 4000000000);
    EXPECT_EQ(m.Int("a.i32"), -2000000000);
    EXPECT_EQ(m.Int("a.i64"), std::numeric_limits<int64_t>::min());
    EXPECT_EQ(m.Number("a.f32"), 0.5);
    EXPECT_EQ(m.Number("a.f64"), 0.1);
    EXPECT_EQ(m.Number("a.i8"), -3.0);
    EXPECT_TRUE(m.Bool("a.bool", false));
    EXPECT_EQ(m.Text("a.string"), "zwölf\n");
    EXPECT_EQ(m.Texts("a.strings"), (std::vector<std::string>{"x", "", "yz"}));
    const GgufArray nested(
        std::vector<GgufArray>{std::vector<int32_t>{7, -8}, std::vector<float>{}});
    EXPECT_EQ(*m.Find("a.nested"), GgufValue(nested));
    EXPECT_EQ(*m.Find("a.bools"), GgufValue(GgufArray(std::vector<bool>{false, true})));

    ASSERT_EQ(file.tensors.entries().size(), 4u);
    const Weight f = file.tensors.Load("f", {2, 3});  // dimensions turned round
    float last;
    std::memcpy(&last, f.bytes().data() + 20, 4);
    EXPECT_EQ(last, 5.0f);
    EXPECT_EQ(file.tensors.Find("k")->type_name(), "NVFP4");
    EXPECT_EQ(TextOf(file.tensors.Find("k")->bytes), std::string(144, 'k'));
    EXPECT_EQ(file.tensors.Find("new")->type_name(), "ggml type 99");
    EXPECT_EQ(TextOf(file.tensors.Load("q", {32}).bytes()), std::string(34, 'q'));
    ExpectRefused([&] { file.tensors.Load("k", {256}); }, {"m.gguf", "'k'", "NVFP4"});
  }
}

TEST(GgufMetadata, NamesTheKeyAndTheTypeThatIsThere) {
  TemporaryFolder folder;
  const GgufMetadata m = ReadGguf(folder.Put("m.gguf", HandMade(3))).metadata;
  ExpectRefused([&] { m.Int("no.such"); }, {"m.gguf", "'no.such'", "missing"});
  ExpectRefused([&] { m.Int("a.string"); }, {"'a.string'", "string", "an integer"});
  ExpectRefused([&] { m.Int("a.f32"); }, {"'a.f32'", "f32 0.5", "an integer"});
  ExpectRefused([&] { m.Int("a.bool"); }, {"'a.bool'", "bool true", "an integer"});
  ExpectRefused([&] { m.Int("a.u64"); }, {"u64 18446744073709551615"});
  ExpectRefused([&] { m.Number("a.bool"); }, {"a number"});
  ExpectRefused([&] { m.Bool("a.u8", true); }, {"u8 200", "a boolean"});
  ExpectRefused([&] { m.Text("a.strings"); }, {"array of string", "a string"});
  ExpectRefused([&] { m.Texts("a.string"); }, {"an array of strings"});
  ExpectRefused([&] { m.Ints("a.strings"); }, {"array of string", "an array of integers"});
  ExpectRefused([&] { m.Floats("a.bools"); }, {"array of bool", "an array of floats"});
  EXPECT_EQ(m.Int("no.such", 5), 5);
  EXPECT_EQ(m.Number("no.such", 0.5), 0.5);
  EXPECT_EQ(m.Text("no.such", "x"), "x");
  EXPECT_TRUE(m.Bool("no.such", true));
  ExpectRefused([&] { m.Int("a.string", 5); }, {"'a.string'"});  // a fallback is for absence alone
}

TEST(GgufMetadata, SetKeepsTheOrderAndReplacesInPlace) {
  GgufMetadata m("x");
  m.Set("b", uint32_t{1});
  m.Set("a", std::string("t"));
  m.Set("b", 2.5f);
  ASSERT_EQ(m.entries().size(), 2u);
  EXPECT_EQ(m.entries()[0], (std::pair<std::string, GgufValue>("b", 2.5f)));
  m.Set("ints", GgufArray(std::vector<int32_t>{1, -2}));
  m.Set("floats", GgufArray(std::vector<float>{1.5f, 2}));
  EXPECT_EQ(m.Ints("ints"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(m.Floats("floats"), (std::vector<float>{1.5f, 2}));
  EXPECT_EQ(ValueText(*m.Find("ints")), "[1, -2]");
  EXPECT_EQ(ValueText(GgufArray(std::vector<std::string>(9, "w"))),
            "['w', 'w', 'w', ... 9 in all]");
}

// The bytes themselves: a reader and a writer that are wrong alike are caught.
TEST(GgufMetadata, EraseLeavesTheOthersInOrder) {
  GgufMetadata m;
  for (const char* key : {"a", "b", "c"}) m.Set(key, std::string(key));
  m.Erase("b"), m.Erase("absent");
  EXPECT_EQ(m.Find("b"), nullptr);
  EXPECT_EQ(m.Text("a"), "a");
  EXPECT_EQ(m.Text("c"), "c");
  m.Set("c", std::string("again"));
  ASSERT_EQ(m.entries().size(), 2u);
  EXPECT_EQ(m.entries()[1], (std::pair<std::string, GgufValue>("c", std::string("again"))));
}

TEST(Gguf, WritesExactlyTheseBytes) {
  TemporaryFolder folder;
  GgufMetadata m;
  m.Set("general.architecture", std::string("llama"));
  m.Set("x.list", GgufArray(std::vector<std::string>{"a", "bc"}));
  m.Set("x.bools", GgufArray(std::vector<bool>{true, false}));
  m.Set("x.flag", true);
  GgufWriter writer(folder / "w", m);
  writer.Declare("f", WeightFormat::kF32, {1, 3});
  writer.Declare("q", WeightFormat::kQ8_0, {2, 1, 32});
  const std::vector<float> f = {1, 2, 3};
  writer.Write("q", BytesOf(std::vector<char>(68, 'q')));
  writer.Write("f", BytesOf(f));
  writer.Commit();

  ByteBuilder b;
  b.Text("GGUF").Add(3u).Add(uint64_t{2}).Add(uint64_t{5});
  b.String("general.architecture").Add(8u).String("llama");
  b.String("x.list").Add(9u).Add(8u).Add(uint64_t{2}).String("a").String("bc");
  b.String("x.bools").Add(9u).Add(7u).Add(uint64_t{2}).Add(uint8_t{1}).Add(uint8_t{0});
  b.String("x.flag").Add(7u).Add(uint8_t{1});
  b.String("general.quantization_version").Add(4u).Add(2u);
  b.String("f").Add(2u).Add(uint64_t{3}).Add(uint64_t{1}).Add(0u).Add(uint64_t{0});
  b.String("q")
      .Add(3u)
      .Add(uint64_t{32})
      .Add(uint64_t{1})
      .Add(uint64_t{2})
      .Add(8u)
      .Add(uint64_t{32});
  b.PadTo(32).Add(1.0f).Add(2.0f).Add(3.0f).PadTo(32).Text(std::string(68, 'q')).PadTo(32);
  EXPECT_EQ(ReadText(folder / "w"), b.text());
}

// The table of formats against ggml's table of types.
TEST(Gguf, FormatsAreWhatGgmlSays) {
  int found = 0;
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    SCOPED_TRACE(f.name);
    if (!f.ggml_type) continue;
    const GgmlType* type = FindGgmlType(*f.ggml_type);
    ASSERT_TRUE(type);
    std::string name(type->name);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(f.name, name);
    EXPECT_EQ(static_cast<uint32_t>(f.block_elements), type->block_elements);
    EXPECT_EQ(static_cast<uint32_t>(f.block_bytes), type->block_bytes);
    EXPECT_EQ(FormatOfGgmlType(*f.ggml_type), format);
    ++found;
  }
  EXPECT_GE(found, 7);
  EXPECT_FALSE(FormatOfGgmlType(24));  // I8
}

TEST(Gguf, WhatIsWrittenIsRead) {
  constexpr int64_t kCols = 256;  // whole blocks of every format
  TemporaryFolder folder;
  const GgufMetadata all = [&] {
    GgufMetadata m = ReadGguf(folder.Put("hand", HandMade(3))).metadata;
    m.Set("general.alignment", uint32_t{64});
    return m;
  }();
  GgufWriter writer(folder / "w", all);
  std::vector<std::pair<WeightFormat, size_t>> formats;
  for (const std::string& name : GgufFormatNames()) {
    const WeightFormat format = FormatNamed(name);
    formats.push_back({format, static_cast<size_t>(2 * RowBytes(format, kCols))});
  }
  for (const auto& [format, bytes] : formats) {
    writer.Declare(std::string(TraitsOf(format).name), format, {2, kCols});
  }
  for (const auto& [format, bytes] : formats) {
    writer.Write(TraitsOf(format).name,
                 BytesOf(std::vector<char>(bytes, TraitsOf(format).name[0])));
  }
  writer.Commit();
  const GgufFile file = ReadGguf(folder / "w");
  EXPECT_EQ(file.alignment, 64u);
  for (size_t i = 0; i < all.entries().size(); ++i) {
    EXPECT_EQ(file.metadata.entries()[i], all.entries()[i]) << all.entries()[i].first;
  }
  EXPECT_EQ(file.metadata.Int("general.quantization_version"), 2);
  for (const auto& [format, bytes] : formats) {
    const Weight weight = file.tensors.Load(TraitsOf(format).name, {2, kCols});
    EXPECT_EQ(weight.format(), format);
    EXPECT_EQ(TextOf(weight.bytes()), std::string(bytes, TraitsOf(format).name[0]));
    const auto* start = file.tensors.entries()[0].file->bytes().data();
    EXPECT_EQ((weight.bytes().data() - start) % 64, 0);
  }
}

// Vocabularies that llama.cpp's own converter wrote.
TEST(Gguf, ReadsRealVocabularies) {
  RETORT_NEEDS(expected, "real/tokenizers/expected");
  const GgufFile llama = ReadGguf(expected / "ggml-vocab-llama-spm.gguf");
  EXPECT_EQ(llama.metadata.Text("general.architecture"), "llama");
  EXPECT_EQ(llama.metadata.Text("tokenizer.ggml.model"), "llama");
  const auto& tokens = llama.metadata.Texts("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), 32000u);
  EXPECT_EQ(tokens[1], "<s>");
  EXPECT_EQ(llama.metadata.Floats("tokenizer.ggml.scores").size(), 32000u);
  EXPECT_EQ(llama.metadata.Ints("tokenizer.ggml.token_type")[3], 6);  // <0x00> is a byte
  EXPECT_EQ(llama.metadata.Int("tokenizer.ggml.bos_token_id"), 1);
  EXPECT_TRUE(llama.tensors.entries().empty());
  const GgufFile gpt2 = ReadGguf(expected / "ggml-vocab-gpt-2.gguf");
  EXPECT_EQ(gpt2.metadata.Texts("tokenizer.ggml.tokens").size(), 50257u);
  EXPECT_EQ(gpt2.metadata.Texts("tokenizer.ggml.merges").size(), 50000u);
}

// The metadata of a real file, written again, is the same bytes.
TEST(Gguf, RewritesARealVocabularyByteForByte) {
  RETORT_NEEDS(real, "real/tokenizers/expected/ggml-vocab-llama-spm.gguf");
  TemporaryFolder folder;
  GgufWriter(folder / "w", ReadGguf(real).metadata).Commit();
  const std::string ours = ReadText(folder / "w"), theirs = ReadText(real);
  EXPECT_EQ(ours.substr(0, theirs.size()), theirs);
  EXPECT_EQ(ours.size(), (theirs.size() + 31) / 32 * 32);
}

}  // namespace
}  // namespace retort
