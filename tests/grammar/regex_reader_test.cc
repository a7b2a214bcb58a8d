// SPDX-License-Identifier: Apache-2.0
#include "grammar/regex_reader.h"

#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

TEST(RegexReader, TheWholeTextMatches) {
  ExpectTexts(*Compiled(kRegex, "(yes|no), [a-z ]{2,4}\\."), {"yes, ab.", "no, a b."},
              {"yes, a.", "yes, abcde.", "x yes, ab.", "yes, ab. "});
  ExpectTexts(*Compiled(kRegex, "^a+?b*$"), {"a", "aabb"}, {"", "b", "ba"});
}

TEST(RegexReader, ClassesAndEscapes) {
  ExpectTexts(*Compiled(kRegex, R"(\d{3}-\w+\s\x41\u00e9\.)"), {"123-a_9 A\u00e9."},
              {"12-a A\u00e9.", "123-\u00e9 A\u00e9."});
  ExpectTexts(*Compiled(kRegex, R"([^\d"\]-]+)"), {"ab", "\u20ac"}, {"1", "\"", "]", "-"});
  ExpectTexts(*Compiled(kRegex, R"(\cI[\cj])"), {"\t\n"}, {"\tj"});
  ExpectTexts(*Compiled(kRegex, R"(\p{Lu}\P{L})"), {"\u00c91", "A "}, {"a1", "AB"});
  ExpectTexts(*Compiled(kRegex, "a{,2}x{"), {"a{,2}x{"}, {"aax"});  // braces that count nothing
}

TEST(RegexReader, ACharacterIsWholeUtf8) {
  const auto any = Compiled(kRegex, "..");
  ExpectTexts(*any, {"ab", "\u00e9\u20ac", "\U0001F600x"},
              {"a", "abc", "a\xC3", "\xC0\x80x", "\xED\xA0\x80x", "a\n"});
}

TEST(RegexReader, RefusesByNameWhatIsNotRegular) {
  const auto refuses = [](const char* pattern, const char* what) {
    EXPECT_NE(Refusal(kRegex, pattern).find(what), std::string::npos)
        << pattern << ": " << Refusal(kRegex, pattern);
  };
  refuses("a(?=b)", "lookahead");
  refuses("(?<!a)b", "lookbehind");
  refuses(R"((a)\1)", "backreference");
  refuses(R"(\bword)", "word boundary");
  refuses("a++", "possessive");
  refuses("(?i)a", "options");
  refuses("a**", "repeats a repetition");
  refuses("(a", "')'");
  refuses("[a", "']'");
  refuses("a^b", "'^'");
  refuses("a{2000000}", "1000000");
  refuses("[z-a]", "out of order");
  refuses("a\\c", "incomplete escape");
  refuses("[\\c", "incomplete escape");
}

// What takes long shows as a test that does not end.
TEST(RegexReader, LongClasses) {
  std::string all = "^[";
  for (char32_t code = 0x4000; all.size() < 32'000; code += 2) AppendUtf8(code, &all);
  for (int i = 0; i < 10; ++i)
    ExpectTexts(*Compiled(kRegex, Cat(all, "]", i, "$")), {Cat("\u4002", i)}, {Cat("\u4001", i)});
  std::string properties;
  for (int i = 0; i < 400; ++i) properties += Cat(R"([\P{L})", i % 10, "]");
  EXPECT_NE(Refusal(kRegex, properties).find("more than 200000 ranges"), std::string::npos);
}

}  // namespace
}  // namespace retort
