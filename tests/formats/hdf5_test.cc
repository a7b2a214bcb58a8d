// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5.h"

#include <cstring>
#include <limits>

#include "tests/formats/hdf5_samples.h"

namespace retort {
namespace {

template <class T>
std::vector<T> ReadAll(const Hdf5Reader& reader, const std::string& name,
                       std::vector<int64_t> shape) {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  std::vector<T> out(static_cast<size_t>(n));
  reader.Read<T>(name, shape, out);
  return out;
}

TEST(Hdf5, RoundTripsEveryTypeBitForBit) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  EXPECT_EQ(folder.Entries(), 1u);
  const Hdf5Reader reader = OpenAnyway(folder / "a.h5");
  const auto m = ReadAll<float>(reader, "optimizer/m/model.layers.0.q_proj", {3, 2});
  const float want[] = {1, -0.0f, 1e-45f, std::numeric_limits<float>::quiet_NaN(), INFINITY, 0.1f};
  EXPECT_EQ(std::memcmp(m.data(), want, sizeof want), 0);
  EXPECT_EQ(ReadAll<double>(reader, "sums", {1})[0], 0.1);
  EXPECT_EQ(ReadAll<int32_t>(reader, "ids", {100, 7}), Ramp<int32_t>(700, -5));
  EXPECT_EQ(ReadAll<int64_t>(reader, "steps", {5}),
            (std::vector<int64_t>{1, INT64_MIN, INT64_MAX, 0, -1}));
  EXPECT_EQ(ReadAll<uint8_t>(reader, "bytes", {256}), Ramp<uint8_t>(256, 0));
  EXPECT_EQ(ReadAll<uint16_t>(reader, "halves", {3, 2}),
            (std::vector<uint16_t>{0, 1, 255, 256, 32768, 65535}));
  EXPECT_TRUE(ReadAll<float>(reader, "nothing", {0, 4}).empty());
  EXPECT_EQ(reader.Text("kind"), "trainer state ✓");
  EXPECT_EQ(reader.Text("empty"), "");
  EXPECT_EQ(reader.Int("step"), int64_t{1} << 40);
  EXPECT_EQ(reader.Number("loss"), 0.1);
}

TEST(Hdf5, ListsItsDatasets) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const Hdf5Reader reader = OpenAnyway(folder / "a.h5");
  const auto sets = reader.Datasets();
  ASSERT_EQ(sets.size(), 7u);
  EXPECT_EQ(sets[0].name, "bytes");
  EXPECT_EQ(sets[1].type, "u16");
  EXPECT_EQ(sets[2].name, "ids");
  EXPECT_EQ(sets[2].type, "i32");
  EXPECT_EQ(sets[2].shape, (std::vector<int64_t>{100, 7}));
  EXPECT_GT(sets[2].stored_bytes, 0);
  EXPECT_LT(sets[2].stored_bytes, 2800 / 2);  // a ramp, shuffled, packs well
  EXPECT_EQ(sets[4].name, "optimizer/m/model.layers.0.q_proj");
  EXPECT_TRUE(reader.Has("optimizer/m/model.layers.0.q_proj"));
  EXPECT_TRUE(reader.Has("optimizer/m"));
  EXPECT_FALSE(reader.Has("optimizer/v/model.layers.0.q_proj"));
  EXPECT_EQ(reader.ShapeOf("nothing"), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(reader.ChunkRows("ids"), 16);
  EXPECT_EQ(reader.ChunkRows("halves"), 2);
  EXPECT_EQ(reader.ChunkRows("bytes"), 0);
  ExpectRefused([&] { reader.ChunkRows("none"); }, {"a.h5", "'none'", "missing"});
}

// What the library's own filters read, whole, is what the chunks hold; the last chunk's rest is
// what HDF5 filled it with.
TEST(Hdf5, ChunksHoldWhatTheLibraryReads) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const Hdf5Reader reader = OpenAnyway(folder / "a.h5");
  const std::vector<int32_t> want = ReadAll<int32_t>(reader, "ids", {100, 7});
  std::vector<int32_t> have;
  for (int64_t chunk = 0; chunk < 7; ++chunk) {
    const Hdf5Chunk packed = reader.ReadChunk<int32_t>("ids", chunk, 7);
    EXPECT_TRUE(packed.shuffled && packed.deflated);
    const std::vector<int32_t> values = Hdf5Reader::Unpack<int32_t>(packed);
    EXPECT_EQ(values.size(), 16u * 7);
    have.insert(have.end(), values.begin(), values.end());
  }
  EXPECT_EQ(std::vector<int32_t>(have.begin() + 700, have.end()), std::vector<int32_t>(84, 0));
  have.resize(700);
  EXPECT_EQ(have, want);
  const Hdf5Chunk halves = reader.ReadChunk<uint16_t>("halves", 1, 2);
  EXPECT_EQ(Hdf5Reader::Unpack<uint16_t>(halves)[0],
            ReadAll<uint16_t>(reader, "halves", {3, 2})[4]);
  const Hdf5Chunk plain = reader.ReadChunk<int64_t>("steps", 1, 1);
  EXPECT_FALSE(plain.shuffled || plain.deflated);
  EXPECT_EQ(Hdf5Reader::Unpack<int64_t>(plain), (std::vector<int64_t>{INT64_MAX, 0}));
  ExpectRefused([&] { reader.ReadChunk<int32_t>("ids", 7, 7); },
                {"a.h5", "'ids'", "100 rows in chunks of 16", "chunk 7"});
  ExpectRefused([&] { reader.ReadChunk<int32_t>("ids", 0, 8); },
                {"'ids'", "[100, 7]", "8 columns"});
  ExpectRefused([&] { reader.ReadChunk<uint8_t>("ids", 0, 7); }, {"'ids'", "i32", "u8"});
  ExpectRefused([&] { reader.ReadChunk<uint8_t>("bytes", 0, 1); }, {"'bytes'", "in one piece"});
}

