// SPDX-License-Identifier: Apache-2.0
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/precompiled.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/unicode.h"
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

uint32_t CombiningClass(int32_t code) {
  return static_cast<uint32_t>(utf8proc_get_property(code)->combining_class);
}

// Puts marks that combine with one character into their canonical order. The library's own sort
// takes time quadratic in their number unless they are in order.
void OrderMarks(std::vector<int32_t>* codes) {
  for (auto begin = codes->begin(); begin != codes->end();) {
    if (CombiningClass(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, codes->end(), [](int32_t code) { return CombiningClass(code) == 0; });
    std::stable_sort(begin, end,
                     [](int32_t a, int32_t b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

size_t Checked(utf8proc_ssize_t size, size_t most) {
  if (size < 0) throw Failure("text cannot be normalised: ", utf8proc_errmsg(size));
  RETORT_CHECK(static_cast<size_t>(size) <= most, "a form of ", size, " characters");
  return static_cast<size_t>(size);
}

// Appends the form of decomposed characters and empties them.
void PutForm(std::vector<int32_t>* codes, utf8proc_option_t options, std::string* out) {
  OrderMarks(codes);
  codes->resize(Checked(utf8proc_normalize_utf32(
                            codes->data(), static_cast<utf8proc_ssize_t>(codes->size()), options),
                        codes->size()));
  for (const int32_t code : *codes) AppendUtf8(static_cast<char32_t>(code), out);
  codes->clear();
}

// The form of valid UTF-8. Characters that Unicode 9 lacks stay as they are and combine with
// nothing.
void AppendUnicodeForm(std::string_view text, Kind kind, std::string* out) {
  const auto options = static_cast<utf8proc_option_t>(UnicodeOptions(kind));
  std::vector<int32_t> codes;
  std::array<int32_t, 32> parts;  // no character has more than 18
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    pos += static_cast<size_t>(c.size);
    if (IsNewerThanUnicode9(c.code)) {
      PutForm(&codes, options, out);
      AppendUtf8(c.code, out);
      continue;
    }
    int boundary = 0;
    const size_t count = Checked(utf8proc_decompose_char(static_cast<int32_t>(c.code), parts.data(),
                                                         parts.size(), options, &boundary),
                                 parts.size());
    codes.insert(codes.end(), parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count));
  }
  PutForm(&codes, options, out);
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
    if (end > pos) AppendUnicodeForm(text.substr(pos, end - pos), kind, &out);
    pos = end;
    if (pos < text.size() && !DecodeUtf8(text, pos).valid) out.push_back(text[pos++]);
  }
  return out;
}

// Replaces each character by what `put` appends for it. Bytes that are no character stay.
template <typename Put>
std::string ByCharacter(std::string_view text, Put put) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (c.valid) {
      put(c.code, &out);
      pos += static_cast<size_t>(c.size);
    } else {
      out.push_back(text[pos++]);
    }
  }
  return out;
}

std::string WithoutAccents(std::string_view text) {
  return ByCharacter(text, [](char32_t code, std::string* out) {
    if (code < 0x300 || !MarksOfUnicode9().Contains(code)) AppendUtf8(code, out);
  });
}

std::string Lower(std::string_view text) {
  return ByCharacter(text, [](char32_t code, std::string* out) {
    AppendUtf8(LowerCase(code), out);
    if (code == 0x130) AppendUtf8(0x307, out);  // the one with a lower case of two characters
  });
}

// The rules of SentencePiece's "nmt" table.
std::string Nmt(std::string_view text) {
  return ByCharacter(text, [](char32_t c, std::string* out) {
    const bool space = c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    const bool dropped = c < 0x20 || c == 0x7F || c == 0x8F || c == 0x9F;
    if (space) {
      out->push_back(' ');
    } else if (!dropped || c == 0) {
      AppendUtf8(c, out);
    }
  });
}

