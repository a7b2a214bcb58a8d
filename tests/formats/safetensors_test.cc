// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <cmath>
#include <cstring>

#include "tests/formats/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

std::string File(std::string_view header, std::string_view data) {
  return ByteBuilder().String(header).Text(data).text();
}

TEST(Safetensors, ReadsAFileMadeByHand) {
  TemporaryFolder folder;
  const Path path = folder.Put(
      "a.safetensors",
      File(
          R"({"__metadata__":{"format":"pt","k":"v"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
          R"("h":{"data_offsets":[0,2],"shape":[],"dtype":"BF16"},"i":{"dtype":"I8","shape":[3],"data_offsets":[10,13]},)"
          R"("e":{"dtype":"F16","shape":[0,7],"data_offsets":[2,2]},"n":{"dtype":"NEW4","shape":[5],"data_offsets":[13,14]}}   )",
          std::string("\x80\x3f"
                      "\0\0\x80\x3f\0\0\0\xc0"
                      "abc"
                      "n",
                      14)));
  const SafetensorsFile file = ReadSafetensors(path);
  EXPECT_EQ(file.metadata, (TextPairs{{"format", "pt"}, {"k", "v"}}));
  ASSERT_EQ(file.tensors.entries().size(), 5u);
  EXPECT_EQ(file.tensors.entries()[0].name, "w");  // the file's order
  const Weight w = file.tensors.Load("w", {2, 1});
  float values[2];
  std::memcpy(values, w.bytes().data(), 8);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(file.tensors.Find("h")->format, WeightFormat::kBF16);
  EXPECT_TRUE(file.tensors.Find("h")->shape.empty());
  EXPECT_EQ(file.tensors.Find("e")->bytes.size(), 0u);
  EXPECT_EQ(file.tensors.Find("i")->type_name(), "I8");
  EXPECT_EQ(TextOf(file.tensors.Find("i")->bytes), "abc");
  EXPECT_EQ(file.tensors.Find("n")->other_type, "NEW4");
  ExpectRefused([&] { file.tensors.Load("i", {3}); }, {"a.safetensors", "'i'", "I8"});
}

// The bytes themselves, so that a reader and a writer that are wrong alike are caught. The 2-byte
// tensor comes after the 4-byte one although it was declared first.
TEST(Safetensors, WritesExactlyTheseBytes) {
  TemporaryFolder folder;
  SafetensorsWriter writer(folder / "w", {{"format", "pt"}});
  writer.Declare("h", WeightFormat::kF16, {1});
  writer.Declare("a\"b", WeightFormat::kF32, {1, 2});
  const std::vector<float> values = {1.0f, -2.0f};
  const std::vector<uint16_t> half = {0x3c00};
  writer.Write("a\"b", BytesOf(values).subspan(0, 3));
  writer.Write("h", BytesOf(half));
  writer.Write("a\"b", BytesOf(values).subspan(3));
  EXPECT_FALSE(std::filesystem::exists(folder / "w"));
  writer.Commit();
  std::string header =
      R"({"__metadata__":{"format":"pt"},"h":{"dtype":"F16","shape":[1],"data_offsets":[8,10]},)"
      R"("a\"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  while (header.size() % 8 != 0) header += ' ';
  EXPECT_EQ(ReadText(folder / "w"),
            File(header, std::string_view("\0\0\x80\x3f\0\0\0\xc0\0\x3c", 10)));
  EXPECT_EQ(ReadSafetensors(folder / "w").tensors.Load("a\"b", {1, 2}).rows(), 1);
}

TEST(Safetensors, WritesAFileOfNoTensors) {
  TemporaryFolder folder;
  SafetensorsWriter(folder / "w").Commit();
  EXPECT_TRUE(ReadSafetensors(folder / "w").tensors.entries().empty());
}

class ShardsTest : public ::testing::Test {
 protected:
  void PutShard(std::string_view name, std::vector<std::pair<std::string, float>> tensors) {
    SafetensorsWriter writer(folder_ / name);
    for (const auto& [tensor, value] : tensors) writer.Declare(tensor, WeightFormat::kF32, {1});
    for (const auto& [tensor, value] : tensors) {
      writer.Write(tensor, std::as_bytes(std::span(&value, 1)));
    }
    writer.Commit();
  }
  void PutIndex(std::string_view map) {
    folder_.Put(
        "model.safetensors.index.json",
        Cat(R"({"metadata":{"total_size":1e3,"x":[{"weight_map":null}]},"weight_map":)", map, "}"));
  }
  float Value(const TensorTable& table, std::string_view name) {
    float value;
    std::memcpy(&value, table.Load(name, {1}).bytes().data(), 4);
    return value;
  }
  TemporaryFolder folder_;
};