TEST(Hdf5, DamagedChunksAreRefused) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const Hdf5Reader reader = OpenAnyway(folder / "a.h5");
  const Hdf5Chunk good = reader.ReadChunk<int32_t>("ids", 0, 7);
  for (size_t i = 0; i < good.stored.size(); ++i) {
    Hdf5Chunk bad = good;
    bad.stored.resize(i);  // cut short
    ExpectRefused([&] { Hdf5Reader::Unpack<int32_t>(bad); }, {"a.h5", "'ids'", "448 bytes"});
    bad = good;
    bad.stored[i] ^= std::byte{0xff};
    ExpectRefused([&] { Hdf5Reader::Unpack<int32_t>(bad); }, {"a.h5", "'ids'", "448 bytes"});
  }
}

TEST(Hdf5, RefusesAnotherTypeOrShapeByName) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const Hdf5Reader reader = OpenAnyway(folder / "a.h5");
  ExpectRefused([&] { ReadAll<double>(reader, "ids", {100, 7}); }, {"a.h5", "'ids'", "i32", "f64"});
  ExpectRefused([&] { ReadAll<float>(reader, "ids", {100, 7}); }, {"'ids'", "i32", "f32"});
  ExpectRefused([&] { ReadAll<uint16_t>(reader, "bytes", {256}); }, {"'bytes'", "u8", "u16"});
  ExpectRefused([&] { ReadAll<uint8_t>(reader, "halves", {3, 2}); }, {"'halves'", "u16", "u8"});
  ExpectRefused(
      [&] {
        ReadAll<int32_t>(reader, "ids", {7, 100});
      },
      {"'ids'", "[100, 7]", "[7, 100]"});
  ExpectRefused([&] { ReadAll<int32_t>(reader, "ids", {700}); }, {"'ids'", "[700]"});
  ExpectRefused([&] { ReadAll<int32_t>(reader, "none", {1}); }, {"a.h5", "'none'", "missing"});
  ExpectRefused([&] { reader.ShapeOf("optimizer/none/x"); }, {"'optimizer/none/x'", "missing"});
  ExpectRefused([&] { reader.Int("none"); }, {"a.h5", "'none'", "missing"});
  ExpectRefused([&] { reader.Int("loss"); }, {"'loss'", "not an i64"});
  ExpectRefused([&] { reader.Number("step"); }, {"'step'", "not an f64"});
  ExpectRefused([&] { reader.Text("step"); }, {"'step'", "not a text"});
}

// What the library is given is what this user's writer made, byte for byte.
TEST(Hdf5, OpensNothingWithoutASeal) {
  TemporaryFolder folder;
  const Hdf5Stamp right = WriteSample(folder / "a.h5");
  EXPECT_EQ(right.sha256, Sha256(ReadText(folder / "a.h5")));
  EXPECT_EQ(right.bytes, static_cast<int64_t>(std::filesystem::file_size(folder / "a.h5")));
  EXPECT_TRUE(Hdf5Reader::OpenSealed(folder / "a.h5", right).Has("ids"));
  EXPECT_TRUE(Hdf5Reader::IsSealed(folder / "a.h5", right));
  std::string bytes = ReadText(folder / "a.h5");
  for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    const Path damaged = folder.Put("b.h5", bytes);
    ExpectRefused([&] { Hdf5Reader::OpenSealed(damaged, right, "make it again"); },
                  {"b.h5", "checksum", right.sha256, "damaged", "make it again"});
    EXPECT_FALSE(Hdf5Reader::IsSealed(damaged, right));
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  }
  // The right checksum, which anybody can compute, and no seal, or one for something else.
  const std::vector<std::string> command = {"a.h5", "no seal",
                                            Cat("`retort trust ", folder.path().string(), "`")};
  Hdf5Stamp wrong = right;
  wrong.seal = "";
  ExpectRefused([&] { Hdf5Reader::OpenSealed(folder / "a.h5", wrong); }, command);
  EXPECT_FALSE(Hdf5Reader::IsSealed(folder / "a.h5", wrong));
  wrong.seal = Seal("another purpose", std::as_bytes(std::span(bytes)));
  ExpectRefused([&] { Hdf5Reader::OpenSealed(folder / "a.h5", wrong); }, command);
  ExpectRefused([&] { Hdf5Reader::OpenSealed(folder / "none.h5", right); }, {"none.h5"});
  ExpectRefused([&] { Hdf5Reader::OpenSealed(folder.path(), right); }, {"not a regular file"});
}

