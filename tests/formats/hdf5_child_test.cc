// SPDX-License-Identifier: Apache-2.0
// HDF5 files from strangers: read in a child process, where the library may crash.
#include "formats/hdf5_child.h"

#include <hdf5.h>
#include <sys/stat.h>

#include <cstring>
#include <map>

#include "base/random.h"
#include "tests/formats/child_main.h"
#include "tests/formats/hdf5_samples.h"
#include "tests/support/shared_data.h"

int main(int argc, char** argv) { return retort::RunTestsOrHdf5Child(argc, argv); }

namespace retort {
namespace {

constexpr int64_t kEnough = 1 << 20;

std::map<std::string, Hdf5Item> Items(const Path& path, Hdf5Wanted wanted = Hdf5Wanted::kValues,
                                      int64_t most = kEnough) {
  std::map<std::string, Hdf5Item> out;
  ReadHdf5InChild(path, wanted, most, [&](Hdf5Item&& item) {
    const std::string name = item.name;
    EXPECT_TRUE(out.emplace(name, std::move(item)).second) << name;
  });
  return out;
}

template <class T>
void ExpectValues(const Hdf5Item& item, const std::vector<int64_t>& shape,
                  const std::vector<T>& want) {
  EXPECT_EQ(item.type, Hdf5TypeOf<T>::kValue) << item.name;
  EXPECT_EQ(item.shape, shape) << item.name;
  ASSERT_EQ(item.values.size(), want.size() * sizeof(T)) << item.name;
  const bool same =
      want.empty() || std::memcmp(item.values.data(), want.data(), item.values.size()) == 0;
  EXPECT_TRUE(same) << item.name;
}

TEST(Hdf5Child, SendsEverything) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const auto items = Items(folder / "a.h5");
  EXPECT_EQ(items.size(), 7u + 4);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectValues<float>(items.at("optimizer/m/model.layers.0.q_proj"), {3, 2},
                      {1, -0.0f, 1e-45f, nan, INFINITY, 0.1f});
  ExpectValues<double>(items.at("sums"), {1}, {0.1});
  ExpectValues<int32_t>(items.at("ids"), {100, 7}, Ramp<int32_t>(700, -5));
  ExpectValues<int64_t>(items.at("steps"), {5}, {1, INT64_MIN, INT64_MAX, 0, -1});
  ExpectValues<uint8_t>(items.at("bytes"), {256}, Ramp<uint8_t>(256, 0));
  ExpectValues<uint16_t>(items.at("halves"), {3, 2}, {0, 1, 255, 256, 32768, 65535});
  ExpectValues<float>(items.at("nothing"), {0, 4}, {});
  EXPECT_EQ(items.at("kind").text, "trainer state ✓");
  EXPECT_EQ(items.at("empty").text, "");
  EXPECT_EQ(items.at("step").integer, int64_t{1} << 40);
  EXPECT_EQ(items.at("loss").number, 0.1);
}

TEST(Hdf5Child, SendsNamesWithoutValues) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const auto items = Items(folder / "a.h5", Hdf5Wanted::kNames, 0);
  const auto want = OpenAnyway(folder / "a.h5").Datasets();
  ASSERT_EQ(items.size(), want.size());
  for (const auto& d : want) {
    const Hdf5Item& item = items.at(d.name);
    EXPECT_EQ(NameOf(*item.type), d.type);
    EXPECT_EQ(item.shape, d.shape);
    EXPECT_EQ(item.stored_bytes, d.stored_bytes);
    EXPECT_TRUE(item.values.empty());
  }
}

TEST(Hdf5Child, ValuesBeyondTheLimitAreRefused) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const int64_t all = 24 + 8 + 2800 + 40 + 256 + 12;
  EXPECT_EQ(Items(folder / "a.h5", Hdf5Wanted::kValues, all).size(), 11u);
  ExpectRefused([&] { Items(folder / "a.h5", Hdf5Wanted::kValues, all - 1); },
                {"a.h5", "dataset '", "larger than"});
}

