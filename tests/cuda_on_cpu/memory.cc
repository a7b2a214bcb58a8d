// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda_on_cpu/memory.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace retort::cuda::emulated {
namespace {

constexpr int kWarp = 32;
constexpr size_t kMostFaults = 20;
constexpr size_t kFreedBytes = size_t{4} << 20;
constexpr size_t kStep = 2;  // bytes of an access that share a cell

// By first address. Allocations are few: models are small here.
std::map<const std::byte*, std::unique_ptr<Allocation>>& Allocations() {
  static std::map<const std::byte*, std::unique_ptr<Allocation>> all;
  return all;
}

std::vector<std::string>& Faults() {
  static std::vector<std::string> faults;
  return faults;
}

}  // namespace

bool Toucher::RacesWith(const Toucher& other) const {
  if (launch == 0 || launch != other.launch) return false;
  if (block != other.block) return true;
  if (thread == other.thread || barriers != other.barriers) return false;
  return thread / kWarp != other.thread / kWarp || warp_barriers == other.warp_barriers;
}

bool Toucher::SamePhase(const Toucher& other) const {
  return launch == other.launch && block == other.block && barriers == other.barriers;
}

const char* Shadow::Read(size_t at, size_t bytes, const Toucher& who) {
  const char* fault = Written(at, bytes) ? nullptr : "a read of memory never written";
  if (freed_) fault = "a read of memory that was freed";
  for (size_t i = at; i < at + bytes; i += kStep) {
    Cell& cell = cells_[i];
    if (cell.writer.RacesWith(who)) fault = "a read that races with a write";
    if (cell.reader.launch == who.launch && cell.reader.block != who.block)
      cell.many_blocks = who.launch;
    cell.several_readers =
        cell.reader.RacesWith(who) || (cell.several_readers && cell.reader.SamePhase(who));
    cell.reader = who;
  }
  return fault;
}

const char* Shadow::Write(size_t at, size_t bytes, const Toucher& who) {
  std::memset(written_.data() + at, 1, bytes);
  return BeginWrite(at, bytes, who);
}

const char* Shadow::BeginWrite(size_t at, size_t bytes, const Toucher& who) {
  const char* fault = freed_ ? "a write to memory that was freed" : nullptr;
  for (size_t i = at; i < at + bytes; i += kStep) {
    Cell& cell = cells_[i];
    if (cell.writer.RacesWith(who)) fault = "a write that races with a write";
    if (cell.reader.RacesWith(who) || (cell.several_readers && cell.reader.SamePhase(who)) ||
        cell.many_blocks == who.launch)
      fault = "a write that races with a read";
    cell.writer = who;
  }
  return fault;
}

const char* Shadow::Atomic(size_t at, size_t bytes) {
  return Written(at, bytes) ? nullptr : "an atomic change of memory never written";
}

void Shadow::MarkWritten(size_t at, size_t bytes) {
  std::memset(written_.data() + at, 1, bytes);
  std::fill_n(cells_.begin() + static_cast<std::ptrdiff_t>(at), bytes, Cell());
}

bool Shadow::Written(size_t at, size_t bytes) const {
  return std::memchr(written_.data() + at, 0, bytes) == nullptr;
}

void Shadow::Forget(size_t bytes) {
  const size_t count = std::min(bytes, cells_.size());
  std::memset(written_.data(), 0, count);
  std::fill_n(cells_.begin(), count, Cell());
}

std::byte* AllocateNow(int64_t bytes) {
  auto allocation = std::make_unique<Allocation>(static_cast<size_t>(bytes));
  std::byte* address = allocation->memory.data();
  Allocations().emplace(address, std::move(allocation));
  return address;
}

void FreeNow(void* address) {
  static std::deque<std::unique_ptr<Allocation>> freed;
  static size_t bytes = 0;
  const auto found = Allocations().find(static_cast<std::byte*>(address));
  if (found == Allocations().end()) return Report("memory freed that is not allocated");
  freed.push_back(std::move(found->second));
  Allocations().erase(found);
  freed.back()->shadow.MarkFreed();
  bytes += freed.back()->memory.size();
  for (; bytes > kFreedBytes; freed.pop_front()) bytes -= freed.front()->memory.size();
}

Allocation* Find(const void* address, int64_t bytes) {
  const auto* at = static_cast<const std::byte*>(address);
  auto after = Allocations().upper_bound(at);
  if (after != Allocations().begin()) {
    Allocation& allocation = *std::prev(after)->second;
    const size_t offset = OffsetIn(allocation, address);
    if (offset + static_cast<size_t>(bytes) <= allocation.memory.size()) return &allocation;
  }
  Report(Cat("an access to ", bytes, " bytes outside every allocation"));
  return nullptr;
}

size_t OffsetIn(const Allocation& allocation, const void* address) {
  return static_cast<size_t>(static_cast<const std::byte*>(address) - allocation.memory.data());
}

void Report(const std::string& fault) {
  if (Faults().size() < kMostFaults) Faults().push_back(fault);
}

std::vector<std::string> TakeFaults() { return std::exchange(Faults(), {}); }

}  // namespace retort::cuda::emulated
