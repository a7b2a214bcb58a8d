// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/tokenizer_agreement.h"

#include <algorithm>

#include "base/strings.h"

namespace retort {
namespace {

const char* KindText(const TokenizerSpec& spec) {
  switch (spec.kind) {
    case TokenizerSpec::Kind::kSentencePiece:
      return "a SentencePiece model";
    case TokenizerSpec::Kind::kBpe:
      return "byte-pair merges";
    case TokenizerSpec::Kind::kUnigram:
      return "scores of pieces";
  }
  return "";
}

// Returns the first merge that differs. One list may be longer: a file may have merges beyond the
// shared pieces.
std::string MergesDisagree(const TokenizerSpec& a, const TokenizerSpec& b) {
  const size_t count = std::min(a.merges.size(), b.merges.size());
  for (size_t i = 0; i < count; ++i) {
    if (a.merges[i] != b.merges[i]) {
      return Cat("merge ", i, " is '", a.merges[i], "' in the one and '", b.merges[i],
                 "' in the other");
    }
  }
  if (a.merges.size() == b.merges.size()) return "";
  return Cat("the one has ", a.merges.size(), " merges, the other ", b.merges.size());
}

std::string ScoresDisagree(const TokenizerSpec& a, const TokenizerSpec& b) {
  const auto count = static_cast<size_t>(std::min(a.model_pieces, b.model_pieces));
  for (size_t id = 0; id < count; ++id) {
    if (a.pieces[id].score != b.pieces[id].score)
      return Cat("the score of '", a.pieces[id].text, "' is ", a.pieces[id].score,
                 " in the one and ", b.pieces[id].score, " in the other");
  }
  return "";
}

}  // namespace

std::string Disagreement(const Tokenizer& one, const Tokenizer& other) {
  const TokenizerSpec &a = one.spec(), &b = other.spec();
  if (a.kind != b.kind) return Cat("one is ", KindText(a), ", the other is ", KindText(b));
  const size_t shared = std::min(a.pieces.size(), b.pieces.size());
  for (size_t id = 0; id < shared; ++id) {
    if (a.pieces[id].text == b.pieces[id].text) continue;
    return Cat("id ", id, " is '", a.pieces[id].text, "' in the one and '", b.pieces[id].text,
               "' in the other");
  }
  // Beyond the shared ids, only tokens that plain text cannot produce are allowed.
  const std::vector<TokenizerSpec::Piece>& longer = a.pieces.size() > shared ? a.pieces : b.pieces;
  for (size_t id = shared; id < longer.size(); ++id) {
    if (longer[id].type == TokenizerSpec::PieceType::kNormal) {
      return Cat("id ", id, " is '", longer[id].text, "' in the one and unknown to the other");
    }
  }
  if (a.kind == TokenizerSpec::Kind::kUnigram) return ScoresDisagree(a, b);
  return a.kind == TokenizerSpec::Kind::kBpe ? MergesDisagree(a, b) : "";
}

}  // namespace retort
