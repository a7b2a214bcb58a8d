// SPDX-License-Identifier: Apache-2.0
#include "session/export_record.h"

#include <gtest/gtest.h>

#include "tests/formats/support.h"

namespace retort {
namespace {

// Killed between the note and the exchange, what stands there is still the run's own, and is not
// taken for its successor.
TEST(ExportRecord, AnExchangeThatDidNotHappenLeavesTheOldOneOwned) {
  const TemporaryFolder folder;
  folder.Put("first", "1");
  folder.Put("second", "2");
  folder.Put("place", "1");
  const Path place = folder / "place";
  ExportRecord(folder.path()).Put(place, "weights 1", folder / "first");
  EXPECT_TRUE(ExportRecord(folder.path()).Has(place, "weights 1"));
  ExportRecord(folder.path()).Put(place, "weights 2", folder / "second");
  const ExportRecord record(folder.path());
  EXPECT_TRUE(record.Owns(place));
  EXPECT_FALSE(record.Has(place, "weights 2"));
  EXPECT_EQ(record.Stale("weights 3"), std::vector<Path>{place});
  folder.Put("place", "2");
  EXPECT_TRUE(record.Owns(place));
  EXPECT_TRUE(record.Has(place, "weights 2"));
  folder.Put("place", "somebody's");
  EXPECT_FALSE(record.Owns(place));
  EXPECT_TRUE(record.Stale("weights 3").empty());
}

// Any file and folder below counts, and so do their names.
TEST(ExportRecord, AFolderIsAllThatItHolds) {
  const TemporaryFolder folder;
  const Path place = folder / "place";
  std::filesystem::create_directories(place / "below");
  folder.Put("place/below/a", "1");
  ExportRecord record(folder.path());
  record.Put(place, "weights", place);
  EXPECT_TRUE(record.Owns(place));
  std::filesystem::create_directories(place / "empty");
  EXPECT_FALSE(record.Owns(place));
  std::filesystem::remove(place / "empty");
  std::filesystem::rename(place / "below/a", place / "below/b");
  EXPECT_FALSE(record.Owns(place));
}

TEST(ExportRecord, OlderRecordsVouchForNothingAndBrokenOnesAreRefused) {
  const TemporaryFolder folder;
  folder.Put("place", "1");
  folder.Put("exports.json", R"({"trained": "weights", "merged": "place"})");
  EXPECT_FALSE(ExportRecord(folder.path()).Owns(folder / "place"));
  for (const char* places : {"1", R"({"place": 1})", R"({"place": {"trained": "weights"}})"}) {
    folder.Put("exports.json", Cat(R"({"places": )", places, "}"));
    ExpectRefused([&] { ExportRecord(folder.path()); }, {"exports.json"});
  }
}

}  // namespace
}  // namespace retort