TEST(Hdf5Child, WhatIsNoHdf5FileIsRefused) {
  TemporaryFolder folder;
  ExpectRefused([&] { Items(folder.Put("text.h5", "not an HDF5 file")); }, {"text.h5: "});
  ExpectRefused([&] { Items(folder.Put("-empty.h5", "")); }, {"-empty.h5: is empty"});
  ExpectRefused([&] { Items(folder / "none.h5"); }, {"none.h5: cannot be opened"});
  ExpectRefused([&] { Items(folder.path()); }, {"not a regular file"});
  ASSERT_EQ(::mkfifo((folder / "pipe.h5").c_str(), 0600), 0);
  ExpectRefused([&] { Items(folder / "pipe.h5"); }, {"pipe.h5: is not a regular file"});
}

// An error of the one who takes the items ends the child and is the one that is thrown.
TEST(Hdf5Child, TheTakerMayStop) {
  TemporaryFolder folder;
  WriteSample(folder / "a.h5");
  const auto stop = [&] {
    ReadHdf5InChild(folder / "a.h5", Hdf5Wanted::kValues, kEnough,
                    [](Hdf5Item&&) { throw InputError("enough"); });
  };
  ExpectRefused(stop, {"enough"});
}

// Files that lead to others, made with the library itself.
class ForeignFile {
 public:
  explicit ForeignFile(const Path& path)
      : id_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}
  ~ForeignFile() { H5Fclose(id_); }
  hid_t id() const { return id_; }

  void Put(const char* name, hid_t creation) const {
    const hsize_t dims[] = {16};
    const hid_t space = H5Screate_simple(1, dims, nullptr);
    const hid_t set =
        H5Dcreate2(id_, name, H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(set, 0);
    H5Dclose(set);
    H5Sclose(space);
  }

 private:
  hid_t id_;
};

TEST(Hdf5Child, OtherFilesAreNotRead) {
  TemporaryFolder folder;
  WriteSample(folder / "other.h5");
  const Path secret = folder.Put("secret.txt", "sixteen letters.");
  const auto expect = [&](const std::string& name, const std::string& part) {
    for (const Hdf5Wanted wanted : {Hdf5Wanted::kNames, Hdf5Wanted::kValues})
      ExpectRefused([&] { Items(folder / name, wanted); }, {name, part});
    ExpectRefused([&] { OpenAnyway(folder / name).Datasets(); }, {name, part});
  };
  {
    const ForeignFile file(folder / "external.h5");
    H5Lcreate_external((folder / "other.h5").c_str(), "ids", file.id(), "ids", H5P_DEFAULT,
                       H5P_DEFAULT);
  }
  expect("external.h5", "'ids' is a link to another place");
  {
    const ForeignFile file(folder / "soft.h5");
    H5Lcreate_soft("/nowhere", file.id(), "ids", H5P_DEFAULT, H5P_DEFAULT);
  }
  expect("soft.h5", "'ids' is a link to another place");
  {
    const ForeignFile file(folder / "storage.h5");
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, secret.c_str(), 0, 16);
    file.Put("ids", creation);
    H5Pclose(creation);
  }
  expect("storage.h5", "'ids' keeps its data in other files");
  {
    const ForeignFile file(folder / "virtual.h5");
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t dims[] = {16};
    const hid_t space = H5Screate_simple(1, dims, nullptr);
    H5Pset_virtual(creation, space, (folder / "other.h5").c_str(), "bytes", space);
    file.Put("ids", creation);
    H5Sclose(space);
    H5Pclose(creation);
  }
  expect("virtual.h5", "'ids' keeps its data in other files");
}

// Whatever a file holds, this process goes on: the file is read, or refused in one line.
void ReadOrRefuse(const Path& path, int& refused) {
  for (const Hdf5Wanted wanted : {Hdf5Wanted::kNames, Hdf5Wanted::kValues}) {
    try {
      Items(path, wanted);
    } catch (const Error& e) {
      const std::string text = e.what();
      ++refused;
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_NE(text.find(path.filename().string()), std::string::npos) << text;
      EXPECT_LT(text.size(), 3000u) << text;
    }
  }
}

