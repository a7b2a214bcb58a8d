// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_tokens.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/error.h"
#include "formats/tensor_file.h"

namespace retort {
namespace {

constexpr int64_t kUnknown = 2, kControl = 3;  // tokenizer.ggml.token_type

// The texts at which llama.cpp ends a generation, whatever ids the file names.
constexpr std::array<std::string_view, 16> kEndTexts = {
    "<|eot_id|>",    "<|im_end|>",    "<|end|>", "<|return|>",      "<|call|>",
    "<end_of_turn>", "<|endoftext|>", "</s>",    "<|eom_id|>",      "<EOT>",
    "_<EOT>",        "[EOT]",         "[EOS]",   "<|end_of_text|>", "<end_of_utterance>",
    "<eos>"};

// The pre-tokenizers of byte-level BPE to which llama.cpp adds BOS.
constexpr std::array<std::string_view, 10> kAddBos = {
    "llama3",  "llama-v3", "llama-bpe", "falcon3", "falcon-h1",
    "pixtral", "midm-2.0", "lfm2",      "tekken",  "chameleon"};

class Reader {
 public:
  Reader(const GgufMetadata& m, const std::string& where)
      : m_(m), where_(where), kind_(m.Text("tokenizer.ggml.model", "")) {
    if (m.Find("tokenizer.ggml.tokens")) texts_ = &m.Texts("tokenizer.ggml.tokens");
    if (m.Find("tokenizer.ggml.token_type")) types_ = m.Ints("tokenizer.ggml.token_type");
  }

  GgufTokens Read() const {
    GgufTokens out;
    out.bos = Id("bos", kind_ == "llama" ? Inferred(1, "<s>") : -1);
    out.eos = Id("eos", kind_ == "llama" ? Inferred(2, "</s>")
                        : kind_ == "t5"  ? Inferred(1, "</s>")
                                         : -1);
    out.unk = Id("unknown", kind_ == "llama" ? Inferred(0, "<unk>", kUnknown) : -1);
    out.pad = Id("padding", -1);
    out.add_bos = m_.Bool("tokenizer.ggml.add_bos_token", AddsBos());
    out.add_eos = m_.Bool("tokenizer.ggml.add_eos_token", kind_ == "t5");
    out.ends = Ends(out.eos);
    return out;
  }

 private:
  int64_t size() const { return texts_ ? std::ssize(*texts_) : int64_t{INT32_MAX}; }

  int32_t Checked(int64_t id, std::string_view key) const {
    if (id >= -1 && id < size()) return static_cast<int32_t>(id);
    throw InputError(where_, ": ", key, " is ", id, ", the vocabulary has ", size());
  }
  int32_t Id(std::string_view name, int32_t inferred) const {
    const std::string key = Cat("tokenizer.ggml.", name, "_token_id");
    return m_.Find(key) ? Checked(m_.Int(key), key) : inferred;
  }

  // llama.cpp's default id, if the token there is what the default means.
  int32_t Inferred(int32_t id, std::string_view text, int64_t type = kControl) const {
    if (!texts_ || id >= size()) return -1;
    const auto at = static_cast<size_t>(id);
    const bool control =
        types_.size() == texts_->size() ? types_[at] == type : (*texts_)[at] == text;
    return control ? id : -1;
  }

  bool AddsBos() const {
    if (kind_ == "llama") return true;
    const std::string pre = m_.Text("tokenizer.ggml.pre", "");
    return kind_ == "gpt2" && std::find(kAddBos.begin(), kAddBos.end(), pre) != kAddBos.end();
  }

  std::vector<int32_t> Ends(int32_t eos) const {
    std::vector<int32_t> ends;
    std::set<int32_t> known;
    const auto add = [&](int32_t id) {
      if (id >= 0 && known.insert(id).second) ends.push_back(id);
    };
    constexpr std::string_view kListed = "retort.end_token_ids";
    if (m_.Find(kListed)) {
      for (int64_t id : m_.Ints(kListed)) add(Checked(id, kListed));
      return ends;
    }
    add(eos);
    add(Id("eot", -1));
    add(Id("eom", -1));
    for (int64_t id = 0; texts_ && id < size(); ++id) {
      const std::string& text = (*texts_)[static_cast<size_t>(id)];
      if (std::find(kEndTexts.begin(), kEndTexts.end(), text) != kEndTexts.end())
        add(static_cast<int32_t>(id));
    }
    return ends;
  }

  const GgufMetadata& m_;
  const std::string& where_;
  const std::string kind_;
  const std::vector<std::string>* texts_ = nullptr;
  std::vector<int64_t> types_;
};

}  // namespace

GgufTokens ReadGgufTokens(const GgufMetadata& metadata, const std::string& where) {
  return Reader(metadata, where).Read();
}

}  // namespace retort
