// SPDX-License-Identifier: Apache-2.0
#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using Kind = NormalizerSpec::Kind;

int UnicodeOptions(Kind kind) {
  switch (kind) {
    case Kind::kNfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case Kind::kNfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case Kind::kNfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
}

void AppendUnicodeForm(std::string_view text, int options, std::string* out) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(mapped, std::free);
  if (size < 0) throw Failure("text cannot be normalised: ", utf8proc_errmsg(size));
  out->append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

bool IsAscii(char c) { return static_cast<uint8_t>(c) < 0x80; }

// ASCII never changes and never combines with preceding text, so only runs of other characters are
// passed to the library, each with the one character before it, with which they may combine.
std::string UnicodeForm(std::string_view text, Kind kind) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    while (end < text.size() && IsAscii(text[end])) ++end;
    const size_t base = end < text.size() && end > pos ? end - 1 : end;
    out.append(text, pos, base - pos);
    pos = base;
    while (end < text.size() && !IsAscii(text[end])) {
      const Utf8Char c = DecodeUtf8(text, end);
      if (!c.valid) break;
      end += c.size;
    }
    if (end > pos) AppendUnicodeForm(text.substr(pos, end - pos), UnicodeOptions(kind), &out);
    pos = end;
    if (pos < text.size() && !DecodeUtf8(text, pos).valid) out.push_back(text[pos++]);
  }
  return out;
}

std::string ReplaceRegex(std::string_view text, const Regex& regex, std::string_view content,
                         Regex::Scratch* scratch) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    while (end < text.size()) {
      const Utf8Char c = DecodeUtf8(text, end);
      if (!c.valid) break;
      end += c.size;
    }
    const std::string_view valid = text.substr(pos, end - pos);
    size_t done = 0;
    for (Regex::Match match; regex.Find(valid, done, scratch, &match); done = match.end) {
      out.append(valid, done, match.begin - done).append(content);
    }
    out.append(valid, done);
    pos = end;
    if (pos < text.size()) out.push_back(text[pos++]);
  }
  return out;
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerSpec>& steps, const std::string& where) {
  for (const NormalizerSpec& spec : steps) {
    Step& step = steps_.emplace_back(Step{spec, std::nullopt});
    if (spec.kind == Kind::kReplaceRegex) step.regex.emplace(spec.pattern, where);
  }
}

std::string Normalizer::Apply(std::string_view text, bool first, bool prefix,
                              Regex::Scratch* scratch) const {
  std::string out(text);
  for (const auto& [spec, regex] : steps_) {
    if (out.empty()) break;
    switch (spec.kind) {
      case Kind::kPrepend: {
        const bool here = prefix && (first || spec.where == NormalizerSpec::Where::kEveryRun);
        if (here && !(spec.unless_there && StartsWith(out, spec.content))) {
          out.insert(0, spec.content);
        }
        break;
      }
      case Kind::kReplaceText:
        out = ReplaceAll(std::move(out), spec.pattern, spec.content);
        break;
      case Kind::kReplaceRegex:
        out = ReplaceRegex(out, *regex, spec.content, scratch);
        break;
      default:
        out = UnicodeForm(out, spec.kind);
    }
  }
  return out;
}

}  // namespace retort
