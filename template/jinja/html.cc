// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/html.h"

#include <utility>

#include "template/jinja/characters.h"

namespace retort::jinja {
namespace {

constexpr std::pair<char, std::string_view> kEntities[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};

std::string_view EntityOf(char c) {
  for (const auto& [plain, entity] : kEntities) {
    if (plain == c) return entity;
  }
  return "";
}

// The text without what stands from `open` to the next `close`.
Text Without(const Text& text, std::string_view open, std::string_view close) {
  Text out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t begin = text.view().find(open, at);
    const size_t end = begin == std::string_view::npos ? begin : text.view().find(close, begin);
    if (end == std::string_view::npos) break;
    out.Append(text, at, begin);
    at = end + close.size();
  }
  return out.Append(text, at, text.size());
}

}  // namespace

Text Escaped(const Text& text) {
  Text out;
  size_t from = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view entity = EntityOf(text.view()[i]);
    if (entity.empty()) continue;
    out.Append(text, from, i).Append(entity, text.OriginAt(i));
    from = i + 1;
  }
  out.Append(text, from, text.size());
  out.html = true;
  return out;
}

Text WithoutTags(const Text& text) {
  const Text bare = Without(Without(text, "<!--", "-->"), "<", ">");
  Text out;
  const auto starts = CharacterStarts(bare.view());
  bool space = false;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const Text c = bare.Sub(starts[i], starts[i + 1]);
    if (Stripped(c, Side::kBoth).empty()) {
      space = true;
      continue;
    }
    if (space && !out.empty()) out.Append(" ", c.OriginAt(0));
    space = false;
    out.Append(c);
  }
  Text plain;
  for (size_t at = 0; at < out.size();) {
    size_t size = 1;
    std::string_view character = out.view().substr(at, 1);
    for (const auto& [c, entity] : kEntities) {
      if (!out.view().substr(at).starts_with(entity)) continue;
      size = entity.size();
      character = std::string_view(&c, 1);
      break;
    }
    plain.Append(character, out.OriginAt(at));
    at += size;
  }
  return plain;
}

}  // namespace retort::jinja