TEST_F(ShardsTest, TheIndexDecidesWhoseATensorIs) {
  PutShard("m-1.safetensors", {{"a", 1}, {"b", 2}, {"unnamed", 3}});
  PutShard("m-2.safetensors", {{"b", 20}, {"c", 30}});
  PutIndex(R"({"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-2.safetensors"})");
  const TensorTable table = ReadSafetensorsFolder(folder_.path());
  EXPECT_EQ(table.entries().size(), 4u);
  EXPECT_EQ(Value(table, "b"), 20);
  EXPECT_EQ(Value(table, "unnamed"), 3);
  EXPECT_EQ(table.Find("b")->file, table.Find("c")->file);  // opened once
}

TEST_F(ShardsTest, RefusesByNameWhatDoesNotFit) {
  PutShard("m-1.safetensors", {{"a", 1}, {"d", 1}});
  PutShard("m-2.safetensors", {{"c", 3}, {"d", 1}});
  const auto read = [&] { ReadSafetensorsFolder(folder_.path()); };
  ExpectRefused(read, {"several", "model.safetensors.index.json"});
  PutIndex(R"({"a":"m-1.safetensors","x":"m-2.safetensors","d":"m-1.safetensors"})");
  ExpectRefused(read, {"m-2.safetensors", "'x'", "missing"});
  PutIndex(R"({"a":"m-1.safetensors","c":"m-2.safetensors"})");
  ExpectRefused(read, {"index.json", "'d'", "twice"});
  PutIndex(R"({"a":"m-9.safetensors"})");
  ExpectRefused(read, {"m-9.safetensors", "cannot be opened"});
  PutIndex(R"({"a":"../m-1.safetensors"})");
  ExpectRefused(read, {"'a'", "'../m-1.safetensors'", "not a plain file name"});
  PutIndex(R"({"a":"m-1.safetensors","a":"m-2.safetensors"})");
  ExpectRefused(read, {"index.json", "second 'a'"});
  PutIndex(R"({"a":7})");
  ExpectRefused(read, {"index.json", "weight_map", "'a'", "a number"});
  PutIndex(R"(["a"])");
  ExpectRefused(read, {"index.json", "weight_map", "an array"});
  folder_.Put("model.safetensors.index.json", R"({"weights":{}})");
  ExpectRefused(read, {"index.json", "'weight_map' is missing"});
  folder_.Put("model.safetensors.index.json", "[1]");
  ExpectRefused(read, {"index.json", "expected an object"});
  folder_.Put("model.safetensors.index.json", R"({"weight_map":{"a")");
  ExpectRefused(read, {"index.json", "not JSON"});
}

TEST_F(ShardsTest, AFolderWithOneFileNeedsNoIndex) {
  ExpectRefused([&] { ReadSafetensorsFolder(folder_.path()); }, {"no *.safetensors"});
  ExpectRefused([&] { ReadSafetensorsFolder(folder_ / "none"); }, {"none"});
  PutShard("only.safetensors", {{"a", 1}});
  EXPECT_EQ(Value(ReadSafetensorsFolder(folder_.path()), "a"), 1);
  PutShard("model.safetensors", {{"a", 5}});
  EXPECT_EQ(Value(ReadSafetensorsFolder(folder_.path()), "a"), 5);
}

// Trained weights: finite, not all the same, and as many as the shapes of the README say.
TEST(Safetensors, ReadsRealModels) {
  RETORT_NEEDS(models, "real/models");
  const std::vector<std::pair<std::string, int64_t>> names = {{"stories260K", 64},
                                                              {"llama2xs-280K", 64},
                                                              {"babyllama-936K", 128},
                                                              {"tinystories-656K", 128}};
  for (const auto& [name, width] : names) {
    const TensorTable table = ReadSafetensorsFolder(models / name);
    EXPECT_GT(table.entries().size(), 15u) << name;
    const Weight norm = table.Load("model.norm.weight", {width});
    for (const TensorEntry& entry : table.entries()) {
      ASSERT_TRUE(entry.is_weight()) << name << " " << entry.name << " " << entry.other_type;
      if (entry.format != WeightFormat::kF32) continue;
      double sum = 0;
      for (size_t i = 0; i + 4 <= entry.bytes.size(); i += 4) {
        float value;
        std::memcpy(&value, entry.bytes.data() + i, 4);
        sum += std::fabs(value);
      }
      const double mean = sum / (static_cast<double>(entry.bytes.size()) / 4);
      EXPECT_TRUE(std::isfinite(mean) && mean > 1e-4 && mean < 20) << entry.name << " " << mean;
    }
  }
}

}  // namespace
}  // namespace retort
