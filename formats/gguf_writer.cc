// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "base/ascii.h"
#include "formats/gguf.h"
#include "formats/gguf_types.h"

namespace retort {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block formats
constexpr size_t kMostTensorNameBytes = 63;   // ggml stores names in 64 bytes, including a NUL

template <class T>
void Append(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendText(std::string& out, std::string_view text) {
  Append(out, uint64_t{text.size()});
  out += text;
}

void AppendValue(std::string& out, const GgufArray& array);
void AppendValue(std::string& out, const std::string& text) { AppendText(out, text); }
template <class T>
requires std::is_arithmetic_v<T>
void AppendValue(std::string& out, T value) { Append(out, value); }

void AppendValue(std::string& out, const GgufArray& array) {
  Append(out, static_cast<uint32_t>(array.items.index()));
  Append(out, uint64_t{array.size()});
  std::visit(
      [&](const auto& items) {
        using T = typename std::decay_t<decltype(items)>::value_type;
        for (size_t i = 0; i < items.size(); ++i) AppendValue(out, static_cast<const T&>(items[i]));
      },
      array.items);
}

// lower_snake_case segments joined by '.'; '-' is allowed because names of architectures contain
// it.
bool IsKey(std::string_view key) {
  if (key.empty() || key.size() > 65'535 || key.front() == '.' || key.back() == '.') return false;
  if (key.find("..") != std::string_view::npos) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return IsLowerLetter(c) || IsDigit(c) || c == '_' || c == '.' || c == '-';
  });
}

uint64_t Padded(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

GgufWriter::GgufWriter(const Path& target, GgufMetadata metadata)
    : TensorFileWriter(target), metadata_(std::move(metadata)), alignment_(32) {
  for (const auto& [key, value] : metadata_.entries()) RETORT_CHECK(IsKey(key), "GGUF key ", key);
  if (const GgufValue* value = metadata_.Find("general.alignment")) {
    const auto* alignment = std::get_if<uint32_t>(value);
    // ggml accepts only powers of two.
    RETORT_CHECK(alignment && *alignment >= 8 && std::has_single_bit(*alignment),
                 "general.alignment is ", ValueText(*value));
    alignment_ = *alignment;
  }
}

void GgufWriter::Check(const Slot& slot) const {
  RETORT_CHECK(TraitsOf(slot.format).ggml_type, "tensor ", slot.name, ": GGUF has no ",
               TraitsOf(slot.format).name);
  RETORT_CHECK(!slot.name.empty() && slot.name.size() <= kMostTensorNameBytes, "tensor ", slot.name,
               ": a name has 1 to ", kMostTensorNameBytes, " bytes");
  RETORT_CHECK(slot.shape.size() <= 4, "tensor ", slot.name, ": shape ", ShapeText(slot.shape));
}

TensorFileWriter::Layout GgufWriter::Place(std::vector<Slot>& slots) const {
  GgufMetadata metadata = metadata_;
  const bool quantised = std::any_of(slots.begin(), slots.end(), [](const Slot& slot) {
    return TraitsOf(slot.format).block_elements > 1;
  });
  if (quantised && !metadata.Find("general.quantization_version")) {
    metadata.Set("general.quantization_version", kQuantizationVersion);
  }
  std::string head = "GGUF";
  Append(head, kVersion);
  Append(head, uint64_t{slots.size()});
  Append(head, uint64_t{metadata.entries().size()});
  for (const auto& [key, value] : metadata.entries()) {
    AppendText(head, key);
    Append(head, static_cast<uint32_t>(value.index()));
    std::visit([&](const auto& v) { AppendValue(head, v); }, value);
  }
  uint64_t end = 0;
  for (Slot& slot : slots) {
    AppendText(head, slot.name);
    Append(head, static_cast<uint32_t>(slot.shape.size()));
    for (size_t i = slot.shape.size(); i-- > 0;) Append(head, static_cast<uint64_t>(slot.shape[i]));
    Append(head, *TraitsOf(slot.format).ggml_type);
    Append(head, end);
    slot.offset = end;
    end += Padded(slot.bytes, alignment_);
  }
  head.resize(Padded(head.size(), alignment_), '\0');
  for (Slot& slot : slots) slot.offset += head.size();
  const uint64_t file_bytes = head.size() + end;
  return {std::move(head), file_bytes};
}

}  // namespace retort
