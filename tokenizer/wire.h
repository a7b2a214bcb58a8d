// SPDX-License-Identifier: Apache-2.0
// The part of the protocol buffers' wire format (protobuf.dev, "Encoding") that SentencePiece's
// model file needs.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace retort {

// Reads the fields of one message, never past its end.
class WireReader {
 public:
  struct Field {
    uint32_t number = 0;
    uint32_t type = 0;       // 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes
    uint64_t value = 0;      // of types 0, 1 and 5
    std::string_view bytes;  // of type 2
  };
  // `where` begins every error; `offset` is the message's offset in its file.
  WireReader(std::string_view bytes, const std::string& where, size_t offset = 0)
      : bytes_(bytes), where_(where), offset_(offset) {}

  bool Next(Field* field) {  // false at the end
    if (pos_ == bytes_.size()) return false;
    const uint64_t tag = Varint();
    field->number = static_cast<uint32_t>(tag >> 3);
    field->type = static_cast<uint32_t>(tag & 7);
    if (field->number == 0 || tag >> 3 > 0x1FFFFFFF)
      throw Wrong("a field's number is out of range");
    switch (field->type) {
      case 0:
        field->value = Varint();
        break;
      case 1:
        field->value = Fixed(8);
        break;
      case 2:
        field->bytes = ReadBytes(Varint());
        break;
      case 5:
        field->value = Fixed(4);
        break;
      default:
        throw Wrong(Cat("wire type ", field->type, " is not known"));
    }
    return true;
  }
  size_t offset() const { return offset_ + pos_; }  // of the next field, in the file
  Error Wrong(const std::string& what) const {
    return InputError(where_, ": not a SentencePiece model: ", what, " (near byte ", offset(), ")");
  }

 private:
  std::string_view ReadBytes(uint64_t size) {
    if (size > bytes_.size() - pos_)
      throw Wrong(Cat("a field of ", size, " bytes runs past the end"));
    const std::string_view part = bytes_.substr(pos_, size);
    pos_ += size;
    return part;
  }
  uint64_t Fixed(int size) {
    const std::string_view part = ReadBytes(size);
    uint64_t value = 0;
    for (int i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(part[i]);
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(ReadBytes(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    throw Wrong("a number of more than 10 bytes");
  }

  std::string_view bytes_;
  const std::string& where_;
  size_t offset_, pos_ = 0;
};

class WireWriter {
 public:
  void PutVarint(uint32_t number, uint64_t value) {
    Varint(uint64_t{number} << 3);
    Varint(value);
  }
  void PutFloat(uint32_t number, float value) {
    Varint(uint64_t{number} << 3 | 5);
    for (uint32_t bits = std::bit_cast<uint32_t>(value), i = 0; i < 4; ++i, bits >>= 8) {
      out_.push_back(static_cast<char>(bits & 0xFF));
    }
  }
  void PutBytes(uint32_t number, std::string_view bytes) {
    Varint(uint64_t{number} << 3 | 2);
    Varint(bytes.size());
    out_ += bytes;
  }
  const std::string& bytes() const { return out_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  std::string out_;
};

}  // namespace retort