TEST(Hdf5Child, SurvivesHostileFiles) {
  RETORT_NEEDS(hostile, "cases/hostile");
  int files = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(hostile)) {
    if (entry.path().extension() != ".h5") continue;
    ++files;
    ReadOrRefuse(entry.path(), refused);
  }
  EXPECT_GT(files, 0);
  EXPECT_GT(refused, 0);
}

TEST(Hdf5Child, SurvivesMutations) {
  TemporaryFolder folder;
  WriteSample(folder / "good.h5");
  const std::string good = ReadText(folder / "good.h5");
  RandomStream random(MakeKey(11, RandomUse::kData));
  int refused = 0;
  constexpr int kFiles = 100;
  for (int i = 0; i < kFiles; ++i) {
    std::string bad = good;
    for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
      const size_t at = random.Below(bad.size());
      const size_t length = std::min<size_t>(bad.size() - at, 1 + random.Below(8));
      constexpr char kBytes[] = {0, 1, 2, 3, '\x7f', '\xff', 'T', 'S'};
      bad.replace(at, length, std::string(length, kBytes[random.Below(sizeof kBytes)]));
    }
    if (random.Below(20) == 0) bad.resize(random.Below(bad.size()));
    ReadOrRefuse(folder.Put("bad.h5", bad), refused);
  }
  EXPECT_GT(refused, kFiles / 10);
  EXPECT_LT(refused, 2 * kFiles);
}

// Faults of our own reader, behind a seal: it does not rely on the seal alone.
class DamagedSample : public ::testing::Test {
 protected:
  DamagedSample() {
    WriteSample(folder_ / "a.h5");
    text_ = ReadText(folder_ / "a.h5");
  }
  template <class T>
  void Patch(size_t at, T value) {
    ASSERT_LE(at + sizeof value, text_.size());
    std::memcpy(text_.data() + at, &value, sizeof value);
  }
  Path Put() const { return folder_.Put("bad.h5", text_); }

  TemporaryFolder folder_;
  std::string text_;
};

TEST_F(DamagedSample, ChunksOfADatasetWithoutDimensions) {
  const std::string dims = ByteBuilder().Add(uint64_t{100}).Add(uint64_t{7}).text();
  const size_t at = text_.find(dims);  // of the dataspace's message, whose rank is at its byte 1
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(text_.substr(at - 8, 2), "\x01\x02");
  Patch(at - 7, uint8_t{0});
  ExpectRefused([&] { OpenAnyway(Put()).ChunkRows("ids"); }, {"bad.h5", "'ids'", "chunks"});
  ExpectRefused([&] { OpenAnyway(Put()).ReadChunk<int32_t>("ids", 0, 7); }, {"bad.h5", "'ids'"});
}

TEST_F(DamagedSample, ChunksLargerThanTheFile) {
  // A leaf of a tree of chunks: "TREE", type 1, level 0, entries, two siblings; then for each chunk
  // its size. That of `ids` is the one of 7 chunks.
  const std::string tree =
      ByteBuilder().Text("TREE").Add(uint8_t{1}).Add(uint8_t{0}).Add(uint16_t{7}).text();
  const size_t at = text_.find(tree);
  ASSERT_NE(at, std::string::npos);
  Patch(at + 24, uint32_t{0xffffffdd});
  const Hdf5Reader reader = OpenAnyway(Put());
  ExpectRefused([&] { reader.ReadChunk<int32_t>("ids", 0, 7); },
                {"bad.h5", "'ids'", "chunk 0 claims 4294967261 bytes"});
  EXPECT_EQ(Hdf5Reader::Unpack<int32_t>(reader.ReadChunk<int32_t>("ids", 1, 7))[0], -5 + 16 * 7);
}

}  // namespace
}  // namespace retort
