// SPDX-License-Identifier: Apache-2.0
// A NaN or an infinity in any tensor of a base or an adapter is refused by name, whatever is made
// of it: quantised, it would be a number.
#include <fstream>
#include <limits>

#include "export/merge.h"
#include "export/quantised_folder.h"
#include "export/verify.h"
#include "formats/safetensors.h"
#include "model/load.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class FiniteWeights : public ::testing::Test {
 protected:
  // Runs body with value number `index` of the tensor replaced in its file.
  static void With(const Path& file, const std::string& tensor, size_t index, float value,
                   const std::function<void()>& body) {
    std::streamoff offset = 0;
    {
      const auto read = ReadSafetensors(file);
      const TensorEntry* entry = read.tensors.Find(tensor);
      ASSERT_NE(entry, nullptr) << tensor;
      ASSERT_EQ(entry->format, WeightFormat::kF32);
      offset = entry->bytes.data() - entry->file->bytes().data();
    }
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    offset += static_cast<std::streamoff>(index * sizeof(float));
    float before = 0;
    bytes.seekg(offset).read(reinterpret_cast<char*>(&before), sizeof before);
    const auto put = [&](float v) {
      bytes.seekp(offset).write(reinterpret_cast<const char*>(&v), sizeof v).flush();
    };
    put(value);
    body();
    put(before);
  }
  // Expects Error{kInput} that names the tensor.
  static void Refused(const std::string& tensor, const std::string& what,
                      const std::function<void()>& body) {
    try {
      body();
      ADD_FAILURE() << what << " took " << tensor;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
      EXPECT_NE(std::string(e.what()).find("tensor '" + tensor + "' holds "), std::string::npos)
          << what << ": " << e.what();
    }
  }

  TemporaryFolder folder_;
  std::unique_ptr<Backend> backend_ = MakeCpuBackend(1, Compute::kF32);
};

TEST_F(FiniteWeights, OfABaseAreChecked) {
  DenseConfig config = FolderConfig("qwen2");  // with biases
  MakeModelFolder(folder_ / "m", config);
  MakeAdapterFolder(folder_ / "adapter", OpenModel(folder_ / "m"), nullptr);
  const Path file = folder_ / "m/model.safetensors";
  size_t index = 0;
  for (const TensorSpec& spec : OpenModel(folder_ / "m").layout.tensors) {
    const float odd = ++index % 2 ? std::numeric_limits<float>::quiet_NaN()
                                  : -std::numeric_limits<float>::infinity();
    const auto values = static_cast<size_t>(spec.shape[0] * (spec.is_matrix() ? spec.shape[1] : 1));
    With(file, spec.name, index * 7919 % values, odd, [&] {
      const ModelFiles files = OpenModel(folder_ / "m");
      Refused(spec.name, "loading", [&] { LoadModel(files, {}, *backend_); });
      Refused(spec.name, "loading to train",
              [&] { LoadModel(files, {.weights = WeightFormat::kNF4}, *backend_); });
      Refused(spec.name, "loading to run", [&] {
        LoadModel(files, {.copy = true, .purpose = WeightUse::Purpose::kRunning}, *backend_);
      });
      Refused(spec.name, "export",
              [&] { ExportGguf(files, folder_ / "m.gguf", {.type = WeightFormat::kQ8_0}); });
      Refused(spec.name, "a quantised folder", [&] {
        QuantiseFolder(files, folder_ / "int8", {.method = FolderMethod::kInt8, .threads = 1});
      });
      Refused(spec.name, "merge", [&] {
        MergeOptions options;
        options.base = folder_ / "m";
        options.adapter = folder_ / "adapter";
        options.out = folder_ / "merged";
        Merge(options);
      });
      EXPECT_FALSE(std::filesystem::exists(folder_ / "m.gguf"));
      EXPECT_FALSE(std::filesystem::exists(folder_ / "int8"));
      EXPECT_FALSE(std::filesystem::exists(folder_ / "merged"));
    });
  }
  EXPECT_NO_THROW(LoadModel(OpenModel(folder_ / "m"), {}, *backend_));
}

TEST_F(FiniteWeights, OfAnAdapterAreChecked) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const ModelFiles files = OpenModel(folder_ / "m");
  MakeAdapterFolder(folder_ / "adapter", files, nullptr);
  const Path file = folder_ / "adapter/adapter_model.safetensors";
  const std::string name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
  With(file, name, 11, std::numeric_limits<float>::quiet_NaN(), [&] {
    Refused(name, "an adapter",
            [&] { Adapter::Load(folder_ / "adapter", files.layout, *backend_); });
  });
  EXPECT_NO_THROW(Adapter::Load(folder_ / "adapter", files.layout, *backend_));
}

// Scales of a GGUF's blocks, in the order of the file: rows of q and k are interleaved there.
TEST_F(FiniteWeights, OfAGgufAreChecked) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const Path gguf = folder_ / "m.gguf";
  ExportGguf(OpenModel(folder_ / "m"), gguf, {.type = WeightFormat::kQ8_0});
  std::streamoff offset = 0;
  {
    const ModelFiles files = OpenModel(gguf);
    const TensorEntry* entry = files.tensors.Find("blk.1.attn_q.weight");
    ASSERT_NE(entry, nullptr);
    offset = entry->bytes.data() - entry->file->bytes().data() + 34 * 5;
  }
  std::fstream(gguf, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(offset)
      .write("\0\x7e", 2);
  Refused("blk.1.attn_q.weight", "loading", [&] { LoadModel(OpenModel(gguf), {}, *backend_); });
}

// What FetchTensor copies, because a GGUF interleaves its rows, is in the backend's memory,
// counted.
TEST_F(FiniteWeights, CopiesOfInterleavedRowsAreCounted) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const Path gguf = folder_ / "m.gguf";
  ExportGguf(OpenModel(folder_ / "m"), gguf, {.type = WeightFormat::kQ8_0});
  const ModelFiles files = OpenModel(gguf);
  int64_t copied = 0;
  for (const TensorSpec& spec : files.layout.tensors) {
    if (spec.is_matrix() && spec.order.interleaved_heads > 0)
      copied += std::ssize(files.tensors.Find(spec.gguf_name)->bytes);
  }
  ASSERT_GT(copied, 0);
  const int64_t before = backend_->memory().live_bytes();
  const auto model = LoadModel(files, {}, *backend_);
  EXPECT_GE(backend_->memory().live_bytes() - before, copied);
}

}  // namespace
}  // namespace retort
