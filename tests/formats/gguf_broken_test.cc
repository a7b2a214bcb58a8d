// SPDX-License-Identifier: Apache-2.0
// Files with one error each. Every one must be rejected with a message that names the place.
#include "formats/gguf.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

constexpr uint64_t kHuge = ~uint64_t{0};

ByteBuilder Head(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
  ByteBuilder b;
  b.Text("GGUF").Add(version).Add(tensors).Add(entries);
  return b;
}

// One metadata entry 'k' of a type, whose value the caller adds.
ByteBuilder Entry(uint32_t type) {
  ByteBuilder b = Head(0, 1);
  b.String("k").Add(type);
  return b;
}

struct Info {
  std::string name = "t";
  std::vector<uint64_t> dims = {8};
  uint32_t type = 0;
  uint64_t offset = 0;
};

// A file of these tensors and `data_bytes` of data.
std::string Tensors(const std::vector<Info>& infos, size_t data_bytes) {
  ByteBuilder b = Head(infos.size(), 0);
  for (const Info& info : infos) {
    b.String(info.name).Add(static_cast<uint32_t>(info.dims.size()));
    for (uint64_t dim : info.dims) b.Add(dim);
    b.Add(info.type).Add(info.offset);
  }
  return b.PadTo(32).Text(std::string(data_bytes, 'd')).text();
}

std::string Alignment(uint32_t type, uint32_t value) {
  return Head(0, 1).String("general.alignment").Add(type).Add(value).text();
}

std::string Nested(int depth) {
  ByteBuilder b = Entry(9);
  for (int i = 1; i < depth; ++i) b.Add(9u).Add(uint64_t{1});
  return b.Add(0u).Add(uint64_t{0}).text();
}

