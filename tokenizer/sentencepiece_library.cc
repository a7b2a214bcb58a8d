// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/sentencepiece_library.h"

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "tokenizer/sentencepiece_file.h"

namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // exported by the library, but not declared in its public headers
}  // namespace sentencepiece::logging

namespace retort {
namespace {

constexpr int kSilent = 4;  // above the library's highest level; it returns errors as values

}  // namespace

struct SentencePieceLibrary::Processor : sentencepiece::SentencePieceProcessor {};

SentencePieceLibrary::SentencePieceLibrary(const TokenizerSpec& spec, bool prefix,
                                           const std::string& where)
    : processor_(std::make_unique<Processor>()) {
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    if (spec.pieces[id].text.find('\0') != std::string::npos)
      throw InputError(where, ": piece ", id,
                       " holds a zero byte, which SentencePiece does not read");
  }
  sentencepiece::logging::SetMinLogLevel(kSilent);
  const auto status = processor_->LoadFromSerializedProto(WriteSentencePieceModel(spec, prefix));
  if (!status.ok())
    throw InputError(where, ": SentencePiece refuses the model: ", status.message());
}
SentencePieceLibrary::~SentencePieceLibrary() = default;

std::vector<int32_t> SentencePieceLibrary::Encode(std::string_view text) const {
  std::vector<int> ids;
  const auto status = processor_->Encode(text, &ids);
  if (!status.ok()) throw Failure("SentencePiece cannot encode a text: ", status.message());
  return ids;
}

}  // namespace retort
