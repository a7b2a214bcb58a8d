// SPDX-License-Identifier: Apache-2.0
#include "runner/grammar_cache.h"

namespace retort {

std::shared_ptr<const Grammar> GrammarCache::Get(const GrammarSource& source,
                                                 const std::string& where) {
  const std::lock_guard lock(mutex_);
  if (const auto at = places_.find(source); at != places_.end()) {
    entries_.splice(entries_.begin(), entries_, at->second);
    return at->second->grammar;
  }
  if (!vocabulary_) vocabulary_ = std::make_shared<const Vocabulary>(tokenizer_);
  entries_.push_front({source, CompileGrammar(source, where, vocabulary_)});
  places_[source] = entries_.begin();
  std::shared_ptr<const Grammar> grammar = entries_.front().grammar;
  DropOld();
  return grammar;
}

// The newest one stays, however large.
void GrammarCache::DropOld() {
  size_t bytes = 0, count = 0;
  for (auto at = entries_.begin(); at != entries_.end();) {
    bytes += at->grammar->bytes() + at->source.text.size();
    if (++count == 1 || (count <= kMostGrammars && bytes <= kMostBytes)) {
      ++at;
      continue;
    }
    places_.erase(at->source);
    at = entries_.erase(at);
  }
}

}  // namespace retort
