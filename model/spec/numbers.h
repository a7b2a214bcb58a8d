// SPDX-License-Identifier: Apache-2.0
// The numbers that describe a model, each with its range, and the readers of them that config.json
// and GGUF share. A number out of its range is refused where it is read, by the key that states it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

struct IntRange {
  int64_t least, most;
};
inline constexpr IntRange kLayerCounts{1, 4096}, kHeadCounts{1, 1 << 14}, kExpertCounts{1, 1 << 14};
// Three matrices each; a layout lists them all.
inline constexpr IntRange kAllExperts{0, 1 << 16};
inline constexpr IntRange kWidths{1, 1 << 20}, kHeadWidths{1, 1024}, kMlpWidths{1, 1 << 22};
inline constexpr IntRange kVocabSizes{1, 1 << 24};
inline constexpr IntRange kPositions{1, int64_t{1} << 30};
inline constexpr IntRange kWindows{0, int64_t{1} << 30};  // 0: none
// Of so many layers the last has no window.
inline constexpr IntRange kPatterns{1, kLayerCounts.most + 1};

// Within what f32 can compute with.
struct NumberRange {
  double least, most;
};
inline constexpr NumberRange kEpsilons{1e-30, 1}, kScales{1e-9, 1e9};
inline constexpr NumberRange kRopeBases{1, 1e15}, kRopeFactors{1, 1e6};
inline constexpr NumberRange kRopeDivisors{1e-3, 1e9};  // of single frequencies
inline constexpr NumberRange kBlendFactors{1e-6, 1e6};  // llama3's low and high factor
inline constexpr NumberRange kAmplitudes{1e-3, 1e3};    // of rotated values
inline constexpr NumberRange kShares{1e-3, 1};          // of a head that is rotated
inline constexpr NumberRange kSoftCaps{1e-6, 1e9};      // or 0: none

// `name` is the key or what the number is. Throw Error{kInput}: "WHERE: NAME is 0; must be in 1 ...
// 4096". NaN is in no range.
int64_t CheckRange(int64_t value, IntRange range, const std::string& where, std::string_view name);
double CheckRange(double value, NumberRange range, const std::string& where, std::string_view name);
// 0, or in the range of soft caps.
double CheckSoftCap(double value, const std::string& where, std::string_view name);
// An id of the vocabulary, or -1 for none.
int32_t CheckTokenId(int64_t id, int64_t vocab, const std::string& where, std::string_view name);

// The numbers of one file or of one section of it.
class NumberReader {
 public:
  virtual ~NumberReader() = default;

  // The fallback is for an absent key, and is not checked. Without one the key is required.
  int64_t Int(std::string_view key, IntRange range) const;
  int64_t Int(std::string_view key, IntRange range, int64_t fallback) const;
  double Number(std::string_view key, NumberRange range) const;
  double Number(std::string_view key, NumberRange range, double fallback) const;
  double SoftCap(std::string_view key, double fallback) const;
  int32_t TokenId(std::string_view key, int64_t vocab) const;  // -1 if absent

  virtual bool Has(std::string_view key) const = 0;
  virtual const std::string& where() const = 0;

 private:
  // Any value of the type. Throw Error{kInput} if the key is absent or of another type.
  virtual int64_t AnyInt(std::string_view key) const = 0;
  virtual double AnyNumber(std::string_view key) const = 0;
  virtual std::string Spelt(std::string_view key) const = 0;  // as the file spells the key
};

}  // namespace retort
