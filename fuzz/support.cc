// SPDX-License-Identifier: Apache-2.0
#include "fuzz/support.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace retort {

bool Accepted(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::kBug) throw;
    return false;
  }
}

FuzzFolder::FuzzFolder()
    : path_(std::filesystem::temp_directory_path() / Cat("retort-fuzz-", ::getpid())) {
  std::filesystem::create_directories(path_);
}

FuzzFolder::~FuzzFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Path FuzzFolder::Put(std::string_view name, std::string_view bytes) const {
  Path path = path_ / name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  RETORT_CHECK(file >= 0, path.string());
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    RETORT_CHECK(written > 0, path.string());
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  ::close(file);
  return path;
}

void FuzzFolder::Remove(std::string_view name) const {
  std::error_code ignored;
  std::filesystem::remove(path_ / name, ignored);
}

Halves Cut(std::string_view text, std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == text.npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + separator.size())};
}

void Touch(Bytes bytes) {
  volatile unsigned sum = 0;
  for (const std::byte b : bytes) sum = sum + std::to_integer<unsigned>(b);
}

const Tokenizer& SmallTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = [] {
    TokenizerSpec spec;
    spec.kind = TokenizerSpec::Kind::kSentencePiece;
    spec.unigram = spec.byte_fallback = true;
    using PieceType = TokenizerSpec::PieceType;
    spec.pieces.push_back({"<unk>", 0, PieceType::kUnknown});
    for (const char* mark :
         {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>",
          "<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]"})
      spec.pieces.push_back({mark, 0, PieceType::kControl});
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char* const digits = "0123456789ABCDEF";
      spec.pieces.push_back(
          {Cat("<0x", digits[byte >> 4], digits[byte & 15], ">"), 0, PieceType::kByte});
    }
    for (char letter = 'a'; letter <= 'z'; ++letter)
      spec.pieces.push_back({std::string(1, letter), -1});
    spec.pieces.push_back({"\u2581", -1});
    spec.unk = 0, spec.bos = 1, spec.eos = 2, spec.add_bos = true;
    return Tokenizer::FromSpec(std::move(spec), "small tokenizer");
  }();
  return *tokenizer;
}

void UseTokenizer(const Tokenizer& tokenizer) {
  constexpr std::string_view kTexts[] = {
      "Once upon a time, 1234 birds sang  \t\n", "na\u00efve \u6771\u4eac \U0001f600",
      "<s>[INST] x [/INST]<|im_end|></s>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xff\xfe\x80"};
  for (const std::string_view text : kTexts) {
    for (const bool markup : {false, true}) {
      const std::vector<int32_t> ids = tokenizer.Encode({{std::string(text), markup}}, markup);
      tokenizer.Decode(ids, markup);
      for (const int32_t id : ids) tokenizer.PieceText(id);
    }
    tokenizer.EncodePrompt(text);
  }
}

}  // namespace retort
