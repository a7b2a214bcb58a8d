// SPDX-License-Identifier: Apache-2.0
// GGUF's names of pre-tokenizers (tokenizer.ggml.pre): how llama.cpp and its converter call the
// ways in which byte-level models split text into words. One line of a table for each name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct PreName {
  const char* name;
  // As the files of the name's models write them in their folders.
  std::vector<SplitSpec> splits;
  bool nfc = false;  // in the folders of its models
  bool ignore_merges = false;
  // A token that tells models of this name from others that split alike; nullptr: it needs none.
  const char* mark = nullptr;
  bool reads_only = false;  // never written: another line's name says the same
  // What llama.cpp does otherwise, if it does; nullptr: nothing.
  const char* llama_cpp = nullptr;
};

// nullptr if the name is not known.
const PreName* FindPreName(std::string_view name);
// All names, in order, for messages.
std::string KnownPreNames();

// The name to write for a model that splits and merges like this and has these pieces: one with the
// same splits, however their expressions are spelt; "" if there is none. `thorough`: compares by trying
// texts too, which takes a second; else only what is written alike is found.
std::string PreNameFor(const std::vector<TextStage>& stages, const TokenizerSpec& spec,
                       bool thorough);

}  // namespace retort
