// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/pre_names.h"

#include <algorithm>

#include "base/strings.h"
#include "tokenizer/pre_battery.h"
#include "tokenizer/text_steps_json.h"
#include "tokenizer/word_ends.h"

namespace retort {
namespace {

using Splits = std::vector<SplitSpec>;

SplitSpec OnLetters(SplitSpec split) {
  split.on_letters = true;
  return split;
}

// The parts that the expressions of many families share.
constexpr char kEndings[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
constexpr char kSpaces[] = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

// Words of letters that end where a capital follows a small letter, as GPT-4o's; `ending` follows
// them.
std::string CasedWords(std::string_view ending, std::string_view numbers,
                       std::string_view without = "", std::string_view tail = R"([\r\n/]*)") {
  const std::string upper = Cat(R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M})", without, "]");
  const std::string lower = Cat(R"([\p{Ll}\p{Lm}\p{Lo}\p{M})", without, "]");
  const std::string before = R"([^\r\n\p{L}\p{N}]?)";
  return Cat(before, upper, "*", lower, "+", ending, "|", before, upper, "+", lower, "*", ending,
             "|", numbers, R"(| ?[^\s\p{L}\p{N}]+)", tail, "|", kSpaces);
}

Splits Tekken() { return {{CasedWords("", R"(\p{N})")}}; }
Splits Gpt4o() { return {{CasedWords(Cat(kEndings, "?"), R"(\p{N}{1,3})")}}; }
Splits Kimi() {
  return {{Cat(R"([\p{Han}]+|)",
               CasedWords(Cat(kEndings, "?"), R"(\p{N}{1,3})", R"(&&[^\p{Han}])", R"([\r\n]*)"))}};
}
Splits TinyAya() { return {{R"(\d{1,3}(?=(?:\d{3})*\b))"}, Gpt4o()[0]}; }

Splits DeepSeekCoder() {
  return {{"[\r\n]"},
          {R"(\s?\p{L}+)"},
          {R"(\s?\p{P}+)"},
          {"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"},
          {kEachDigit}};
}
Splits DeepSeekLlm() {
  // The letters of Latin, Greek, Cyrillic, Armenian, Georgian, Cherokee and others with two cases.
  constexpr char kLetters[] =
      "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF"
      "\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5"
      "\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA"
      "\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45"
      "\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE"
      "\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC"
      "\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139"
      "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3"
      "\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06"
      "\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3"
      "\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF"
      "\U0001E900-\U0001E943]+";
  return {{"[\r\n]"},
          {kLetters},
          {"\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+"},
          {R"(\s+$)"},
          {"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"},
          {kEachDigit}};
}
Splits DeepSeek3() {
  return {{R"(\p{N}{1,3})"},
          {"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"},
          {Cat(R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)re", "\r\n",
               R"re(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)re", "\r\n", "]*|", R"(\s*[)",
               "\r\n", R"(]+|\s+(?!\S)|\s+)")}};
}

