// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_name.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/ascii.h"
#include "base/strings.h"

namespace retort {
namespace {

char Upper(char c) { return IsLowerLetter(c) ? static_cast<char>(c - 'a' + 'A') : c; }

// Reads a part from its beginning; each call takes what it names, if it is there.
struct Scanner {
  std::string_view rest;

  bool Take(std::string_view text) {
    if (!StartsWith(rest, text)) return false;
    rest.remove_prefix(text.size());
    return true;
  }
  bool TakeAny(std::string_view letters) {
    if (rest.empty() || letters.find(rest.front()) == letters.npos) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool TakeDigits() {
    const size_t size = std::min(rest.find_first_not_of("0123456789"), rest.size());
    rest.remove_prefix(size);
    return size > 0;
  }
  // Digits, and a fraction after one of `points`.
  bool TakeNumber(std::string_view points) {
    if (!TakeDigits()) return false;
    Scanner fraction{rest};
    if (fraction.TakeAny(points) && fraction.TakeDigits()) rest = fraction.rest;
    return true;
  }
};

enum class Kind { kPlain, kVersion, kEncoding, kSize, kTune };

bool IsVersion(std::string_view part) {  // "3", "v0.1", "iter2"
  Scanner s{part};
  if (!s.Take("iter")) s.Take("v");
  do {
    if (!s.TakeDigits()) return false;
  } while (s.Take("."));
  return s.rest.empty();
}

bool IsEncoding(std::string_view part) {  // "q4_k_m", "bf16"
  Scanner blocks{part};
  blocks.Take("i");
  if (blocks.Take("q") && blocks.TakeAny("0123456789")) {
    while (blocks.rest.size() >= 2 && blocks.rest.front() == '_') blocks.rest.remove_prefix(2);
    if (blocks.rest.empty()) return true;
  }
  Scanner floats{part};
  floats.Take("b");
  return floats.Take("f") && (floats.Take("p"), true) && (floats.Take("16") || floats.Take("32")) &&
         floats.rest.empty();
}

bool IsSize(std::string_view part) {  // "7b", "8x7b", "a3b", "1.5b", "7b1", "small"
  for (const char* word : {"small", "mini", "medium", "large", "xl", "xxl"}) {
    if (part == word) return true;
  }
  const auto ends = [](Scanner s) {
    if (!s.TakeNumber("._") || !s.TakeAny("kmbt")) return false;
    s.TakeAny("0123456789");
    return s.rest.empty();
  };
  Scanner active{part}, experts{part};
  return ends({part}) || (active.Take("a") && ends(active)) ||
         (experts.TakeDigits() && experts.Take("x") && ends(experts));
}

// "0_5b" is 0.5B, and "7b1" 7.1B.
std::string NormalSize(std::string part) {
  std::replace(part.begin(), part.end(), '_', '.');
  if (part.size() > 2 && IsDigit(part.back())) {
    const char digit = part.back(), unit = part[part.size() - 2];
    part.resize(part.size() - 2);
    part += Cat(".", std::string(1, digit), std::string(1, unit));
  }
  if (part.size() > 1 && IsDigit(part[part.size() - 2])) part.back() = Upper(part.back());
  return part;
}

// A plain number with a unit that is not within 7/8 of the model's size.
bool IsFar(std::string_view size, int64_t parameters) {
  const size_t unit = std::string_view(" KMBT").find(size.back());
  double number = 0;
  const char* end = size.data() + size.size() - 1;
  const auto [read, fault] = std::from_chars(size.data(), end, number);
  if (parameters == 0 || unit == std::string_view::npos || read != end || fault != std::errc())
    return false;
  const double named = number * std::pow(1000.0, static_cast<double>(unit));
  const int64_t most = 7 * parameters / 8;
  return std::abs(named - static_cast<double>(parameters)) > static_cast<double>(most);
}

struct Part {
  std::string text;
  Kind kind = Kind::kPlain;
  bool base = false;
};

std::vector<Part> PartsOf(std::string_view folder, int64_t parameters) {
  std::vector<Part> parts;
  for (const std::string& text : Split(std::string(folder), '-')) {
    if (!text.empty()) parts.push_back({text});
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    const std::string lower = LowerCase(part.text);
    if (IsVersion(lower)) {
      part.kind = Kind::kVersion;
    } else if (IsEncoding(lower)) {
      part.kind = Kind::kEncoding;
      std::transform(part.text.begin(), part.text.end(), part.text.begin(),
                     [](char c) { return Upper(c); });
    } else if (i > 0 && IsSize(lower)) {
      part.text = NormalSize(part.text);
      const bool far = IsFar(part.text, parameters);
      part.kind = far ? Kind::kTune : Kind::kSize;
      if (far) part.text.back() = LowerLetter(part.text.back());
    } else if (i > 0 &&
               (lower == "chat" || lower == "instruct" || lower == "vision" || lower == "lora")) {
      part.kind = Kind::kTune;
    }
  }
  return parts;
}

// Sizes in words count only where no number says the size.
void DropWordSizes(std::vector<Part>& parts) {
  const auto is_word = [](const Part& p) {
    return std::all_of(p.text.begin(), p.text.end(), IsLetter);
  };
  const bool number = std::any_of(parts.begin(), parts.end(), [](const Part& p) {
    return p.kind == Kind::kSize && std::any_of(p.text.begin(), p.text.end(), IsDigit);
  });
  for (Part& part : parts) {
    if (number && part.kind == Kind::kSize && is_word(part)) part.kind = Kind::kPlain;
  }
}

// The plain parts and versions that a name begins with are its base, but for trailing versions.
// What is plain after them tells the finetune.
void MarkBase(std::vector<Part>& parts) {
  bool at_start = true;
  for (Part& part : parts) {
    const bool begins = part.kind == Kind::kPlain && !IsDigit(part.text.front()) &&
                        (IsLetter(part.text.front()) || (part.text.front() & 0x80));
    at_start = at_start && (begins || part.kind == Kind::kVersion);
    part.base = at_start;
    if (!at_start && part.kind == Kind::kPlain) part.kind = Kind::kTune;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->base || part->kind != Kind::kVersion) break;
    part->base = false;
  }
}

template <class Wanted>
std::string Joined(const std::vector<Part>& parts, const Wanted& wanted) {
  std::vector<std::string> texts;
  for (const Part& part : parts) {
    if (wanted(part)) texts.push_back(part.text);
  }
  return Join(texts, "-");
}

// "stories260k" as "Stories260K"; what has capitals, versions and numbers stay.
std::string Title(const std::string& word) {
  const bool lower = std::any_of(word.begin(), word.end(), IsLowerLetter) &&
                     std::none_of(word.begin(), word.end(), IsUpperLetter);
  if (!lower || IsDigit(word.front()) || (word.front() == 'v' && IsVersion(word))) return word;
  std::string out = word;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i == 0 || !IsLetter(out[i - 1])) out[i] = Upper(out[i]);
  }
  return out;
}

