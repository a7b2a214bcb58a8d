// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/format.h"

#include <iterator>

#include "base/strings.h"

namespace retort {

// One line per format: the object that its own file defines. The first six have the order of
// WeightFormat's enumerators; new formats are added at the end.
#define RETORT_FORMATS(FORMAT) \
  FORMAT(kF32Format)           \
  FORMAT(kF16Format)           \
  FORMAT(kBF16Format)          \
  FORMAT(kQ8_0Format)          \
  FORMAT(kQ4_0Format)          \
  FORMAT(kNf4Format)           \
  FORMAT(kQ4_1Format)          \
  FORMAT(kQ5_0Format)          \
  FORMAT(kQ5_1Format)          \
  FORMAT(kQ2_KFormat)          \
  FORMAT(kQ3_KFormat)          \
  FORMAT(kQ4_KFormat)          \
  FORMAT(kQ5_KFormat)          \
  FORMAT(kQ6_KFormat)          \
  FORMAT(kIq4NlFormat)         \
  FORMAT(kIq4XsFormat)         \
  FORMAT(kMxfp4Format)         \
  FORMAT(kTq1Format)           \
  FORMAT(kTq2Format)           \
  FORMAT(kQ8_KFormat)          \
  FORMAT(kIq3SFormat)          \
  FORMAT(kIq3XxsFormat)        \
  FORMAT(kIq2SFormat)          \
  FORMAT(kIq2XsFormat)         \
  FORMAT(kIq2XxsFormat)        \
  FORMAT(kIq1MFormat)          \
  FORMAT(kIq1SFormat)          \
  FORMAT(kFp4Format)

#define RETORT_DECLARE(name) extern const BlockFormat name;
#define RETORT_ADDRESS(name) &(name),
RETORT_FORMATS(RETORT_DECLARE)

namespace {

constexpr const BlockFormat* kFormats[] = {RETORT_FORMATS(RETORT_ADDRESS)};

template <class Matches>
std::optional<WeightFormat> FindFormat(const Matches& matches) {
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    if (matches(*kFormats[i])) return static_cast<WeightFormat>(i);
  }
  return std::nullopt;
}

template <class Matches>
std::vector<std::string> NamesOf(const Matches& matches) {
  std::vector<std::string> names;
  for (const BlockFormat* f : kFormats) {
    if (matches(*f)) names.emplace_back(f->name);
  }
  return names;
}

}  // namespace

std::vector<WeightFormat> AllFormats() {
  std::vector<WeightFormat> formats;
  for (size_t i = 0; i < std::size(kFormats); ++i) formats.push_back(static_cast<WeightFormat>(i));
  return formats;
}

const BlockFormat& TraitsOf(WeightFormat format) { return *kFormats[static_cast<size_t>(format)]; }

WeightFormat FormatNamed(std::string_view name) {
  const auto format = FindFormat([&](const BlockFormat& f) { return f.name == name; });
  if (format) return *format;
  throw InputError("weight format '", name, "' is not known; use one of ",
                   Join(FormatNames(), ", "));
}

std::optional<WeightFormat> FormatOfGgmlType(uint32_t id) {
  return FindFormat([&](const BlockFormat& f) { return f.ggml_type == id; });
}

std::optional<WeightFormat> FormatOfSafetensors(std::string_view dtype) {
  return FindFormat([&](const BlockFormat& f) { return !dtype.empty() && f.safetensors == dtype; });
}

std::vector<std::string> FormatNames() {
  return NamesOf([](const BlockFormat&) { return true; });
}

std::vector<std::string> GgufFormatNames() {
  return NamesOf([](const BlockFormat& f) { return f.in_gguf(); });
}

WeightFormat FormatForRows(WeightFormat format, int64_t cols) {
  while (cols % TraitsOf(format).row_step() != 0) {
    const std::string_view narrow = TraitsOf(format).narrow;
    format = narrow.empty() ? WeightFormat::kF16 : FormatNamed(narrow);
  }
  return format;
}

WeightFormat EmbeddingFormat(WeightFormat format) {
  if (TraitsOf(format).flattened) return WeightFormat::kBF16;
  const BlockFormat& f = TraitsOf(format);
  return f.block_bytes < f.block_elements ? WeightFormat::kQ8_0 : format;
}

}  // namespace retort
