// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/gguf_fit.h"

#include <algorithm>
#include <unordered_map>

#include "base/seeded_hash.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;
using Kind = NormalizerSpec::Kind;

void FinishPieces(bool byte_fallback, TokenizerSpec* spec) {
  std::unordered_map<std::string, float, SeededTextHash, std::equal_to<>> score;
  for (size_t rank = 0; rank < spec->merges.size(); ++rank) {
    std::string whole = spec->merges[rank];
    const size_t cut = whole.find(' ');
    if (cut != whole.npos) whole.erase(cut, 1);
    score.emplace(std::move(whole), -static_cast<float>(rank));
  }
  const float never = -static_cast<float>(spec->merges.size()) - 1;
  bool spelt[256] = {};  // bytes that have a piece
  for (auto& piece : spec->pieces) {
    if (piece.type == PieceType::kByte) piece.type = PieceType::kNormal;
    if (piece.type != PieceType::kNormal) continue;
    if (const int byte = BytePiece(piece.text); byte_fallback && byte >= 0) {
      piece.type = PieceType::kByte;
      spelt[byte] = true;
      continue;
    }
    if (piece.text.size() == 1) spelt[static_cast<uint8_t>(piece.text[0])] = true;
    const auto known = score.find(piece.text);
    piece.score = known != score.end() ? known->second : never;
  }
  spec->byte_fallback = byte_fallback && std::ranges::all_of(spelt, [](bool is) { return is; });
  if (spec->unk >= 0) spec->pieces[spec->unk].type = PieceType::kUnknown;
}

std::string ByteLevelFault(const TextSteps& steps, const TokenizerSpec& spec) {
  if (spec.add_space_prefix)
    return "its tokenizer puts a space before a text, which a GGUF of this kind cannot say";
  if (!steps.normalizers.empty() && !spec.nfc)
    return "its tokenizer normalises text in a way that GGUF has no name for";
  return "";
}

std::string StepFault(const NormalizerSpec& step, bool* marks, std::vector<std::string>* notes) {
  if (step.kind == Kind::kReplaceText && step.pattern == " " && step.content == kMetaSpace) {
    *marks = true;
    return "";
  }
  if (step.kind != Kind::kPrepend || step.content != kMetaSpace)
    return "its tokenizer normalises text in a way that GGUF has no name for";
  if (step.where == NormalizerSpec::Where::kFirstRun) {
    notes->push_back(
        "llama.cpp puts a space also before text that follows a special token; the tokenizer puts one before the beginning of a text alone (prepend_scheme 'first')");
  } else if (step.unless_there) {
    notes->push_back(
        "llama.cpp puts a space also before a text that begins with one; the tokenizer does not (Metaspace)");
  }
  return "";
}

std::string MetaSpaceFault(const TextSteps& steps, TokenizerSpec* out) {
  const TokenizerSpec& spec = *out;
  bool marks = false;
  std::vector<NormalizerSpec> rewrites = steps.normalizers;
  std::vector<SplitSpec> splits;
  for (const TextStage& stage : steps.stages) {
    rewrites.insert(rewrites.end(), stage.rewrites.begin(), stage.rewrites.end());
    splits.insert(splits.end(), stage.splits.begin(), stage.splits.end());
  }
  for (const NormalizerSpec& step : rewrites) {
    std::string fault = StepFault(step, &marks, &out->gguf_notes);
    if (!fault.empty()) return fault;
  }
  if (!marks) return "its tokenizer keeps spaces as they are, which a GGUF of this kind cannot say";
  for (const SplitSpec& split : splits) {
    // No space is left to split at, and no piece could reach over a mark anyway.
    const bool idle = split.literal && (split.pattern == " " ||
                                        (split.pattern == kMetaSpace && MarksOnlyLead(spec)));
    if (!idle) return "its tokenizer splits words in a way that GGUF has no name for";
  }
  return spec.ignore_merges
             ? "its tokenizer ignores its merges for whole words, which a GGUF of this kind cannot say"
             : "";
}

constexpr char kNoName[] = "its tokenizer normalises text in a way that GGUF has no name for";

// Whether a step joins spaces, or takes away those at the ends of a text.
bool TidiesSpaces(const NormalizerSpec& step) {
  if (step.kind == Kind::kStripLeft || step.kind == Kind::kStripRight) return true;
  const bool to_one = step.content == " " || step.content == kMetaSpace;
  return step.kind == Kind::kReplaceRegex && step.pattern == " {2,}" && to_one;
}

bool IsOfSpaces(const SplitSpec& split) {
  return split.pattern == R"(\s)" && split.behavior == SplitSpec::Behavior::kRemoved;
}

// What rewrites and splits the words: marks for spaces, as "Metaspace" puts them.
std::string UnigramStagesFault(const TextSteps& steps, TokenizerSpec* spec) {
  bool marks = false;
  for (const TextStage& stage : steps.stages) {
    for (const NormalizerSpec& step : stage.rewrites) {
      std::vector<std::string> notes;
      if (std::string fault = StepFault(step, &marks, &notes); !fault.empty()) return fault;
      // Where spaces are joined, none is put before another.
      if (step.where == NormalizerSpec::Where::kFirstRun || !spec->remove_extra_whitespaces)
        spec->gguf_notes.insert(spec->gguf_notes.end(), notes.begin(), notes.end());
    }
    for (const SplitSpec& split : stage.splits) {
      const bool at_marks = split.literal && split.pattern == kMetaSpace;
      if (IsOfSpaces(split))
        spec->remove_extra_whitespaces = true;
      else if (!at_marks)
        return "its tokenizer splits words in a way that GGUF has no name for";
      else if (!MarksOnlyLead(*spec))
        spec->gguf_notes.push_back(
            "llama.cpp uses pieces with a space inside, at which the tokenizer splits words");
    }
  }
  return marks ? ""
               : "its tokenizer keeps spaces as they are, which a GGUF of this kind cannot say";
}

std::string UnigramFault(const TextSteps& steps, TokenizerSpec* spec) {
  spec->remove_extra_whitespaces = false;
  for (const NormalizerSpec& step : steps.normalizers) {
    if (step.kind == Kind::kPrecompiled && spec->charsmap.empty())
      spec->charsmap = step.pattern;
    else if (TidiesSpaces(step))
      spec->remove_extra_whitespaces = true;
    else
      return kNoName;
  }
  return UnigramStagesFault(steps, spec);
}

}  // namespace

void FitUnigram(const TextSteps& steps, TokenizerSpec* spec) {
  for (TokenizerSpec::Piece& piece : spec->pieces) {
    if (piece.type == PieceType::kByte) piece.type = PieceType::kNormal;
    if (piece.type == PieceType::kNormal && spec->byte_fallback && BytePiece(piece.text) >= 0)
      piece.type = PieceType::kByte;
  }
  if (spec->unk >= 0) spec->pieces[static_cast<size_t>(spec->unk)].type = PieceType::kUnknown;
  spec->charsmap.clear();
  spec->gguf_fault = UnigramFault(steps, spec);
  if (!spec->gguf_fault.empty()) spec->charsmap.clear(), spec->remove_extra_whitespaces = false;
}

void FitByteLevel(const TextSteps& steps, TokenizerSpec* spec) {
  spec->gguf_fault = ByteLevelFault(steps, *spec);
}

void FitMetaSpace(const TextSteps& steps, bool byte_fallback, TokenizerSpec* spec) {
  FinishPieces(byte_fallback, spec);
  spec->gguf_fault = MetaSpaceFault(steps, spec);
}

}  // namespace retort
