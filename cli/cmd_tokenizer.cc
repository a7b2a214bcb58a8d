// SPDX-License-Identifier: Apache-2.0
// retort tokenizer train: trains a SentencePiece vocabulary on text.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct TokenizerFlags {
  std::vector<std::string> data, symbols;
  std::string kind = "sentencepiece", model = "bpe", out;
  int vocab = 512, digits = 1;
};

void Train(const TokenizerFlags& flags) {
  if (flags.kind != "sentencepiece") {
    throw InputError("--kind '", flags.kind, "' is not known; use sentencepiece");
  }
  if (flags.model != "bpe" && flags.model != "unigram") {
    throw InputError("--model '", flags.model, "' is not known; use bpe or unigram");
  }
  CheckTarget(flags.out, TargetKind::kFolder);
  std::vector<std::string> texts;
  for (const std::string& file : flags.data) texts.push_back(ReadText(file, UINT64_MAX));
  const TargetLock lock(flags.out);
  AtomicFolder folder(flags.out);
  SentencePieceTraining options;
  options.vocab = flags.vocab;
  options.bpe = flags.model == "bpe";
  options.user_symbols = flags.symbols;
  options.digits = flags.digits;
  TrainSentencePiece(texts, options, folder.path());
  folder.Commit();
  PrintLine(Cat(flags.out, ": a SentencePiece vocabulary of ", flags.vocab, " pieces"));
}

}  // namespace

void AddTokenizer(CLI::App& app) {
  CLI::App* group = app.add_subcommand("tokenizer", "Make tokenizers");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand("train", "Train a vocabulary on text files");
  auto flags = std::make_shared<TokenizerFlags>();
  command->add_option("--data", flags->data, "text files")->required();
  command->add_option("--vocab", flags->vocab, "pieces, including bytes and special tokens")
      ->check(CLI::Range(260, 1 << 20));
  command->add_option("--kind", flags->kind, "sentencepiece");
  command->add_option("--model", flags->model, "bpe or unigram");
  command->add_option("--digits", flags->digits,
                      "1: each digit is a piece; 2: numbers are cut into pairs (bpe)");
  command->add_option("--symbol", flags->symbols,
                      "a text that is always one piece; may be repeated");
  command->add_option("--out", flags->out, "folder to make")->required();
  command->callback([flags] { Train(*flags); });
}

}  // namespace retort
