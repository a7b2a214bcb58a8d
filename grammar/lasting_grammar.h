// SPDX-License-Identifier: Apache-2.0
// A grammar that any number of texts can be held to: it is compiled again when it is worn.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "grammar/compile.h"

namespace retort {

// Thread-safe.
class LastingGrammar {
 public:
  // See CompileGrammar.
  LastingGrammar(GrammarSource source, std::string where,
                 std::shared_ptr<const Vocabulary> vocabulary = nullptr)
      : source_(std::move(source)),
        where_(std::move(where)),
        vocabulary_(std::move(vocabulary)),
        grammar_(CompileGrammar(source_, where_, vocabulary_)) {}

  const GrammarSource& source() const { return source_; }
  const std::string& where() const { return where_; }

  // To be asked for again for every text.
  std::shared_ptr<const Grammar> Get() const {
    const std::lock_guard lock(mutex_);
    if (grammar_->worn()) grammar_ = CompileGrammar(source_, where_, vocabulary_);
    return grammar_;
  }

 private:
  GrammarSource source_;
  std::string where_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Grammar> grammar_;
};

}  // namespace retort
