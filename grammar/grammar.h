// SPDX-License-Identifier: Apache-2.0
// A language that an answer is held to, and one answer's place in it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "grammar/parser.h"
#include "grammar/vocabulary.h"

namespace retort {

// A compiled grammar (compile.h), shared by any number of matchers and threads. What it learns of
// the texts that it sees is kept behind a mutex, so calls of one grammar wait for each other.
class Grammar {
 public:
  // vocabulary: null if only whole texts are to be checked.
  Grammar(std::unique_ptr<GrammarParts> parts, std::shared_ptr<const Vocabulary> vocabulary);
  ~Grammar();

  bool Matches(std::string_view text) const;
  // How many of the text's first bytes some text of the grammar begins with.
  size_t CountRead(std::string_view text) const;
  // Memory, in so far as it grows, behind the last call; waits for none.
  size_t bytes() const;
  // What texts have taught it has used up half of the room that compiling left, or a call has
  // thrown. Beyond its limits every call throws, so one that is worn is better compiled again.
  bool worn() const;

 private:
  friend class Matcher;
  class Turn;
  struct State;
  std::unique_ptr<State> state_;
};

// Cheap to copy: a copy is a place to come back to. One thread at a time. Functions throw
// Error{kInput} where the text so far needs more than the grammar's limits.
class Matcher {
 public:
  // At the beginning of a text. The grammar has a vocabulary.
  explicit Matcher(std::shared_ptr<const Grammar> grammar);

  // Sets the bits of exactly the tokens that some text of the grammar goes on with; `bits` has
  // Vocabulary::mask_words() words. Control tokens are never among them.
  void FillMask(std::span<uint64_t> bits) const;
  // Reads a token. False if it is not allowed; the matcher is then of no more use.
  bool Accept(int32_t token);
  bool AcceptText(std::string_view text);
  // How many of the tokens may follow one after the other; reads none. For guesses, which are worth
  // little: all of them have a tenth of a call's steps. Nothing where that or the grammar's limits
  // do not suffice, which does not make the grammar worn.
  std::optional<size_t> CountAllowed(std::span<const int32_t> tokens) const;
  bool CanEnd() const { return at_.ends; }
  // Whether something may follow. If not, and only then, CanEnd() is the whole of it.
  bool CanGoOn() const { return !at_.threads.empty(); }
  // The bytes that some text of the grammar goes on with, and perhaps a few others.
  ByteSet NextBytes() const;
  // Whether a longer token that begins with this one's text is allowed in its place.
  bool MayBeLonger(int32_t token) const;
  // The bytes that must follow, at most kMostForced of them; "" where there is a choice.
  static constexpr size_t kMostForced = 4096;
  std::string ForcedText() const;

  const Vocabulary& vocabulary() const;

 private:
  std::shared_ptr<const Grammar> grammar_;
  Parser::Configuration at_;
};

}  // namespace retort
