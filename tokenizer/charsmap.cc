// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "tokenizer/sentencepiece_file.h"

namespace retort {
namespace {

constexpr size_t kMaxBytes = 8 << 20;
// The library has room for 32 matches that begin at the same position.
constexpr int kMaxMatches = 32;
// Of one replacement, so that a table cannot make a text grow without bound. Unicode's longest has
// 33 bytes.
constexpr size_t kMaxReplacement = 128;

uint32_t Word(std::string_view bytes, size_t i) {
  const auto at = [&](size_t k) { return uint32_t{static_cast<uint8_t>(bytes[4 * i + k])}; };
  return at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
}

// A unit of the double array: bits 0-7 and 31 are its label, bit 8 tells whether it has a value,
// bits 10-30 are the offset to its children (times 256 if bit 9 is set). A value unit has its value
// in bits 0-30.
uint32_t Label(uint32_t unit) { return unit & 0x800000FF; }
bool HasValue(uint32_t unit) { return unit >> 8 & 1; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

// Visits all nodes that text can reach, deepest first, each once.
class Walk {
 public:
  Walk(std::string_view units, std::string_view replacements, const std::string& where)
      : units_(units),
        count_(units.size() / 4),
        replacements_(replacements),
        where_(where),
        most_(count_, kUnseen) {}

  void Check() {
    std::vector<Frame> path;
    Enter(Offset(Unit(0)), 0, &path);
    while (!path.empty()) {
      Frame& frame = path.back();
      if (frame.next_label == 256) {
        Leave(&path);
        continue;
      }
      const uint32_t child = frame.base ^ frame.next_label++;
      const uint32_t unit = Unit(child);
      if (Label(unit) != frame.next_label - 1) continue;
      const uint32_t base = child ^ Offset(unit);
      const int value = HasValue(unit) ? 1 : 0;
      if (value) CheckValue(base);
      if (base < count_ && most_[base] == kOnPath) throw Wrong("it goes round in circles");
      if (base < count_ && most_[base] != kUnseen) {
        Count(value + most_[base], &frame);
      } else {
        Enter(base, value, &path);
      }
    }
  }

 private:
  static constexpr int8_t kUnseen = -1, kOnPath = -2;
  struct Frame {
    uint32_t base;        // the children are at base ^ label
    uint32_t next_label;  // 1 ... 255: a zero ends text
    int value;            // 1 if this node has a value
    int most;             // maximum number of values on a path below it
  };

  Error Wrong(std::string_view what) const {
    return InputError(where_, ": the normaliser's table is damaged: ", what);
  }
  uint32_t Unit(uint32_t i) const {
    if (i >= count_) throw Wrong("it leads outside of itself");
    return Word(units_, i);
  }
  void CheckValue(uint32_t base) const {
    const size_t at = Unit(base) & 0x7FFFFFFF;
    if (at >= replacements_.size()) throw Wrong("a replacement lies outside of it");
    if (replacements_.substr(at, kMaxReplacement + 1).find('\0') == std::string_view::npos)
      throw Wrong("a replacement is too long");
  }
  void Count(int matches, Frame* frame) const {
    frame->most = std::max(frame->most, matches);
    if (frame->most > kMaxMatches) throw Wrong("too many entries begin alike");
  }
  void Enter(uint32_t base, int value, std::vector<Frame>* path) {
    Unit(base | 0xFF);  // text may contain any byte
    most_[base] = kOnPath;
    path->push_back({base, 1, value, 0});
  }
  void Leave(std::vector<Frame>* path) {
    const Frame done = path->back();
    path->pop_back();
    most_[done.base] = static_cast<int8_t>(done.most);
    if (!path->empty()) Count(done.value + done.most, &path->back());
  }

  std::string_view units_;
  size_t count_;
  std::string_view replacements_;  // each ended by a zero
  const std::string& where_;
  std::vector<int8_t> most_;
};

}  // namespace

void CheckCharsmap(std::string_view charsmap, const std::string& where) {
  if (charsmap.empty()) return;
  const auto wrong = [&](std::string_view what) {
    return InputError(where, ": the normaliser's table is damaged: ", what);
  };
  if (charsmap.size() > kMaxBytes) throw wrong("it is too large");
  if (charsmap.size() < 4) throw wrong("it ends within its length");
  const uint32_t size = Word(charsmap, 0);
  const std::string_view rest = charsmap.substr(4);
  if (size < 1024 || size % 1024 != 0 || size >= rest.size())
    throw wrong("its length does not fit");
  const std::string_view replacements = rest.substr(size);
  if (replacements.back() != '\0') throw wrong("its replacements have no end");
  Walk(rest.substr(0, size), replacements, where).Check();
}

std::optional<std::string_view> ShortestReplacement(std::string_view charsmap,
                                                    std::string_view text) {
  if (charsmap.empty()) return std::nullopt;
  const std::string_view units = charsmap.substr(4), replacements = units.substr(Word(charsmap, 0));
  uint32_t node = Offset(Word(units, 0));
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) break;
    const uint32_t unit = Word(units, node ^ byte);
    if (Label(unit) != byte) break;
    node ^= byte ^ Offset(unit);
    if (!HasValue(unit)) continue;
    const std::string_view rest = replacements.substr(Word(units, node) & 0x7FFFFFFF);
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

}  // namespace retort
