// SPDX-License-Identifier: Apache-2.0
#include "data/examples.h"

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

template <class Enum, size_t N>
Enum ParseName(std::string_view what, std::string_view name,
               const std::pair<std::string_view, Enum> (&known)[N]) {
  std::vector<std::string> names;
  for (const auto& [text, value] : known) {
    if (text == name) return value;
    names.emplace_back(text);
  }
  throw InputError(what, " '", name, "' is not known; use one of ", Join(names, ", "));
}

}  // namespace

LossOn ParseLossOn(std::string_view name) {
  static constexpr std::pair<std::string_view, LossOn> kKnown[] = {
      {"completion", LossOn::kCompletion},
      {"all", LossOn::kAll},
      {"last", LossOn::kLast},
      {"choices", LossOn::kChoices}};
  return ParseName("loss_on", name, kKnown);
}

OverLength ParseOverLength(std::string_view name) {
  static constexpr std::pair<std::string_view, OverLength> kKnown[] = {
      {"error", OverLength::kError},
      {"drop", OverLength::kDrop},
      {"truncate", OverLength::kTruncate},
      {"split", OverLength::kSplit}};
  return ParseName("over_length", name, kKnown);
}

Audit ParseAudit(std::string_view name) {
  static constexpr std::pair<std::string_view, Audit> kKnown[] = {
      {"stop", Audit::kStop}, {"warn", Audit::kWarn}, {"off", Audit::kOff}};
  return ParseName("audit", name, kKnown);
}

namespace {

// Makes the text valid UTF-8: tokens may end inside a character, and rows of ids may give any
// bytes.
std::string ValidUtf8(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = DecodeUtf8(bytes, at);
    AppendUtf8(c.valid ? c.code : U'\uFFFD', &out);
    at += static_cast<size_t>(c.size);
  }
  return out;
}

}  // namespace

std::string ShowExample(const Example& example, const Tokenizer& tokenizer) {
  std::string out;
  bool marked = false;
  for (size_t i = 0; i < example.ids.size(); ++i) {
    const bool loss = i > 0 && example.labels[i] != kNoLoss;
    if (loss != marked) out += loss ? "⟦" : "⟧";
    marked = loss;
    out += tokenizer.Bytes(example.ids[i], true);
  }
  return ValidUtf8(marked ? out + "⟧" : out);
}

}  // namespace retort
