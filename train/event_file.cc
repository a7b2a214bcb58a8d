// SPDX-License-Identifier: Apache-2.0
#include "train/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "base/strings.h"

namespace retort {
namespace {

// Fields of protocol buffers by number: Event's and, below it, Summary's and SessionLog's.
enum : uint32_t { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum : uint32_t { kSummaryValue = 1, kValueTag = 1, kValueNumber = 2, kLogStatus = 1 };
constexpr uint64_t kLogStart = 1;

template <class T>
std::string BytesOf(T value) {  // little-endian
  static_assert(std::endian::native == std::endian::little);
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

// Wire types: 0 varint, 1 eight bytes, 2 bytes with their length, 5 four bytes.
std::string Key(uint32_t field, uint32_t type) { return Varint(field << 3 | type); }
std::string Field(uint32_t field, uint64_t value) { return Key(field, 0) + Varint(value); }
std::string Field(uint32_t field, double value) { return Key(field, 1) + BytesOf(value); }
std::string Field(uint32_t field, float value) { return Key(field, 5) + BytesOf(value); }
std::string Field(uint32_t field, std::string_view bytes) {
  return Cat(Key(field, 2), Varint(bytes.size()), bytes);
}

double Now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

constexpr std::string_view kName = "events.out.tfevents.";

Path NewName(const Path& folder) {
  return folder / Cat(kName, static_cast<int64_t>(Now()), ".retort.", ::getpid());
}

int64_t FilesIn(const Path& folder) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += entry.path().filename().string().starts_with(kName);
  return count;
}

uint32_t Masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> out{};
    for (uint32_t i = 0; i < 256; ++i) {
      out[i] = i;
      for (int bit = 0; bit < 8; ++bit) out[i] = out[i] >> 1 ^ (out[i] & 1 ? 0x82f63b78u : 0);
    }
    return out;
  }();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

EventFile::EventFile(const Path& folder, int64_t after_step) : file_(NewName(folder)) {
  Write(Field(kWallTime, Now()) + Field(kFileVersion, std::string_view("brain.Event:2")));
  // Also of a run that begins again, as it was stopped before its first checkpoint.
  if (after_step > 0 || FilesIn(folder) > 1) {
    Write(Field(kWallTime, Now()) + Field(kStep, static_cast<uint64_t>(after_step + 1)) +
          Field(kSessionLog, Field(kLogStatus, kLogStart)));
  }
}

void EventFile::Add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += Field(kSummaryValue, Field(kValueTag, std::string_view(tag)) +
                                        Field(kValueNumber, static_cast<float>(value)));
  }
  Write(Field(kWallTime, Now()) + Field(kStep, static_cast<uint64_t>(step)) +
        Field(kSummary, summary));
}

void EventFile::Write(std::string_view event) {
  const std::string length = BytesOf(static_cast<uint64_t>(event.size()));
  file_.Append(Cat(length, BytesOf(Masked(Crc32c(length))), event, BytesOf(Masked(Crc32c(event)))));
}

}  // namespace retort
