// SPDX-License-Identifier: Apache-2.0
// Files with one error each. Every one must be rejected with a message that names the place.
#include "formats/safetensors.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

constexpr std::string_view kGood = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
const std::string kEight(8, 'd');

std::string Whole(std::string_view header, std::string_view data = kEight) {
  return ByteBuilder().String(header).Text(data).text();
}
std::string Two(std::string_view a, std::string_view b) {  // two u8 tensors of 4 bytes
  return Cat(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)", a,
             R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)", b, "}}");
}
std::string OneTensor(std::string_view inside) { return Cat(R"({"a":{)", inside, "}}"); }

std::string Ones(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += ",1";
  return out;
}
std::string ManyEntries(int count) {
  std::string out = R"({"__metadata__":{"0":"")";
  for (int i = 1; i < count; ++i) out += Cat(",\"", i, R"(":"")");
  return out + "}}";
}
std::string ManyTensors(int count) {
  std::string out = "{";
  for (int i = 0; i < count; ++i)
    out += Cat(i ? "," : "", "\"", i, R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  return out + "}";
}

std::vector<Broken> BrokenFiles() {
  std::string deep(100000, '[');
  return {
      {"Empty", "", {"8 bytes", "0 are left"}},
      {"ShorterThanALength", "abc", {"header's length", "3 are left"}},
      {"HeaderBeyondTheFile",
       Whole(kGood).substr(0, 30),
       {"the header takes 54 bytes", "22 are left"}},
      {"HeaderLengthHuge",
       ByteBuilder().Add(~uint64_t{0}).Text("{}").text(),
       {"header of 18446744073709551615"}},
      {"HeaderOverTheCap",
       ByteBuilder().Add(uint64_t{100'000'001}).Text("{}").text(),
       {"100000001", "at most 100000000"}},
      {"DataTruncated", Whole(kGood, "ddddddd"), {"truncated", "describes 70 bytes", "has 69"}},
      {"DataTooLong", Whole(kGood, "ddddddddd"), {"more bytes", "describes 70 bytes", "has 71"}},
      {"NotJson", Whole("{\"a\":zzz}", ""), {"not JSON", "byte 6"}},
      {"HeaderEmpty", Whole("", ""), {"not JSON"}},
      {"HeaderIsAnArray", Whole("[]", ""), {"expected an object"}},
      {"HeaderIsANumber", Whole("7", ""), {"expected an object", "7"}},
      {"TextAfterTheHeader", Whole("{} {}", ""), {"not JSON"}},
      {"NestedDeep", Whole(deep, ""), {"expected an object", "an array"}},
      {"NestedDeepInATensor",
       Whole(Cat(R"({"a":{"shape":)", deep), ""),
       {"tensor 'a'", "an array"}},
      {"InvalidUtf8", Whole("{\"\xff\":{}}", ""), {"not JSON"}},
      {"TensorIsAString", Whole(R"({"a":"x"})", ""), {"'a'", "a string"}},
      {"MetadataNotText", Whole(R"({"__metadata__":{"n":1}})", ""), {"__metadata__", "number 1"}},
      {"UnknownField",
       Whole(OneTensor(R"("dtype":"F32","strides":[1])")),
       {"tensor 'a'", "'strides'"}},
      {"NoDtype",
       Whole(OneTensor(R"("shape":[2],"data_offsets":[0,8])")),
       {"tensor 'a'", "'dtype' is missing"}},
      {"NoShape",
       Whole(OneTensor(R"("dtype":"F32","data_offsets":[0,8])")),
       {"tensor 'a'", "'shape' is missing"}},
      {"NoOffsets",
       Whole(OneTensor(R"("dtype":"F32","shape":[2])")),
       {"tensor 'a'", "'data_offsets' is missing"}},
      {"ThreeOffsets",
       Whole(OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])")),
       {"tensor 'a'", "8"}},
      {"OneOffset",
       Whole(OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[8])")),
       {"tensor 'a'", "two numbers"}},
      {"NegativeDimension",
       Whole(OneTensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])")),
       {"tensor 'a'", "-2"}},
      {"FractionalDimension",
       Whole(OneTensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])")),
       {"tensor 'a'", "number 2"}},
      {"DimensionBeyondI64",
       Whole(OneTensor(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])")),
       {"tensor 'a'", "9223372036854775808"}},
      {"ShapeOverflows",
       Whole(OneTensor(R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8])")),
       {"tensor 'a'", "overflows"}},
      {"SizeOverflows",
       Whole(OneTensor(R"("dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8])")),
       {"tensor 'a'", "overflows"}},
      {"SizeNotTheShapes",
       Whole(OneTensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")),
       {"tensor 'a'", "F32 [3]", "12 bytes", "give 8"}},
      {"OffsetsBackwards",
       Whole(OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")),
       {"tensor 'a'", "backwards"}},
      {"OffsetsBeyondTheFile", Whole(Two("[0,4]", "[4,8]"), "dddd"), {"truncated"}},
      {"OffsetsHuge",
       Whole(OneTensor(
           R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551607,18446744073709551615])")),
       {"tensor 'a'", "hole"}},
      {"Overlap", Whole(Two("[0,4]", "[2,6]")), {"tensor 'b'", "begins at 2", "inside another"}},
      {"SameBytesTwice", Whole(Two("[0,4]", "[0,4]"), "dddd"), {"inside another"}},
      {"HoleBetween",
       Whole(Two("[0,4]", "[5,9]"), "ddddddddd"),
       {"tensor 'b'", "begins at 5", "hole after 4"}},
      {"HoleInFront",
       Whole(Two("[1,5]", "[5,9]"), "ddddddddd"),
       {"tensor 'a'", "begins at 1", "hole after 0"}},
      {"NameTwice", Whole(ReplaceAll(Two("[0,4]", "[4,8]"), "\"b\"", "\"a\"")), {"second 'a'"}},
      {"FieldTwice",
       Whole(OneTensor(R"("dtype":"F32","dtype":"F32")")),
       {"tensor 'a'", "second 'dtype'"}},
      {"MetadataKeyTwice",
       Whole(R"({"__metadata__":{"n":"1","n":"2"}})", ""),
       {"__metadata__", "second 'n'"}},
      {"MetadataTwice",
       Whole(R"({"__metadata__":{},"__metadata__":{}})", ""),
       {"second '__metadata__'"}},
      {"TextAfterANul",
       Whole(Cat(kGood, std::string_view("\0garbage", 8))),
       {"a NUL character at line 1, column 55"}},
      {"UnknownDtypeOfMoreElementsThanBits",
       Whole(OneTensor(R"("dtype":"F2","shape":[65],"data_offsets":[0,8])")),
       {"tensor 'a'", "65 elements", "'F2'", "8 bytes"}},
      {"DtypeLong",
       Whole(OneTensor(
           Cat(R"("dtype":")", std::string(65, 'F'), R"(","shape":[2],"data_offsets":[0,8])"))),
       {"tensor 'a'", "a string"}},
      {"NameLong",
       Whole(Cat(R"({")", std::string(4097, 'n'), R"(":{}})"), ""),
       {"name of 4097 bytes", "at most 4096"}},
      {"DimensionsMany",
       Whole(OneTensor(Cat(R"("dtype":"F32","shape":[2)", Ones(64), R"(],"data_offsets":[0,8])"))),
       {"tensor 'a'", "the number 1"}},
      {"MetadataMany", Whole(ManyEntries(65'537), ""), {"__metadata__", "65536 entries"}},
      {"TensorsMany", Whole(ManyTensors(131'073), ""), {"131072 tensors"}},
      {"HalfAByte",
       Whole(OneTensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])"), "d"),
       {"tensor 'a'", "F4 [3]"}},
      {"NewlineInAName", Whole("{\"x\\ny\":{\"dtype\":1}}", ""), {"'x\\ny'"}},
  };
}

class BrokenSafetensors : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenSafetensors, IsRefused) {
  TemporaryFolder folder;
  const Path path = folder.Put("bad.safetensors", GetParam().file);
  std::vector<std::string> says = GetParam().says;
  says.push_back("bad.safetensors: ");
  ExpectRefused([&] { ReadSafetensors(path); }, says);
}

INSTANTIATE_TEST_SUITE_P(, BrokenSafetensors, ::testing::ValuesIn(BrokenFiles()),
                         [](const auto& info) { return info.param.name; });

// What the broken files are broken from.
TEST(Safetensors, TheUnbrokenFileIsRead) {
  TemporaryFolder folder;
  EXPECT_EQ(ReadSafetensors(folder.Put("a", Whole(kGood))).tensors.Load("a", {2}).cols(), 2);
  EXPECT_EQ(ReadSafetensors(folder.Put("b", Whole(Two("[4,8]", "[0,4]")))).tensors.entries().size(),
            2u);
  ExpectRefused([&] { ReadSafetensors(folder / "none"); }, {"none", "cannot be opened"});
  ExpectRefused([&] { ReadSafetensors(folder.path()); }, {"is a folder, not a file"});
}

}  // namespace
}  // namespace retort
