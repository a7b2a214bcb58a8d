// SPDX-License-Identifier: Apache-2.0
#include "data/model_tokenizer.h"

#include "base/error.h"
#include "base/text.h"

namespace retort {

std::unique_ptr<Tokenizer> LoadTokenizer(const ModelFiles& files) {
  const std::string where = files.path.string();
  auto tokenizer = files.gguf
                       ? Tokenizer::FromSpec(SpecFromGguf(files.gguf->metadata, where), where)
                       : Tokenizer::Load(files.path);
  if (tokenizer->vocab_size() > files.config.vocab) {
    throw InputError(where, ": the tokenizer does not fit the model: it has ",
                     tokenizer->vocab_size(), " ids, the model's vocabulary ", files.config.vocab,
                     "; ids from there on, such as ",
                     Quoted(tokenizer->PieceText(static_cast<int32_t>(files.config.vocab))),
                     ", have no row in the model; take the tokenizer of this very model");
  }
  return tokenizer;
}

}  // namespace retort
