// SPDX-License-Identifier: Apache-2.0
#include "model/store/target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "export/init_model.h"
#include "export/verify.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class WrittenTargets : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_ / "model");
    folder_.Put("model/model.safetensors", "weights");
    folder_.Put("model/config.json", "{}");
    folder_.Put("rows.jsonl", "rows");
  }
  void ExpectFile(const Path& out, const std::string& why) {
    SCOPED_TRACE(out);
    const std::vector<Path> sources = {folder_ / "model", folder_ / "rows.jsonl"};
    if (why.empty())
      EXPECT_NO_THROW(CheckTarget(out, TargetKind::kFile, sources));
    else
      ExpectRefused([&] { CheckTarget(out, TargetKind::kFile, sources); }, {out.string(), why});
  }
  void ExpectFolder(const Path& out, const std::string& why) {
    SCOPED_TRACE(out);
    if (why.empty())
      EXPECT_NO_THROW(CheckTarget(out, TargetKind::kFolder, {folder_ / "model"}));
    else
      ExpectRefused([&] { CheckTarget(out, TargetKind::kFolder, {folder_ / "model"}); },
                    {out.string(), why});
  }

  TemporaryFolder folder_;
};

TEST_F(WrittenTargets, DevicesPipesAndOtherKindsAreRefused) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/null", folder_ / "null");
  for (const Path& out :
       {Path("/dev/null"), Path("/dev/full"), Path("/dev/stdout"), Path("/dev/new-file"),
        Path("/proc/self/fd/1"), folder_ / "pipe", folder_ / "null"}) {
    ExpectRefused([&] { CheckTarget(out, TargetKind::kFile); }, {out.string()});
  }
  ExpectFile(folder_ / "new", "");
}

TEST_F(WrittenTargets, PartsOfASourceAreRefusedByAnyName) {
  std::filesystem::create_symlink("model/config.json", folder_ / "link");
  std::filesystem::create_hard_link(folder_ / "model/model.safetensors", folder_ / "hard.gguf");
  std::filesystem::create_directory_symlink("model", folder_ / "alias");
  for (const char* name :
       {"model/model.safetensors", "model/config.json", "model/generation_config.json",
        "model/../model/config.json", "alias/model.safetensors", "alias/tokenizer.model", "link",
        "hard.gguf", "rows.jsonl"}) {
    ExpectFile(folder_ / name, "is part of");
  }
  for (const char* name : {"model/new.gguf", "x.gguf", "x.json", "no/such/folder/x"})
    ExpectFile(folder_ / name, "");
  ExpectFile(folder_ / "model", "is part of");
}

TEST_F(WrittenTargets, FoldersMustBeNewOrEmpty) {
  std::filesystem::create_directory(folder_ / "empty");
  std::filesystem::create_directory(folder_ / "full");
  folder_.Put("full/x", "x");
  std::filesystem::create_directory_symlink("empty", folder_ / "link");
  ExpectFolder(folder_ / "empty", "");
  ExpectFolder(folder_ / "empty/", "");
  ExpectFolder(folder_ / "new/deep", "");
  ExpectFolder(folder_ / "full", "is there already");
  ExpectFolder(folder_ / "link", "symbolic link");
  ExpectFolder(folder_ / "rows.jsonl", "is a file");
  ExpectFolder(folder_ / "rows.jsonl/x", "is not a folder");
  ExpectFolder(folder_ / "model", "is part of");
  ExpectFolder("", "--out");
}

TEST_F(WrittenTargets, OneProcessWritesATarget) {
  const Path out = folder_ / "new" / "x.gguf";
  {
    const TargetLock lock(out);
    ExpectRefused([&] { TargetLock second(out); }, {out.string(), "is writing it"});
    TargetLock other(folder_ / "new" / "y.gguf");
  }
  EXPECT_NO_THROW(TargetLock again(out));
  EXPECT_EQ(FilesIn(folder_ / "new"), std::vector<std::string>());
}

// The commands' work checks its target, and leaves nothing beside it.
TEST_F(WrittenTargets, ExportAndInitHoldTheirTargets) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const ModelFiles source = OpenModel(folder_ / "m");
  const std::string before = ReadText(folder_ / "m/model.safetensors");
  ExpectRefused([&] { ExportGguf(source, folder_ / "m/model.safetensors", {}); }, {"is part of"});
  EXPECT_EQ(ReadText(folder_ / "m/model.safetensors"), before);
  {
    const TargetLock lock(folder_ / "x.gguf");
    ExpectRefused([&] { ExportGguf(source, folder_ / "x.gguf", {}); }, {"is writing it"});
  }
  ExportGguf(source, folder_ / "x.gguf", {});
  InitOptions init;
  init.config = ShapeNamed("1,32,4,2,64,300");
  WriteInitialModel(folder_ / "init", init);
  ExpectRefused([&] { WriteInitialModel(folder_ / "init", init); }, {"is there already"});
  EXPECT_EQ(FilesIn(folder_.path()),
            (std::vector<std::string>{"init", "m", "model", "rows.jsonl", "x.gguf"}));
}

}  // namespace
}  // namespace retort