std::vector<Broken> BrokenGgufs() {
  const std::string good = Tensors({{}}, 32);
  return {
      {"Empty", "", {"byte 0", "the magic"}},
      {"WrongMagic", ReplaceAll(good, "GGUF", "GGML"), {"not a GGUF file"}},
      {"NoVersion", "GGUF\3", {"the version"}},
      {"Version1", Head(0, 0, 1).text(), {"version 1", "2 or 3"}},
      {"Version4", Head(0, 0, 4).text(), {"version 4", "2 or 3"}},
      {"BigEndian", Head(0, 0, 0x03000000).text(), {"big-endian"}},
      {"NoCounts", good.substr(0, 12), {"byte 8", "number of tensors"}},
      {"ManyTensors", Head(kHuge, 0).text(), {"number of tensors", "18446744073709551615"}},
      {"ManyEntries",
       Head(0, kHuge).text(),
       {"number of metadata entries", "18446744073709551615"}},
      {"MoreTensorsThanAreRead",
       Head(200'000, 0).Text(std::string(4'800'000, 'x')).text(),
       {"tensors is 200000", "131072"}},
      {"MoreEntriesThanAreRead",
       Head(0, 100'000).Text(std::string(1'300'000, 'x')).text(),
       {"entries is 100000", "65536"}},
      {"MoreTensorsThanFit",
       Head(3, 0).Text(std::string(71, 'x')).text(),
       {"tensors is 3", "at most 2"}},
      {"MoreEntriesThanFit",
       Head(0, 3).Text(std::string(38, 'x')).text(),
       {"entries is 3", "at most 2"}},
      {"KeyBeyondTheFile",
       Head(0, 1).Add(uint64_t{1000}).Text(std::string(20, 'k')).text(),
       {"metadata entry 0", "a key takes 1000", "20 are left"}},
      {"KeyHuge",
       Head(0, 1).Add(kHuge).Text(std::string(20, 'k')).text(),
       {"metadata entry 0", "a key"}},
      {"KeyEmpty", Head(0, 1).String("").Add(4u).Add(1u).text(), {"a key of 0 bytes"}},
      {"KeyTooLong",
       Head(0, 1).String(std::string(65'536, 'k')).Add(4u).Add(1u).text(),
       {"a key of 65536 bytes"}},
      {"KeyTwice",
       Head(0, 2).String("k").Add(0u).Add('1').String("k").Add(0u).Add('1').text(),
       {"metadata 'k'", "twice"}},
      {"ValueTypeUnknown", Entry(13).Add(1u).text(), {"metadata 'k'", "value type 13"}},
      {"ValueCut", Entry(10).Add(1u).text(), {"metadata 'k'", "a number takes 8", "4 are left"}},
      {"BoolOfTwo", Entry(7).Add(uint8_t{2}).text(), {"metadata 'k'", "a boolean is 2"}},
      {"StringHuge",
       Entry(8).Add(kHuge).Text("abc").text(),
       {"metadata 'k'", "a string takes 18446744073709551615"}},
      {"ArrayTypeUnknown",
       Entry(9).Add(77u).Add(uint64_t{0}).text(),
       {"metadata 'k'", "array of value type 77"}},
      {"ArrayOfBytesTooLong",
       Entry(9).Add(0u).Add(uint64_t{4}).Text("abc").text(),
       {"metadata 'k'", "length is 4", "at most 3"}},
      {"ArrayOfFloatsHuge",
       Entry(9).Add(6u).Add(kHuge / 4 + 2).Text("abcdefgh").text(),
       {"metadata 'k'", "at most 2"}},
      {"ArrayOfStringsHuge",
       Entry(9).Add(8u).Add(uint64_t{1} << 40).Text(std::string(16, 0)).text(),
       {"metadata 'k'", "at most 2"}},
      {"ArrayOfArraysHuge",
       Entry(9).Add(9u).Add(uint64_t{1} << 40).Text(std::string(24, 0)).text(),
       {"metadata 'k'", "at most 2"}},
      {"ArrayOfStringsCut",
       Entry(9).Add(8u).Add(uint64_t{2}).String("a").Add(uint64_t{9}).text(),
       {"metadata 'k'", "a string takes 9"}},
      {"ArraysNestedDeep", Nested(9), {"metadata 'k'", "nested deeper than 8"}},
      {"ArraysNestedVeryDeep", Nested(100'000), {"nested deeper than 8"}},
      {"AlignmentZero", Alignment(4, 0), {"general.alignment", "u32 0"}},
      {"AlignmentTwelve", Alignment(4, 12), {"general.alignment", "u32 12"}},
      {"AlignmentOfAnotherType",
       Alignment(5, 32),
       {"general.alignment", "i32 32", "expected a u32"}},
      {"TensorNameEmpty", Tensors({{""}}, 32), {"a name of 0 bytes"}},
      {"TensorNameTooLong", Tensors({{std::string(65, 'n')}}, 32), {"a name of 65 bytes"}},
      {"TensorNameHuge",
       Head(1, 0).Add(kHuge).Text(std::string(40, 'n')).text(),
       {"tensor 0", "a name takes"}},
      {"FiveDimensions", Tensors({{"t", {1, 1, 1, 1, 1}}}, 32), {"tensor 't'", "5 dimensions"}},
      {"DimensionBeyondI64",
       Tensors({{"t", {uint64_t{1} << 63}}}, 32),
       {"tensor 't'", "9223372036854775808"}},
      {"ShapeOverflows",
       Tensors({{"t", {uint64_t{1} << 32, uint64_t{1} << 32}}}, 32),
       {"tensor 't'", "overflows"}},
      {"SizeOverflows", Tensors({{"t", {uint64_t{1} << 62, 2}}}, 32), {"tensor 't'", "overflows"}},
      {"RowNotOfBlocks",
       Tensors({{"t", {33, 2}, 2}}, 64),
       {"tensor 't'", "33", "Q4_0 blocks of 32"}},
      {"RowNotOfOtherBlocks",
       Tensors({{"t", {32}, 14}}, 64),
       {"tensor 't'", "32", "Q6_K blocks of 256"}},
      {"OffsetUnaligned",
       Tensors({{"t", {8}, 0, 16}}, 64),
       {"tensor 't'", "offset 16", "alignment, 32"}},
      {"OffsetHuge", Tensors({{"t", {8}, 0, kHuge - 31}}, 32), {"tensor 't'", "overflows"}},
      {"OffsetBeyondTheFile",
       Tensors({{"t", {8}, 0, 64}}, 64),
       {"tensor 't'", "ends at byte 160", "has 128"}},
      {"DataTruncated",
       good.substr(0, good.size() - 1),
       {"tensor 't'", "ends at byte 96", "has 95"}},
      {"NoData", good.substr(0, 60), {"tensor 't'", "has 60"}},
      {"InfoTruncated", Tensors({{}, {"u"}}, 0).substr(0, 80), {"tensor"}},
      {"UnknownTypeBeyondTheFile", Tensors({{"t", {8}, 99, 320}}, 32), {"tensor 't'", "has 96"}},
      {"UnknownTypeOfMoreElementsThanBits",
       Tensors({{"t", {257}, 99}}, 32),
       {"tensor 't'", "ends at byte 97", "has 96"}},
      {"UnknownTypesWhoseSumOverflows",
       Tensors({{"t", {uint64_t{1} << 62}, 99}, {"u", {uint64_t{1} << 62}, 99}}, 32),
       {"tensor 't'", "has "}},
      {"Overlap",
       Tensors({{"a", {16}}, {"b", {8}, 0, 32}}, 64),
       {"tensor 'b'", "begins at 32", "inside tensor 'a'"}},
      {"SamePlace", Tensors({{"a"}, {"b"}}, 64), {"inside tensor"}},
      {"NameTwice", Tensors({{"a"}, {"a", {8}, 0, 32}}, 64), {"tensor 'a'", "twice"}},
  };
}

class BrokenGguf : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenGguf, IsRefused) {
  TemporaryFolder folder;
  const Path path = folder.Put("bad.gguf", GetParam().file);
  std::vector<std::string> says = GetParam().says;
  says.push_back("bad.gguf: ");
  ExpectRefused([&] { ReadGguf(path); }, says);
}

INSTANTIATE_TEST_SUITE_P(, BrokenGguf, ::testing::ValuesIn(BrokenGgufs()),
                         [](const auto& info) { return info.param.name; });

// What the broken files are broken from, and what stands just inside the limits.
TEST(Gguf, TheUnbrokenFilesAreRead) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& text) { return ReadGguf(folder.Put("g", text)); };
  EXPECT_EQ(read(Tensors({{}}, 32)).tensors.Load("t", {8}).cols(), 8);
  EXPECT_EQ(read(Tensors({{"a", {8}, 0, 32}, {"b"}}, 64)).tensors.entries().size(), 2u);
  EXPECT_EQ(read(Tensors({{std::string(64, 'n')}}, 32)).tensors.entries().size(), 1u);
  EXPECT_EQ(read(Tensors({{"t", {0, 1, 1, 1}}}, 0)).tensors.entries()[0].shape.size(), 4u);
  EXPECT_EQ(read(Tensors({{"t", {}}}, 4)).tensors.entries()[0].bytes.size(), 4u);
  EXPECT_EQ(read(Tensors({{"t", {256}, 99}}, 32)).tensors.entries()[0].bytes.size(), 0u);
  EXPECT_EQ(read(Nested(8)).metadata.entries().size(), 1u);
  EXPECT_EQ(read(Alignment(4, 8)).alignment, 8u);
  EXPECT_EQ(read(Head(0, 1).String(std::string(65'535, 'k')).Add(4u).Add(1u).text())
                .metadata.entries()
                .size(),
            1u);
  EXPECT_TRUE(read(Head(0, 0).text()).tensors.entries().empty());
}

}  // namespace
}  // namespace retort
