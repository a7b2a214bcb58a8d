// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/grammar_cache.h"

namespace retort {

std::shared_ptr<const Grammar> GrammarCache::Get(const GrammarSource& source,
                                                 const std::string& where) {
  return Get(source, [&](std::shared_ptr<const Vocabulary> vocabulary) {
    return CompileGrammar(source, where, std::move(vocabulary));
  });
}

std::shared_ptr<const Grammar> GrammarCache::Get(const GrammarSource& source,
                                                 const GrammarBuilder& builder,
                                                 const std::string& where) {
  return Get(source, [&](std::shared_ptr<const Vocabulary> vocabulary) {
    return CompileGrammar(builder, where, std::move(vocabulary));
  });
}

std::shared_ptr<const Grammar> GrammarCache::Get(const GrammarSource& source,
                                                 const Compile& compile) {
  std::shared_ptr<const Vocabulary> vocabulary;
  {
    const std::lock_guard lock(mutex_);
    if (std::shared_ptr<const Grammar> kept = Find(source)) return kept;
    if (!vocabulary_) vocabulary_ = std::make_shared<const Vocabulary>(tokenizer_, shown_);
    vocabulary = vocabulary_;
  }
  std::shared_ptr<const Grammar> grammar = compile(std::move(vocabulary));
  const std::lock_guard lock(mutex_);
  // Another thread may have compiled it meanwhile.
  if (std::shared_ptr<const Grammar> kept = Find(source)) return kept;
  if (const auto worn = places_.find(source); worn != places_.end()) Drop(worn->second);
  entries_.push_front({source, grammar});
  places_[source] = entries_.begin();
  DropOld();
  return grammar;
}

std::shared_ptr<const Grammar> GrammarCache::Find(const GrammarSource& source) {
  const auto at = places_.find(source);
  if (at == places_.end() || at->second->grammar->worn()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->grammar;
}

GrammarCache::Entries::iterator GrammarCache::Drop(Entries::iterator at) {
  places_.erase(at->source);
  return entries_.erase(at);
}

// The newest one stays, however large.
void GrammarCache::DropOld() {
  size_t bytes = 0, count = 0;
  for (auto at = entries_.begin(); at != entries_.end();) {
    bytes += at->grammar->bytes() + at->source.text.size();
    if (++count == 1 || (count <= kMostGrammars && bytes <= kMostBytes))
      ++at;
    else
      at = Drop(at);
  }
}

}  // namespace retort
