// SPDX-License-Identifier: Apache-2.0
// Compiled grammars, so that the same schema is compiled once.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "grammar/compile.h"

namespace retort {

// All functions are thread-safe.
class GrammarCache {
 public:
  static constexpr size_t kMostGrammars = 64;
  static constexpr size_t kMostBytes = size_t{256} << 20;

  // The tokenizer must outlive it. Its vocabulary is read when the first grammar is asked for.
  // shown: see Vocabulary.
  explicit GrammarCache(const Tokenizer& tokenizer, std::vector<int32_t> shown = {})
      : tokenizer_(tokenizer), shown_(std::move(shown)) {}

  // Compiles it, or gives the one compiled before; the one that was not asked for for the longest
  // time is dropped when there are too many, or when they have grown too large. One that is worn
  // (Grammar::worn) is compiled again. Throws what CompileGrammar throws. Who asks for a grammar
  // that is kept doesn't wait for those that are being compiled; two who ask for the same new one
  // may both compile it.
  std::shared_ptr<const Grammar> Get(const GrammarSource& source, const std::string& where);
  // The same of what is built, which the source says in words of the caller's own.
  std::shared_ptr<const Grammar> Get(const GrammarSource& source, const GrammarBuilder& builder,
                                     const std::string& where);

 private:
  using Compile =
      std::function<std::shared_ptr<const Grammar>(std::shared_ptr<const Vocabulary> vocabulary)>;
  struct Entry {
    GrammarSource source;
    std::shared_ptr<const Grammar> grammar;
  };
  std::shared_ptr<const Grammar> Get(const GrammarSource& source, const Compile& compile);
  using Entries = std::list<Entry>;
  // With the mutex held. Find: null if there is none, or if it is worn.
  std::shared_ptr<const Grammar> Find(const GrammarSource& source);
  Entries::iterator Drop(Entries::iterator at);
  void DropOld();

  const Tokenizer& tokenizer_;
  const std::vector<int32_t> shown_;
  std::mutex mutex_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  Entries entries_;  // the last used first
  std::map<GrammarSource, Entries::iterator> places_;
};

}  // namespace retort