// The command is one that a shell takes.
TEST(Hdf5, TheCommandThatTrustsIsQuoted) {
  TemporaryFolder folder;
  const Path odd = folder / "it's; odd";
  std::filesystem::create_directories(odd);
  Hdf5Stamp stamp = WriteSample(odd / "a.h5");
  stamp.seal = "";
  ExpectRefused([&] { Hdf5Reader::OpenSealed(odd / "a.h5", stamp); },
                {"`retort trust '", "it'\\''s; odd'`"});
}

// A file that others may write is copied before it is checked; what they write later is not seen.
TEST(Hdf5, OthersCannotChangeWhatWasChecked) {
  TemporaryFolder folder;
  const Hdf5Stamp stamp = WriteSample(folder / "a.h5");
  std::filesystem::permissions(folder / "a.h5", std::filesystem::perms(0666));
  const Hdf5Reader reader = Hdf5Reader::OpenSealed(folder / "a.h5", stamp);
  std::ofstream(folder / "a.h5", std::ios::in | std::ios::binary) << std::string(8192, 'x');
  EXPECT_EQ(ReadAll<int32_t>(reader, "ids", {100, 7}), Ramp<int32_t>(700, -5));
  EXPECT_EQ(ReadAll<uint8_t>(reader, "bytes", {256}), Ramp<uint8_t>(256, 0));
}

TEST(Hdf5, SeveralFilesAtOnce) {
  TemporaryFolder folder;
  const Hdf5Stamp a = WriteSample(folder / "a.h5");
  Hdf5Writer other(folder / "b.h5"), third(folder / "c.h5");
  other.Write<uint8_t>("x", {1}, std::vector<uint8_t>{1});
  third.Write<uint8_t>("x", {1}, std::vector<uint8_t>{2});
  const Hdf5Stamp c = third.Commit(), b = other.Commit();
  const Hdf5Reader first = Hdf5Reader::OpenSealed(folder / "b.h5", b),
                   again = Hdf5Reader::OpenSealed(folder / "b.h5", b),
                   second = Hdf5Reader::OpenSealed(folder / "c.h5", c),
                   sample = Hdf5Reader::OpenSealed(folder / "a.h5", a);
  EXPECT_EQ(ReadAll<uint8_t>(first, "x", {1})[0], 1);
  EXPECT_EQ(ReadAll<uint8_t>(again, "x", {1})[0], 1);
  EXPECT_EQ(ReadAll<uint8_t>(second, "x", {1})[0], 2);
  EXPECT_FALSE(second.Has("ids"));
  EXPECT_TRUE(sample.Has("ids"));
}

// A seal that holds over something that is no HDF5 file: one line, not the library's stack.
TEST(Hdf5, TheLibrarysErrorsAreOneLine) {
  TemporaryFolder folder;
  ::testing::internal::CaptureStderr();
  try {
    OpenAnyway(folder.Put("text.h5", "not an HDF5 file"));
    FAIL();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_EQ(e.kind(), Error::Kind::kFailure);
    EXPECT_NE(text.find("text.h5: HDF5: "), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_EQ(text.find("unknown error"), std::string::npos) << text;
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, TheSameContentIsTheSameBytes) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  WriteSample(folder / "b.h5");
  EXPECT_EQ(ReadText(folder / "a.h5"), ReadText(folder / "b.h5"));
}

TEST(Hdf5, NothingIsLeftWithoutCommit) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const std::string before = ReadText(folder / "a.h5");
  {
    Hdf5Writer writer(folder / "a.h5");
    writer.Write<uint8_t>("x", {1}, std::vector<uint8_t>{1});
  }
  EXPECT_EQ(folder.Entries(), 1u);
  EXPECT_EQ(ReadText(folder / "a.h5"), before);
  EXPECT_THROW(WriteSample(folder / "no" / "such" / "folder.h5"), Error);
}

TEST(Hdf5, MisuseIsABug) {
  TemporaryFolder folder;
  Hdf5Writer writer(folder / "a.h5");
  const std::vector<uint8_t> two = {1, 2};
  writer.Write<uint8_t>("x", {2}, two);
  EXPECT_THROW(writer.Write<uint8_t>("x", {2}, two), Error);
  EXPECT_THROW(writer.Write<uint8_t>("y", {3}, two), Error);
  EXPECT_THROW(writer.Write<uint8_t>("y", {1, 1, 2}, two), Error);
  EXPECT_THROW(writer.Write<uint8_t>("y", {2}, two, {.gzip = 1}), Error);
  EXPECT_THROW(writer.Write<uint8_t>("", {2}, two), Error);
  EXPECT_THROW(writer.SetText("t", std::string(100'000, 't')), Error);
}

}  // namespace
}  // namespace retort
