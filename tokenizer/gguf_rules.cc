// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/gguf_rules.h"

#include <unordered_map>
#include <unordered_set>

#include "base/seeded_hash.h"
#include "base/strings.h"
#include "base/text.h"
#include "tokenizer/merge_scores.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

std::string AddedTokenFault(const TokenizerSpec& spec, const TokenizerSpec::AddedToken& token,
                            std::string_view model_name) {
  const auto fault = [&](std::string_view what, std::string_view flag) {
    return Cat("added token ", Quoted(token.text), " ", what, " (", flag, ")");
  };
  if (token.lstrip) return fault("takes away the spaces before it", "lstrip");
  if (token.rstrip != TakesSpaceBehind(model_name, token.text)) {
    return token.rstrip
               ? fault("takes away the spaces behind it", "rstrip")
               : fault("leaves the spaces behind it, but a model of this name does not", "rstrip");
  }
  if (token.single_word) return fault("is read only where it stands alone", "single_word");
  if (token.normalized && !spec.byte_level && spec.normalizes)
    return fault("is looked for in normalised text", "normalized");
  return "";
}

// A SentencePiece model's own user-defined pieces stand within a text; in a GGUF they cut it, and
// what follows them gets a mark for a space.
std::string UserPieceFault(const TokenizerSpec& spec) {
  if (spec.kind != TokenizerSpec::Kind::kSentencePiece || spec.cut_user_defined ||
      !spec.add_space_prefix)
    return "";
  std::unordered_set<int32_t> added;
  for (const TokenizerSpec::AddedToken& token : spec.added) added.insert(token.id);
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenizerSpec::Piece& piece = spec.pieces[id];
    if (piece.type == PieceType::kUserDefined && !added.contains(static_cast<int32_t>(id))) {
      return Cat("user-defined piece ", Quoted(piece.text),
                 " is a part of words, but in a GGUF words end at it");
    }
  }
  return "";
}

// Two ids with one spelling: llama.cpp does not open such a file.
std::string DuplicateFault(const TokenizerSpec& spec) {
  std::unordered_map<std::string_view, size_t, SeededTextHash> ids;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const auto [first, is_new] = ids.emplace(spec.pieces[id].text, id);
    if (!is_new) {
      return Cat("ids ", first->second, " and ", id, " are both spelt ",
                 Quoted(spec.pieces[id].text));
    }
  }
  return "";
}

void NoteUnigram(const TokenizerSpec& spec, std::vector<std::string>* notes) {
  if (spec.byte_fallback)
    notes->push_back("llama.cpp gives unknown characters the unknown token, not their bytes");
  if (!spec.charsmap.empty())
    notes->push_back(
        "llama.cpp applies the table of characters to the longest match, the tokenizer to "
        "single characters");
  if (spec.remove_extra_whitespaces && spec.charsmap.empty())
    notes->push_back("llama.cpp keeps tabs and ends of lines, at which the tokenizer splits words");
}

// Notes on the added tokens, one for each kind.
void NoteAddedTokens(const TokenizerSpec& spec, std::string_view model_name,
                     std::vector<std::string>* notes) {
  std::unordered_map<std::string, size_t, SeededTextHash> kinds;  // flag -> tokens
  std::vector<std::pair<std::string, std::string>> firsts;        // flag, note
  for (const TokenizerSpec::AddedToken& token : spec.added) {
    std::string note = AddedTokenFault(spec, token, model_name);
    if (note.empty()) continue;
    const std::string flag = note.substr(note.rfind('('));
    if (kinds[flag]++ == 0) firsts.emplace_back(flag, std::move(note));
  }
  for (auto& [flag, note] : firsts) {
    const size_t more = kinds[flag] - 1;
    notes->push_back(more == 0 ? note : Cat(note, ", and so do ", more, " more"));
  }
}

}  // namespace

bool TakesSpaceBehind(std::string_view model_name, std::string_view token) {
  std::string name(model_name);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (name.find("phi-3") == name.npos && name.find("phi3") == name.npos) return false;
  return token != "<unk>" && token != "<s>" && token != "<|endoftext|>";
}

GgufLosses LossesInGguf(const TokenizerSpec& spec, const std::string& pre,
                        std::string_view model_name) {
  GgufLosses losses{.fault = spec.gguf_fault};
  if (losses.fault.empty() && pre.empty())
    losses.fault = "its tokenizer splits words in a way that GGUF has no name for";
  if (losses.fault.empty()) losses.fault = DuplicateFault(spec);
  losses.unsaid = spec.gguf_notes;
  const PreName* name = spec.byte_level ? FindPreName(pre) : nullptr;
  if (name && name->ignore_merges != spec.ignore_merges) {
    losses.unsaid.push_back(
        spec.ignore_merges
            ? "llama.cpp merges words that are pieces too; the tokenizer takes them whole (ignore_merges)"
            : "llama.cpp takes words that are pieces whole; the tokenizer merges them too (ignore_merges)");
  }
  if (name && name->llama_cpp) losses.undone.push_back(name->llama_cpp);
  if (name && spec.nfc)
    losses.undone.push_back("llama.cpp does not bring text into Unicode's form NFC");
  const bool unigram = spec.kind == TokenizerSpec::Kind::kUnigram;
  if (unigram) NoteUnigram(spec, &losses.undone);
  if (!spec.tokenizer_json.empty() && !spec.byte_level && !unigram && losses.fault.empty() &&
      !ScoresSayMerges(spec))
    losses.unsaid.push_back(
        "llama.cpp merges by the scores of pieces, which cannot say all of this tokenizer's merges");
  NoteAddedTokens(spec, model_name, &losses.unsaid);
  if (std::string note = UserPieceFault(spec); !note.empty())
    losses.unsaid.push_back(std::move(note));
  if (spec.kind == TokenizerSpec::Kind::kSentencePiece && !spec.unigram &&
      spec.remove_extra_whitespaces)
    losses.undone.push_back("llama.cpp keeps the extra spaces that this tokenizer removes");
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (spec.pieces[id].text.find('\0') == std::string::npos) continue;
    losses.undone.push_back(Cat("llama.cpp reads no zero byte, which piece ", id, " holds"));
    break;
  }
  return losses;
}

}  // namespace retort
