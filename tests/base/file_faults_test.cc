// SPDX-License-Identifier: Apache-2.0
// Writers at every failing call: the target is the old one or the new one, whole, and nothing
// temporary stays, or what stays is removed by the next writer.
#include "base/file_faults.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "tests/support/fault_at.h"

namespace retort {
namespace {

class FileFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = Path(::testing::TempDir()) / Cat("retort_faults_", ::getpid());
    Clear();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Clear() const {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  // What is in the test's folder: "a b/c", hidden names included.
  std::string Entries() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(folder_).string());
    }
    std::sort(names.begin(), names.end());
    return Join(names, " ");
  }
  bool HoldsTemporaries() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == ".partial") return true;
    }
    return false;
  }

  // A way to write, and how to tell the old from the new result.
  struct Writer {
    const char* name;
    std::function<void(const Path& folder, const std::string& text)> write;
    std::function<std::string(const Path& folder)> read;
  };
  std::vector<Writer> Writers() const;
  void Prepare(const Writer& writer) const {
    Clear();
    writer.write(folder_, "the old text");
  }

  Path folder_;
};

std::vector<FileFaultsTest::Writer> FileFaultsTest::Writers() const {
  const auto file = [](const Path& folder) { return ReadText(folder / "target"); };
  return {
      {"AtomicFile",
       [](const Path& folder, const std::string& text) {
         AtomicFile out(folder / "target");
         for (const char c : text) out.Write(std::string_view(&c, 1));
         out.WriteAt(0, std::as_bytes(std::span(text)));
         out.Commit();
       },
       file},
      {"StagedFile",
       [](const Path& folder, const std::string& text) {
         StagedFile out(folder / "target");
         std::ofstream(out.path()) << text;
         out.Commit();
       },
       file},
      {"AtomicFolder",
       [](const Path& folder, const std::string& text) {
         AtomicFolder out(folder / "target", AtomicFolder::Old::kReplace);
         WriteTextAtomically(out.path() / "first", text);
         std::ofstream(out.path() / "second") << text;
         out.Commit();
       },
       [](const Path& folder) {
         const std::string first = ReadText(folder / "target" / "first");
         EXPECT_EQ(ReadText(folder / "target" / "second"), first);
         return first;
       }},
  };
}

TEST_F(FileFaultsTest, AFailureAtAnyCallLeavesTheOldOrTheNewAndNothingElse) {
  for (const Writer& writer : Writers()) {
    for (const Fault fault : {Fault::kNoSpace, Fault::kInputOutput}) {
      int failures = 0;
      for (int64_t k = 0;; ++k) {
        Prepare(writer);
        const std::string before = Entries();
        const FaultAt at(k, fault);
        bool failed = false;
        try {
          writer.write(folder_, "the new text");
        } catch (const Error& e) {
          failed = true;
          EXPECT_EQ(e.kind(), Error::Kind::kFailure);
          EXPECT_NE(std::string(e.what()).find(folder_.string()), std::string::npos) << e.what();
        }
        failures += failed;
        const std::string text = writer.read(folder_);
        EXPECT_TRUE(text == "the new text" || (failed && text == "the old text"))
            << writer.name << " at " << k << ": " << text;
        EXPECT_EQ(Entries(), before) << writer.name << " at " << k;
        EXPECT_FALSE(HoldsTemporaries()) << writer.name << " at " << k;
        if (at.changes() <= k) break;
      }
      EXPECT_GE(failures, 4) << writer.name << " asks before making, syncing and renaming";
    }
  }
}

TEST_F(FileFaultsTest, ShortWritesAreContinued) {
  for (const Writer& writer : Writers()) {
    Prepare(writer);
    const FaultAt at(0, Fault::kShort);
    writer.write(folder_, "the new text");
    EXPECT_EQ(writer.read(folder_), "the new text") << writer.name;
  }
  const FaultAt at(0, Fault::kShort);
  AppendFile(folder_ / "lines").Append("a long line\n");
  EXPECT_EQ(ReadText(folder_ / "lines"), "a long line\n");
}

