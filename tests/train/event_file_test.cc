// SPDX-License-Identifier: Apache-2.0
#include "train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/formats/support.h"
#include "train/metrics_csv.h"

namespace retort {
namespace {

TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);            // RFC 3720's check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

uint64_t Number(std::string_view bytes, size_t size) {
  uint64_t out = 0;
  std::memcpy(&out, bytes.data(), size);
  return out;
}

// The records of the only file in a folder, after checking their frames.
std::vector<std::string> Records(const Path& folder) {
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  EXPECT_EQ(files.size(), 1u);
  const std::string all = ReadText(files.at(0));
  const auto masked = [](std::string_view bytes) {
    const uint32_t crc = Crc32c(bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
  };
  std::vector<std::string> out;
  for (std::string_view rest = all; !rest.empty();) {
    const uint64_t size = Number(rest, 8);
    EXPECT_EQ(Number(rest.substr(8), 4), masked(rest.substr(0, 8)));
    out.emplace_back(rest.substr(12, size));
    EXPECT_EQ(Number(rest.substr(12 + size), 4), masked(out.back()));
    rest.remove_prefix(12 + size + 4);
  }
  return out;
}

TEST(EventFile, HoldsScalarsInRecords) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 0);
  file.Add(300, {{"train/loss", 1.5}, {"train/lr", 0.25}});
  const std::vector<std::string> records = Records(folder.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].substr(9), std::string("\x1a\x0d") + "brain.Event:2");
  // Behind the time: step 300, then a summary of two values, each a tag and a float.
  const std::string loss = std::string("\x0a\x0a") + "train/loss" + "\x15" +
                           std::string("\0\0\xc0\x3f", 4),
                    rate = std::string("\x0a\x08") + "train/lr" + "\x15" +
                           std::string("\0\0\x80\x3e", 4);
  EXPECT_EQ(records[1].substr(9),
            std::string("\x10\xac\x02\x2a\x24\x0a\x11") + loss + "\x0a\x0f" + rate);
}

TEST(EventFile, OfAResumedRunVoidsLaterSteps) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 6);
  const std::vector<std::string> records = Records(folder.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].substr(9), "\x10\x07\x3a\x02\x08\x01");  // step 7, session log: start
}

TEST(EventFile, OfARunThatBeginsAgainVoidsAllSteps) {
  const TemporaryFolder folder;
  const Path earlier = folder.Put("events.out.tfevents.1.retort.1", "");
  EventFile file(folder.path(), 0);
  std::filesystem::remove(earlier);
  const std::vector<std::string> records = Records(folder.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].substr(9), "\x10\x01\x3a\x02\x08\x01");
}

TEST(MetricsCsv, HasAColumnForEachKey) {
  const TemporaryFolder folder;
  const Path file = folder.Put(
      "metrics.jsonl", "{\"step\":1,\"loss\":2.5}\n{\"step\":1,\"eval_loss\":3}\n{\"step\":2");
  EXPECT_EQ(MetricsCsv(file), "step,loss,eval_loss\r\n1,2.5,\r\n1,,3\r\n");
}

}  // namespace
}  // namespace retort
