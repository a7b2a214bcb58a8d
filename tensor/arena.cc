// SPDX-License-Identifier: Apache-2.0
// A region is a sequence of blocks, each preceded by its header; a header of size 0 ends it. Free
// blocks are in lists by size. In builds with AddressSanitizer, free blocks and the unused rest of
// allocated blocks are poisoned.
#include "tensor/arena.h"

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace retort {
namespace {

constexpr int64_t kUnit = 64;
constexpr int64_t kRegion = 64 << 20;  // unless one block is larger
constexpr int kSteps = 5;              // log2 of the steps within a power of two
constexpr int kLooks = 16;             // blocks examined in the list of a request's own size class

}  // namespace

struct alignas(kUnit) Arena::Block {
  int64_t size;  // in bytes, without this header; 0: the end of the region
  bool free;
  Block* before;           // the preceding block in memory; null: the first of the region
  Block *previous, *next;  // in the free list, if free

  std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  Block* after() { return reinterpret_cast<Block*>(data() + size); }
  static Block* Of(std::byte* data) { return reinterpret_cast<Block*>(data) - 1; }
};

int64_t Arena::SizeOf(int64_t bytes) {
  return std::max<int64_t>(1, (bytes + kUnit - 1) / kUnit) * kUnit;
}

// The list whose size range contains `size`.
Arena::Place Arena::PlaceOf(int64_t size) {
  const auto units = static_cast<uint64_t>(size / kUnit);
  const auto power = static_cast<size_t>(std::bit_width(units) - 1);
  return {power, static_cast<size_t>((units << kSteps >> power) & (kSecond - 1))};
}

void Arena::Link(Block* block) {
  const Place p = PlaceOf(block->size);
  Block*& list = List(p);
  block->free = true;
  block->previous = nullptr;
  block->next = list;
  if (list) list->previous = block;
  list = block;
  used_[p.first] |= uint32_t{1} << p.second;
  first_used_ |= uint64_t{1} << p.first;
}

void Arena::Unlink(Block* block) {
  const Place p = PlaceOf(block->size);
  block->free = false;
  if (block->next) block->next->previous = block->previous;
  if (block->previous) {
    block->previous->next = block->next;
    return;
  }
  List(p) = block->next;
  if (block->next) return;
  used_[p.first] &= ~(uint32_t{1} << p.second);
  if (used_[p.first] == 0) first_used_ &= ~(uint64_t{1} << p.first);
}

// Sizes in a list differ by up to 1/32. In the list of the request's own size some blocks may be
// large enough, often the one freed by the same request before; in all higher lists all blocks are.
Arena::Block* Arena::FreeBlock(int64_t size) {
  Place p = PlaceOf(size);
  Block* own = List(p);
  for (int i = 0; own && i < kLooks; ++i, own = own->next) {
    if (own->size >= size) return own;
  }
  uint32_t lists = p.second + 1 == kSecond ? 0 : used_[p.first] & (~uint32_t{0} << (p.second + 1));
  if (lists == 0) {
    const uint64_t powers = first_used_ & (~uint64_t{0} << p.first << 1);
    if (powers == 0) return nullptr;
    p.first = static_cast<size_t>(std::countr_zero(powers));
    lists = used_[p.first];
  }
  p.second = static_cast<size_t>(std::countr_zero(lists));
  return List(p);
}

Arena::Block* Arena::NewRegion(int64_t size) {
  constexpr int64_t kHeaders = 2 * static_cast<int64_t>(sizeof(Block));
  auto pages = std::make_unique<LargePages>(std::max(kRegion, size + kHeaders));
  auto* block = reinterpret_cast<Block*>(pages->data());
  *block = {pages->bytes() - kHeaders, true, nullptr, nullptr, nullptr};
  *block->after() = {0, false, block, nullptr, nullptr};
  held_bytes_ += pages->bytes();
  regions_.push_back(std::move(pages));
  reached_.push_back(0);
  ASAN_POISON_MEMORY_REGION(block->data(), static_cast<size_t>(block->size));
  Link(block);
  return block;
}

// Shrinks the block to `size`; the rest becomes a free block if it is large enough.
void Arena::Split(Block* block, int64_t size) {
  const int64_t rest = block->size - size - static_cast<int64_t>(sizeof(Block));
  if (rest < kUnit) return;
  Block* const end = block->after();
  block->size = size;
  Block* const left = block->after();
  ASAN_UNPOISON_MEMORY_REGION(left, sizeof(Block));
  *left = {rest, false, block, nullptr, nullptr};
  end->before = left;
  Link(left);
}

void Arena::Reach(const std::byte* end) {
  for (size_t i = regions_.size(); i-- > 0;) {
    const std::byte* begin = regions_[i]->data();
    if (end <= begin || end > begin + regions_[i]->bytes()) continue;
    reached_[i] = std::max(reached_[i], end - begin);
    return;
  }
}

int64_t Arena::reached_bytes() const {
  int64_t sum = 0;
  for (const int64_t bytes : reached_) sum += (bytes + kLargePage - 1) / kLargePage * kLargePage;
  return sum;
}

std::byte* Arena::Allocate(int64_t bytes) {
  const int64_t size = SizeOf(bytes);
  Block* block = FreeBlock(size);
  if (!block) block = NewRegion(size);
  Unlink(block);
  Split(block, size);
  Reach(block->data() + size);
  ASAN_UNPOISON_MEMORY_REGION(block->data(), static_cast<size_t>(bytes));
  return block->data();
}

void Arena::Free(std::byte* data) {
  Block* block = Block::Of(data);
  // What becomes inaccessible: the block, and the headers that end between two merged blocks.
  std::byte* begin = block->data();
  std::byte* end = begin + block->size;
  if (Block* const after = block->after(); after->free) {
    end = after->data();
    Unlink(after);
    block->size += static_cast<int64_t>(sizeof(Block)) + after->size;
  }
  if (Block* const before = block->before; before && before->free) {
    begin = reinterpret_cast<std::byte*>(block);
    Unlink(before);
    before->size += static_cast<int64_t>(sizeof(Block)) + block->size;
    block = before;
  }
  block->after()->before = block;
  ASAN_POISON_MEMORY_REGION(begin, static_cast<size_t>(end - begin));
  Link(block);
}

void Arena::Trim() {
  size_t kept = 0;
  for (size_t i = 0; i < regions_.size(); ++i) {
    auto* block = reinterpret_cast<Block*>(regions_[i]->data());
    if (block->free && block->after()->size == 0) {
      Unlink(block);
      held_bytes_ -= regions_[i]->bytes();
      continue;
    }
    for (; block->size > 0; block = block->after()) {
      if (block->free) DropPages(block->data(), block->size);
    }
    reached_[kept] = reached_[i];
    std::swap(regions_[kept++], regions_[i]);
  }
  regions_.resize(kept);
  reached_.resize(kept);
}

}  // namespace retort
