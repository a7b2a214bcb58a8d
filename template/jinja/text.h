// SPDX-License-Identifier: Apache-2.0
// A template's texts. Each knows which of its characters a user wrote: when a conversation is
// tokenised, only what the template wrote may become special tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::jinja {

// Bits. A character of the template's own text has none.
using Origin = uint8_t;
inline constexpr Origin kOwn = 0, kInput = 1, kReply = 2;

// UTF-8 bytes, and for each the origin. Joining, cutting and whatever is built of the two keep it.
class Text {
 public:
  // Bytes of one origin, up to `end`.
  struct Run {
    size_t end;
    Origin origin;
  };

  Text() = default;
  explicit Text(std::string bytes, Origin origin = kOwn)
      : bytes_(std::move(bytes)), last_(origin) {}

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  Text& Append(std::string_view bytes, Origin origin = kOwn);
  Text& Append(const Text& other) { return Append(other, 0, other.size()); }
  // Bytes [begin, end) of the other text.
  Text& Append(const Text& other, size_t begin, size_t end);
  Text Sub(size_t begin, size_t end) const;
  Origin OriginAt(size_t byte) const;
  // Sets the bits on all of the text.
  void Mark(Origin bits);
  // All runs in order; none of an empty text. Neighbours differ.
  std::vector<Run> Runs() const;

  // Jinja's Markup: text that is safe in HTML, which escapes what is added to it.
  bool html = false;

 private:
  std::string bytes_;
  std::vector<Run> runs_;  // all but the last
  Origin last_ = kOwn;
};

}  // namespace retort::jinja
