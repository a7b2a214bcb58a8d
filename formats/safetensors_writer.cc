// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "formats/safetensors.h"

namespace retort {
namespace {

constexpr uint64_t kHeaderAlignment = 8;

std::string JsonText(std::string_view text) { return DumpJson(Json(std::string(text))); }

}  // namespace

int IntegerBytes(std::string_view dtype) { return dtype == "I32" ? 4 : 1; }

void SafetensorsWriter::DeclareIntegers(std::string name, std::string_view dtype,
                                        std::vector<int64_t> shape) {
  const uint64_t bytes = ElementsOf(shape, name) * static_cast<uint64_t>(IntegerBytes(dtype));
  DeclareSlot({std::move(name), WeightFormat::kF32, std::move(shape), bytes, dtype});
}

void SafetensorsWriter::Check(const Slot& slot) const {
  RETORT_CHECK(!TraitsOf(slot.format).safetensors.empty(), "tensor ", slot.name,
               ": safetensors has no ", TraitsOf(slot.format).name);
  RETORT_CHECK(slot.name != "__metadata__", "a tensor's name is taken");
}

TensorFileWriter::Layout SafetensorsWriter::Place(std::vector<Slot>& slots) const {
  uint64_t end = 0;
  for (int element_bytes : {4, 2, 1}) {
    for (Slot& slot : slots) {
      const int bytes =
          slot.raw.empty() ? TraitsOf(slot.format).block_bytes : IntegerBytes(slot.raw);
      if (bytes != element_bytes) continue;
      slot.offset = end;
      end += slot.bytes;
    }
  }
  std::string json = "{";
  if (!metadata_.empty()) {
    Json metadata = Json::object();
    for (const auto& [key, value] : metadata_) metadata[key] = value;
    json += Cat("\"__metadata__\":", DumpJson(metadata), slots.empty() ? "" : ",");
  }
  for (const Slot& slot : slots) {
    json += Cat(&slot == slots.data() ? "" : ",", JsonText(slot.name), ":{\"dtype\":\"",
                slot.raw.empty() ? TraitsOf(slot.format).safetensors : slot.raw,
                "\",\"shape\":", ReplaceAll(ShapeText(slot.shape), " ", ""), ",\"data_offsets\":[",
                slot.offset, ",", slot.offset + slot.bytes, "]}");
  }
  json += "}";
  json.append((kHeaderAlignment - json.size() % kHeaderAlignment) % kHeaderAlignment, ' ');

  const uint64_t header_bytes = json.size();
  std::string head(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
  head += json;
  for (Slot& slot : slots) slot.offset += head.size();
  return {std::move(head), sizeof header_bytes + header_bytes + end};
}

}  // namespace retort
