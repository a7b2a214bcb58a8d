// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/byte_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr const char* kEnd = "<|endoftext|>";
constexpr int64_t kFixed = 256 + 1 + 26;

std::string Letter(int byte) {
  std::string text;
  AppendUtf8(ByteToLetter(static_cast<uint8_t>(byte)), &text);
  return text;
}

}  // namespace

void WriteByteTokenizer(const Path& folder, int64_t vocab) {
  if (vocab < kFixed) {
    throw InputError("a byte-level vocabulary needs ", kFixed, " ids, the shape has ", vocab,
                     "; name a --tokenizer");
  }
  Json pieces = Json::object(), merges = Json::array();
  int64_t next = 0;
  for (int byte = 0; byte < 256; ++byte) pieces[Letter(byte)] = next++;
  pieces[kEnd] = next++;
  const std::string space = Letter(' ');
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    merges.push_back(Cat(space, " ", letter));
    pieces[Cat(space, letter)] = next++;
  }
  while (next < vocab) {
    pieces[Cat("<|unused_", next, "|>")] = next;
    ++next;
  }
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", Json::array({{{"id", 256},
                                                         {"content", kEnd},
                                                         {"single_word", false},
                                                         {"lstrip", false},
                                                         {"rstrip", false},
                                                         {"normalized", false},
                                                         {"special", true}}})},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", byte_level},
                          {"post_processor", nullptr},
                          {"decoder", byte_level},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"vocab", pieces},
                            {"merges", merges}}}};
  WriteTextAtomically(folder / "tokenizer.json", DumpJson(tokenizer) + "\n");
  const Json config = {
      {"tokenizer_class", "GPT2Tokenizer"}, {"eos_token", kEnd}, {"add_bos_token", false}};
  WriteTextAtomically(folder / "tokenizer_config.json", DumpJson(config, 2) + "\n");
}

}  // namespace retort
