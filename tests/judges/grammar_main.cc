// SPDX-License-Identifier: Apache-2.0
// retort_judge_grammar [--masks MODEL] < LINES
//   reads JSON objects {"kind": "schema" | "regex" | "choices" | "gbnf" | "lark" | "json", "text", "space":
//   "compact" | "spaced" | "flexible", "texts": [...]}, one a line, and prints for each
//   {"compile_us", "accepts": [...]}, or {"compile_us", "error"}
//   --masks: follows each text token by token, too, and adds "mask_us" (of each mask), "masked"
//   (whether every token was allowed) and, if the line has "masks", "masks" in hexadecimal
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hex.h"
#include "base/json.h"
#include "grammar/compile.h"

namespace {

using namespace retort;
using Clock = std::chrono::steady_clock;

double Microseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

GrammarSource SourceOf(const Json& line) {
  using Kind = GrammarSource::Kind;
  const std::string kind = line.value("kind", "schema"), space = line.value("space", "compact");
  return {kind == "regex"     ? Kind::kRegex
          : kind == "choices" ? Kind::kChoices
          : kind == "gbnf"    ? Kind::kGbnf
          : kind == "lark"    ? Kind::kLark
          : kind == "json"    ? Kind::kJson
                              : Kind::kSchema,
          line.value("text", ""),
          space == "flexible" ? JsonSpace::kFlexible
          : space == "spaced" ? JsonSpace::kSpaced
                              : JsonSpace::kCompact};
}

// The words of a mask, each as 16 hexadecimal digits.
std::string HexOf(const std::vector<uint64_t>& bits) {
  std::string hex;
  hex.reserve(bits.size() * 16);
  for (const uint64_t word : bits) hex += HexText(word, 16);
  return hex;
}

// Whether every token of the text was allowed, and it may end there.
bool Follow(const std::shared_ptr<const Grammar>& grammar, const std::vector<int32_t>& ids,
            bool masks, Json& out) {
  Matcher matcher(grammar);
  std::vector<uint64_t> bits(matcher.vocabulary().mask_words());
  for (size_t i = 0; i <= ids.size(); ++i) {
    const auto begin = Clock::now();
    matcher.FillMask(bits);
    out["mask_us"].push_back(Microseconds(begin));
    if (masks) out["masks"].push_back(HexOf(bits));
    if (i == ids.size()) break;
    const auto id = static_cast<size_t>(ids[i]);
    const bool allowed = bits[id / 64] >> id % 64 & 1;
    if (matcher.Accept(ids[i]) != allowed) throw Failure("mask and Accept differ at token ", i);
    if (!allowed) return false;
  }
  return matcher.CanEnd();
}

Json Answer(const Json& line, const Tokenizer* tokenizer,
            const std::shared_ptr<const Vocabulary>& vocabulary) {
  Json out = Json::object();
  const auto begin = Clock::now();
  try {
    const auto grammar = CompileGrammar(SourceOf(line), "schema", vocabulary);
    out["compile_us"] = Microseconds(begin);
    out["accepts"] = Json::array();
    for (const Json& text : line["texts"]) {
      out["accepts"].push_back(grammar->Matches(text.get<std::string>()));
      if (!tokenizer) continue;
      const auto ids = tokenizer->Encode(text.get<std::string>(), true);
      const bool masked = Follow(grammar, ids, line.contains("masks"), out);
      out["masked"].push_back(masked);
    }
    out["bytes"] = grammar->bytes();
  } catch (const Error& e) {
    if (!out.contains("compile_us")) out["compile_us"] = Microseconds(begin);
    out["error"] = e.what();
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::unique_ptr<Tokenizer> tokenizer;
    std::shared_ptr<const Vocabulary> vocabulary;
    if (argc == 3 && std::string(argv[1]) == "--masks") {
      tokenizer = Tokenizer::Load(argv[2]);
      vocabulary = std::make_shared<const Vocabulary>(*tokenizer);
    }
    for (std::string line; std::getline(std::cin, line);)
      std::cout << DumpJson(Answer(ParseJson(line, "line"), tokenizer.get(), vocabulary)) << "\n";
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