TEST_F(FileFaultsTest, ACrashAtAnyCallLeavesTheOldOrTheNewAndTheNextWriterCleansUp) {
  for (const Writer& writer : Writers()) {
    int left = 0;
    for (int64_t k = 0;; ++k) {
      Prepare(writer);
      const std::string before = Entries();
      const bool crashed = CrashesAt(k, [&] { writer.write(folder_, "the new text"); });
      const std::string text = writer.read(folder_);
      EXPECT_TRUE(text == "the new text" || (crashed && text == "the old text"))
          << writer.name << " at " << k << ": " << text;
      left += HoldsTemporaries();
      writer.write(folder_, "the next text");
      EXPECT_EQ(writer.read(folder_), "the next text");
      EXPECT_EQ(Entries(), before) << writer.name << " at " << k;
      EXPECT_FALSE(HoldsTemporaries()) << writer.name << " at " << k;
      if (!crashed) break;
    }
    EXPECT_GE(left, 2) << writer.name << ": a crash after making leaves something to clean up";
  }
}

TEST_F(FileFaultsTest, ALiveWritersTemporariesStay) {
  AtomicFile file(folder_ / "target");
  AtomicFolder folder(folder_ / "target2");
  StagedFile staged(folder_ / "target3");
  file.Write("live");
  WriteTextAtomically(folder.path() / "x", "live");
  std::ofstream(staged.path()) << "live";
  RemoveLeftovers(folder_);
  WriteTextAtomically(folder_ / "target", "another");
  WriteTextAtomically(folder_ / "target3", "another");
  file.Commit();
  folder.Commit();
  staged.Commit();
  EXPECT_EQ(ReadText(folder_ / "target"), "live");
  EXPECT_EQ(ReadText(folder_ / "target2" / "x"), "live");
  EXPECT_EQ(ReadText(folder_ / "target3"), "live");
}

TEST_F(FileFaultsTest, OnlyTemporariesOfOursAreRemoved) {
  const std::string digits = "0123456789abcdef";
  const std::vector<std::string> kept = {
      Cat(".", "target.", digits, ".partial2"), Cat("target.", digits, ".partial"),
      ".target.partial", ".target.1234.partial", Cat(".target", digits, ".partial")};
  for (const std::string& name : kept) std::ofstream(folder_ / name) << "x";
  std::ofstream(folder_ / Cat(".other.", digits, ".partial")) << "x";
  WriteTextAtomically(folder_ / "target", "1");  // of its own target only
  EXPECT_TRUE(std::filesystem::exists(folder_ / Cat(".other.", digits, ".partial")));
  std::ofstream(folder_ / Cat(".target.", digits, ".partial")) << "x";
  WriteTextAtomically(folder_ / "target", "2");
  EXPECT_FALSE(std::filesystem::exists(folder_ / Cat(".target.", digits, ".partial")));
  RemoveLeftovers(folder_);
  EXPECT_FALSE(std::filesystem::exists(folder_ / Cat(".other.", digits, ".partial")));
  for (const std::string& name : kept) EXPECT_TRUE(std::filesystem::exists(folder_ / name)) << name;
}

TEST_F(FileFaultsTest, ALinkAmongTheLeftoversIsNotFollowed) {
  WriteTextAtomically(folder_ / "precious", "mine");
  std::filesystem::create_symlink("precious", folder_ / ".target.0123456789abcdef.partial");
  WriteTextAtomically(folder_ / "target", "1");
  RemoveLeftovers(folder_);
  EXPECT_EQ(ReadText(folder_ / "precious"), "mine");
}

// Killed at any moment, a removed folder is there whole or gone.
TEST_F(FileFaultsTest, AFolderIsRemovedAtOnce) {
  for (int64_t k = 0;; ++k) {
    Clear();
    std::filesystem::create_directories(folder_ / "step-1");
    for (const char* name : {"a", "b", "c"}) std::ofstream(folder_ / "step-1" / name) << name;
    const bool crashed = CrashesAt(k, [&] { RemoveFolder(folder_ / "step-1"); });
    if (std::filesystem::exists(folder_ / "step-1")) {
      EXPECT_TRUE(crashed);
      EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "step-1"), {}), 3);
    }
    RemoveLeftovers(folder_);
    EXPECT_FALSE(HoldsTemporaries());
    if (!crashed) break;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "step-1"));
  RemoveFolder(folder_ / "step-1");  // no error
}

}  // namespace
}  // namespace retort