// The steps after "ByteLevel" see letters for bytes.
Splits Falcon() {
  return {PunctuationStep(SplitSpec::Behavior::kContiguous),
          {kGpt2Words},
          OnLetters({Cat(kEachDigit, "+")}),
          OnLetters({"[0-9][0-9][0-9]"})};
}
// llama.cpp's for files without a name.
Splits Default() {
  return {{R"([\p{P}\$\+<=>\^~\|]+)"},
          {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"},
          {R"(\p{N}+)"},
          {"[0-9][0-9][0-9]"}};
}
Splits Chameleon() {
  return {{"<sentinel:[0-9]+>"},
          {"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"},
          {R"(([\t\n]|    |  ))"},
          {kEachDigit},
          PunctuationStep(SplitSpec::Behavior::kIsolated),
          {kGpt2Words}};
}

// Words of anything but spaces and some punctuation.
constexpr char kBloom[] = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr char kLlama3NoTail[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen35[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kSeedCoder[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kBailing[] =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kExaoneMoe[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kJais2[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr char kUfakzeka[] =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr char kCasesNote[] =
    "llama.cpp knows only ASCII's capitals here and no marks: it splits words of other scripts elsewhere";
constexpr char kDigitsNote[] = "llama.cpp does not split between a space and a number here";

// Where several names say the same, the first one whose mark is among the tokens is written.
const std::vector<PreName>& AllPreNames() {
  const Splits gpt2{{kGpt2Words}}, digits{{kEachDigit}, {kGpt2Words}}, llama3{{kLlama3Words}},
      qwen2{{kQwen2Words}};
  static const std::vector<PreName> table = {
      {.name = "phi-2", .splits = gpt2, .mark = "                               "},
      {.name = "mpt", .splits = gpt2, .nfc = true, .mark = "<|im_start|>"},
      {.name = "olmo", .splits = gpt2, .nfc = true, .mark = "|||EMAIL_ADDRESS|||"},
      {.name = "gpt-2", .splits = gpt2},
      {.name = "falcon3", .splits = llama3, .ignore_merges = true, .mark = ">>TITLE<<"},
      {.name = "pixtral", .splits = llama3, .ignore_merges = true, .mark = "[IMG]"},
      {.name = "llama-bpe", .splits = llama3, .ignore_merges = true},
      {.name = "chatglm-bpe", .splits = llama3, .mark = "[gMASK]"},
      {.name = "dbrx", .splits = llama3},
      {.name = "deepseek-r1-qwen", .splits = qwen2, .nfc = true, .mark = "<｜begin▁of▁sentence｜>"},
      {.name = "qwen2", .splits = qwen2, .nfc = true},
      {.name = "stablelm2", .splits = qwen2},
      {.name = "starcoder", .splits = digits, .mark = "<pr_status>"},
      {.name = "refact", .splits = digits, .mark = "<fim_prefix>"},
      {.name = "command-r", .splits = digits, .nfc = true, .mark = "<|START_OF_TURN_TOKEN|>"},
      {.name = "smollm", .splits = digits},
      {.name = "tekken", .splits = Tekken(), .ignore_merges = true, .llama_cpp = kCasesNote},
      {.name = "llama4", .splits = Gpt4o(), .mark = "<|header_start|>", .llama_cpp = kCasesNote},
      {.name = "gpt-4o", .splits = Gpt4o(), .llama_cpp = kCasesNote},
      {.name = "deepseek-llm", .splits = DeepSeekLlm()},
      {.name = "deepseek-coder", .splits = DeepSeekCoder()},
      {.name = "deepseek-v3", .splits = DeepSeek3()},
      {.name = "falcon", .splits = Falcon(), .llama_cpp = kDigitsNote},
      {.name = "default", .splits = Default()},
      {.name = "viking", .splits = {{kBloom}, {kEachDigit}}},
      {.name = "bloom", .splits = {{kBloom}}},
      {.name = "qwen35", .splits = {{kQwen35}}},
      {.name = "seed-coder", .splits = {{kSeedCoder}}},
      {.name = "bailingmoe", .splits = {{kBailing}}},
      {.name = "exaone-moe", .splits = {{kExaoneMoe}}},
      {.name = "jais-2", .splits = {{kJais2}}},
      {.name = "kimi-k2", .splits = Kimi()},
      {.name = "tiny_aya", .splits = TinyAya()},
      {.name = "minicpm5", .splits = {{R"(\p{N}{1,3})"}, {kLlama3NoTail}}, .ignore_merges = true},
      {.name = "ufakzeka", .splits = {{kUfakzeka}}},
      {.name = "chameleon", .splits = Chameleon()},
      {.name = "llama3", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "llama-v3", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "falcon-h1", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "midm-2.0", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "lfm2", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "jina-v5-nano", .splits = llama3, .ignore_merges = true, .reads_only = true},
      {.name = "glm4", .splits = llama3, .reads_only = true},
      {.name = "smaug-bpe", .splits = llama3, .reads_only = true},
      {.name = "kormo", .splits = qwen2, .reads_only = true},
      {.name = "f2llmv2", .splits = qwen2, .nfc = true, .reads_only = true},
      {.name = "megrez", .splits = qwen2, .nfc = true, .reads_only = true},
      {.name = "hunyuan", .splits = qwen2, .reads_only = true},
      {.name = "solar-open", .splits = qwen2, .reads_only = true},
      {.name = "grok-2", .splits = qwen2, .reads_only = true},
      {.name = "hunyuan-dense", .splits = DeepSeek3(), .reads_only = true},
      {.name = "joyai-llm", .splits = DeepSeek3(), .reads_only = true},
      {.name = "hy_v4", .splits = DeepSeek3(), .reads_only = true},
      {.name = "kanana2", .splits = Gpt4o(), .reads_only = true},
      {.name = "talkie", .splits = Gpt4o(), .reads_only = true},
      {.name = "minimax-m2", .splits = Gpt4o(), .reads_only = true},
      {.name = "cohere2moe", .splits = TinyAya(), .reads_only = true},
      {.name = "codeshell", .splits = digits, .reads_only = true},
      {.name = "exaone", .splits = digits, .reads_only = true},
      {.name = "minerva-7b", .splits = digits, .reads_only = true},
      {.name = "mellum2", .splits = digits, .reads_only = true},
      {.name = "jais", .splits = gpt2, .reads_only = true},
      {.name = "trillion", .splits = gpt2, .reads_only = true},
      {.name = "granite-docling", .splits = gpt2, .reads_only = true},
      {.name = "gigachat", .splits = gpt2, .reads_only = true},
      {.name = "a.x-4.0", .splits = gpt2, .reads_only = true},
      {.name = "mellum", .splits = gpt2, .reads_only = true},
      {.name = "modern-bert", .splits = gpt2, .nfc = true, .reads_only = true},
      {.name = "exaone4", .splits = gpt2, .reads_only = true},
      {.name = "roberta-bpe", .splits = gpt2, .reads_only = true},
      {.name = "jina-v2-code", .splits = gpt2, .reads_only = true},
      {.name = "jina-v2-es", .splits = gpt2, .reads_only = true},
      {.name = "jina-v2-de", .splits = gpt2, .reads_only = true},
      {.name = "poro-chat", .splits = {{kBloom}}, .reads_only = true},
      {.name = "gpt3-finnish", .splits = {{kBloom}}, .reads_only = true},
      {.name = "bailingmoe2", .splits = {{kBailing}}, .reads_only = true},
      {.name = "llada-moe", .splits = {{kBailing}}, .reads_only = true},
  };
  return table;
}

bool HasPiece(const TokenizerSpec& spec, std::string_view text) {
  return std::ranges::any_of(spec.pieces, [&](const auto& piece) { return piece.text == text; });
}

// Both mean the same: words are what the expression matches and what it leaves.
SplitSpec Plain(SplitSpec split) {
  if (split.behavior == SplitSpec::Behavior::kIsolated) split.invert = false;
  return split;
}

}  // namespace

const PreName* FindPreName(std::string_view name) {
  const auto found =
      std::ranges::find_if(AllPreNames(), [&](const PreName& pre) { return name == pre.name; });
  return found == AllPreNames().end() ? nullptr : &*found;
}

std::string KnownPreNames() {
  std::vector<std::string> names;
  for (const PreName& pre : AllPreNames()) names.push_back(pre.name);
  std::ranges::sort(names);
  return Join(names, ", ");
}

std::string PreNameFor(const std::vector<TextStage>& stages, const TokenizerSpec& spec,
                       bool thorough) {
  if (stages.size() != 1) return "";
  Splits splits = stages[0].splits;
  std::ranges::transform(splits, splits.begin(), Plain);
  // Of names that split alike, one that also treats merges alike is better.
  const auto name_of = [&](auto same) -> std::string {
    for (const bool ignore_merges : {spec.ignore_merges, !spec.ignore_merges}) {
      for (const PreName& pre : AllPreNames()) {
        if (!pre.reads_only && pre.ignore_merges == ignore_merges &&
            (!pre.mark || HasPiece(spec, pre.mark)) && same(pre.splits))
          return pre.name;
      }
    }
    return "";
  };
  std::string name = name_of([&](const Splits& known) { return known == splits; });
  if (!name.empty() || !thorough) return name;
  Splits last;  // most names split like the one before
  bool same = false;
  return name_of([&](const Splits& known) {
    if (last != known) last = known, same = SplitAlike(known, splits);
    return same;
  });
}

}  // namespace retort