std::string_view StrippedLeft(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text, 0);
    if (!IsSpace(c.code)) break;
    text.remove_prefix(static_cast<size_t>(c.size));
  }
  return text;
}

std::string_view StrippedRight(std::string_view text) {
  while (!text.empty()) {
    const size_t last = PreviousUtf8(text, text.size());
    if (!IsSpace(DecodeUtf8(text, last).code)) break;
    text = text.substr(0, last);
  }
  return text;
}

// Pays for text that becomes longer.
void Grow(size_t before, size_t after, TextBudget* budget) {
  if (after <= before || budget->growth.Take(after - before)) return;
  throw InputError(
      "this text cannot be normalised: the tokenizer's steps make more than 32 times as much of its ",
      budget->bytes, " bytes");
}

std::string ReplaceText(std::string_view text, std::string_view pattern, std::string_view content,
                        TextBudget* budget) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(pattern, done)) != text.npos; done = at + pattern.size()) {
    Grow(pattern.size(), content.size(), budget);
    out.append(text, done, at - done).append(content);
  }
  out.append(text, done);
  return out;
}

std::string ReplaceRegex(std::string_view text, const Regex& regex, std::string_view content,
                         Regex::Scratch* scratch, TextBudget* budget) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = ValidUtf8End(text, pos);
    const std::string_view valid = text.substr(pos, end - pos);
    size_t done = 0;
    for (Regex::Match match; regex.Find(valid, done, scratch, &budget->matching, &match);
         done = match.end) {
      Grow(match.end - match.begin, content.size(), budget);
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
    if (spec.kind == Kind::kPrecompiled) CheckCharsmap(spec.pattern, where);
  }
}

std::string Normalizer::Apply(std::string_view text, bool first, bool prefix,
                              Regex::Scratch* scratch, TextBudget* budget) const {
  std::string out(text);
  for (const auto& [spec, regex] : steps_) {
    if (out.empty()) break;
    switch (spec.kind) {
      case Kind::kPrepend: {
        const bool here = prefix && (first || spec.where == NormalizerSpec::Where::kEveryRun);
        if (here && !(spec.unless_there && StartsWith(out, spec.content))) {
          Grow(0, spec.content.size(), budget);
          out.insert(0, spec.content);
        }
        break;
      }
      case Kind::kReplaceText:
        out = ReplaceText(out, spec.pattern, spec.content, budget);
        break;
      case Kind::kReplaceRegex:
        out = ReplaceRegex(out, *regex, spec.content, scratch, budget);
        break;
      case Kind::kStripLeft:
        out = std::string(StrippedLeft(out));
        break;
      case Kind::kStripRight:
        out = std::string(StrippedRight(out));
        break;
      case Kind::kStripAccents:
        out = WithoutAccents(out);
        break;
      case Kind::kNmt:
        out = Nmt(out);
        break;
      default: {
        std::string form = spec.kind == Kind::kLowercase     ? Lower(out)
                           : spec.kind == Kind::kPrecompiled ? Precompiled(spec.pattern, out)
                                                             : UnicodeForm(out, spec.kind);
        Grow(out.size(), form.size(), budget);
        out = std::move(form);
      }
    }
  }
  return out;
}

size_t Normalizer::Shrinks() const {
  size_t times = 1;
  for (const auto& [spec, regex] : steps_) {
    if (spec.kind == Kind::kPrepend) continue;
    const size_t content = spec.content.size();
    if (spec.kind == Kind::kReplaceText && content > 0) {
      times *= (spec.pattern.size() + content - 1) / content;
    } else if (spec.kind == Kind::kNfc || spec.kind == Kind::kNfd ||
               spec.kind == Kind::kLowercase) {
      times *= 4;  // a Kelvin sign of three bytes is a K
    } else if (spec.kind == Kind::kNfkc || spec.kind == Kind::kNfkd) {
      times *= 8;  // a mathematical letter of four bytes is an a
    } else {
      return 0;
    }
    if (times > 1000) return 0;
  }
  return times;
}

}  // namespace retort