std::string InWords(std::string folder) {
  std::replace(folder.begin(), folder.end(), '-', ' ');
  std::vector<std::string> words;
  for (const std::string& word : Split(folder, ' ')) {
    if (!word.empty()) words.push_back(Title(word));
  }
  return Join(words, " ");
}

std::string Rounded(double parameters) {
  constexpr std::array<std::pair<double, char>, 4> kUnits{
      {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}}};
  const auto unit = std::find_if(kUnits.begin(), kUnits.end() - 1,
                                 [&](const auto& u) { return parameters > u.first; });
  const double scaled = parameters / unit->first;
  const double whole = std::nearbyint(scaled);
  const int digits = whole >= 10 ? 2 : whole >= 1 ? 1 : 0;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%c", 2 - digits, scaled, unit->second);
  return text;
}

}  // namespace

GgufName NameOfFolder(std::string_view folder, int64_t parameters) {
  GgufName out;
  out.name = InWords(std::string(folder));
  if (folder.find(' ') != folder.npos) return out;
  std::vector<Part> parts = PartsOf(folder, parameters);
  DropWordSizes(parts);
  MarkBase(parts);
  out.finetune = Joined(parts, [](const Part& p) { return p.kind == Kind::kTune; });
  out.version = Joined(parts, [](const Part& p) { return p.kind == Kind::kVersion && !p.base; });
  std::vector<std::string> sizes;
  for (const Part& part : parts) {
    if (part.kind == Kind::kSize && std::find(sizes.begin(), sizes.end(), part.text) == sizes.end())
      sizes.push_back(part.text);
  }
  out.size_label = Join(sizes, "-");
  if (!out.finetune.empty() || !out.version.empty() || !out.size_label.empty())
    out.basename = Joined(parts, [](const Part& p) { return p.base; });
  return out;
}

std::string SizeLabel(const Layout& layout) {
  int64_t shared = 0, one_expert = 0, experts = 0;
  for (const TensorSpec& spec : layout.tensors) {
    if (spec.expert < 0) shared += spec.elements();
    if (spec.expert == 0) one_expert += spec.elements(), experts = spec.experts;
  }
  const std::string size = Rounded(static_cast<double>(shared + one_expert));
  return experts > 0 ? Cat(experts, "x", size) : size;
}

void WriteGeneral(std::string_view folder, const Layout& layout, GgufMetadata& m) {
  GgufName name = NameOfFolder(folder, layout.parameters());
  if (name.size_label.empty()) name.size_label = SizeLabel(layout);
  m.Set("general.type", std::string("model"));
  const auto set = [&](const char* key, const std::string& text) {
    if (!text.empty()) m.Set(key, text);
  };
  set("general.name", name.name);
  set("general.basename", name.basename);
  set("general.finetune", name.finetune);
  set("general.version", name.version);
  set("general.size_label", name.size_label);
}

}  // namespace retort
