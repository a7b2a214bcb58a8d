// SPDX-License-Identifier: Apache-2.0
#include "data/load_tokenizer.h"

#include "base/error.h"

namespace retort {

std::unique_ptr<Tokenizer> LoadTokenizer(const ModelFiles& files) {
  auto tokenizer = LoadTokenizer(files.path);
  if (tokenizer->vocab_size() > files.config.vocab) {
    throw InputError(files.path.string(), ": the tokenizer does not fit the model: it has ", tokenizer->vocab_size(),
                     " ids, the model's vocabulary ", files.config.vocab);
  }
  return tokenizer;
}

std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path) { return Tokenizer::Load(path); }

}  // namespace retort
