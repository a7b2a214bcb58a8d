# SPDX-License-Identifier: Apache-2.0
"""Lark's notation beside llguidance's reading of it: for each grammar, the same texts must be accepted, those given and
random changes of them. Differences that docs/grammars.md names are expected by grammar, and must occur."""
import json
import random
import subprocess

from support import BUILD, Checks, skip

try:
    from llguidance import LLMatcher, LLTokenizer
except ImportError:
    skip("needs llguidance (scripts/judges)")

COMMON = "%import common (INT, NUMBER, SIGNED_NUMBER, WORD, CNAME, WS, WS_INLINE, HEXDIGIT, LETTER, DIGIT, NEWLINE, FLOAT)\n"
# A grammar and texts of or near its language.
GRAMMARS = [
    ('start: "a" "b"', ["ab", "a"]),
    ('start: "yes" | "no" | "maybe"', ["yes", "no", "maybe"]),
    ('start: "Hello"i " " ("World" | "there"i)', ["HELLO World", "hello THERE", "hello world"]),
    ('start: "a".."f" "0".."9"*', ["a", "f09", "g1"]),
    ('start: ("a" | "b")+ "c"?', ["abab", "bc", "c"]),
    ('start: ["x"] "y" ["z" "z"]', ["y", "xy", "xyzz", "yz"]),
    ('start: "a"~3 "b"~1..2', ["aaab", "aaabb", "aab"]),
    ('start: "a"{3} "b"{1,2} "c"{2,}', ["aaabcc", "aaabbccc", "aaabc"]),
    ('start: /[a-z]+/ "=" /[0-9]{1,3}/', ["ab=12", "a=1234", "=1"]),
    ('start: /a|b(c|d)*/ "!"', ["a!", "bcd!", "bc"]),
    ('start: /[^",\\n]*/ ("," /[^",\\n]*/)*', ["a,b", ",", "", 'a"']),
    ('start: /\\/\\*[a-z ]*\\*\\//', ["/* a b */", "/**/"]),
    ('start: "\\"" /([^"\\\\]|\\\\["\\\\n])*/ "\\""', ['"a"', '"\\""', '"\\a"']),
    ('start: "\\u00e9\\n\\t\\x41"', ["\u00e9\n\tA", "e"]),
    ('start: /[\u4e00-\u4eff]+/ | "\U0001f600"', ["\u4e00\u4e01", "\U0001f600"]),
    ('start: paren\nparen: "(" paren* ")"', ["()", "(()())", "(()"]),
    ('start: a | b\na: "x" a "y" | "xy"\nb: "y" b "x" | "yx"', ["xxyy", "yx", "yyxx", "xyx"]),
    ('start: sum\nsum: sum "+" item | item\nitem: /[0-9]/ | "(" sum ")"', ["1+2+3", "(1+2)+3", "1+"]),
    ('start: list\nlist: list "," "a" | list ";" "b" | "c"', ["c,a;b", "c", "c,b"]),
    ('?start: pair -> whole\n!pair: KEY ":" VALUE\nKEY: /[a-c]+/\nVALUE: "1" | "2" KEY', ["a:1", "ab:2c", "a:2"]),
    ('start: A B\nA: "x" C\nB: C C?\nC: "1" | "2"', ["x11", "x212", "x1"]),
    ('// comment\nstart: "a" // more\n  | "b" "c"\n\n  | "d"\n# other\n', ["a", "bc", "d"]),
    ('start: | "a" start', ["", "a", "aaa"]),
    ('start: ("-" (/[a-z]/ ["," /[0-9]/])+)~1..2', ["-a", "-a,1b-c", "-"]),
    (COMMON + 'start: CNAME "(" [INT ("," INT)*] ")"', ["f(1,22)", "_a1()", "f(,)"]),
    (COMMON + 'start: SIGNED_NUMBER ";" FLOAT ";" NUMBER', ["-1.5e3;1.5;2", "+1;1e5;.5", "1;2;3"]),
    (COMMON + 'start: "#" HEXDIGIT~6 NEWLINE WORD', ["#00ffAA\nab", "#00ffA\na", "#123456\r\n\nz"]),
    ('start: "\\"" S\nS: /[a-z]*"/\n%import common.ESCAPED_STRING -> Q', ['"ab"', '""', '"a']),
    ('start: obj\nobj: "{" [pair ("," pair)*] "}"\npair: /"[a-z]*"/ ":" val\nval: obj | "true" | "null"',
     ['{}', '{"a":true}', '{"a":{"b":null},"c":true}', '{"a"}']),
    ('start: sent+\nsent: ("the"i | "a") " " /[a-z]+/ ". "', ["The cat. ", "a dog. THE x. ", "the. "]),
    (COMMON + 'start: "if" WS_INLINE CNAME WS_INLINE? ":" NEWLINE', ["if a:\n", "if  ab :\r\n", "if:"]),
    ('start: "set" NAME "=" VALUE ("," VALUE)* ";"\nNAME: /[a-z]+/\nVALUE: /[0-9]+/\n%ignore / +/',
     ["set a=1;", "set  ab = 1 , 22 ;", "seta=1;", "set a=1,;"]),
]
# What differs, as docs/grammars.md says: (grammar, texts, what llguidance says, what Retort does).
DIFFERENT = [
    ('start: /[0-9]+/ /[0-9]/', ["12"], False, True),  # no lexer that takes the longest text
    ('start: "a"\n%ignore / /', [" a"], False, True),  # ignored texts at the beginning
    ('start: /\\d/', ["\u0663"], True, False),  # digits of ASCII
]
CHANGES = 150  # of each grammar's texts


def changed(texts, rng):
    alphabet = sorted(set("".join(texts))) or ["a"]
    out = list(texts)
    for _ in range(CHANGES):
        text = list(rng.choice(texts))
        for _ in range(rng.randint(1, 2)):
            at = rng.randint(0, len(text))
            if rng.random() < 0.4 and text:
                del text[min(at, len(text) - 1)]
            else:
                text.insert(at, rng.choice(alphabet))
        out.append("".join(text))
    return sorted(set(out))


def others_say(grammar, texts):
    matcher = LLMatcher(LLTokenizer("byte"), LLMatcher.grammar_from_lark(grammar), log_level=0)
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    said = []
    for text in texts:
        ids = list(text.encode())
        said.append(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())
        matcher.reset()
    return said


def we_say(cases):
    lines = [json.dumps({"kind": "lark", "text": grammar, "texts": texts}) for grammar, texts in cases]
    done = subprocess.run([BUILD / "retort_judge_grammar"], input="\n".join(lines), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


rng = random.Random(1)
checks = Checks()
# Whether ignored texts may begin a text is one of the differences.
begins = lambda grammar, text: "%ignore" in grammar and text.startswith(" ")
cases = [(grammar, [text for text in changed(texts, rng) if not begins(grammar, text)]) for grammar, texts in GRAMMARS]
total = accepted = 0
for (grammar, texts), ours in zip(cases, we_say(cases)):
    if "error" in ours:
        checks.that(repr(grammar), False, ours["error"])
        continue
    theirs = others_say(grammar, texts)
    wrong = [text for text, a, b in zip(texts, ours["accepts"], theirs) if a != b]
    total += len(texts)
    accepted += sum(theirs)
    checks.that(repr(grammar), not wrong, f"{len(wrong)} texts differ: {wrong[:5]}")
for (grammar, texts, theirs, wanted), ours in zip(DIFFERENT, we_say([case[:2] for case in DIFFERENT])):
    same = ours["accepts"] == [wanted] * len(texts) and others_say(grammar, texts) == [theirs] * len(texts)
    checks.that(f"{grammar!r} differs as documented", same, ours)
print(f"{len(GRAMMARS)} grammars, {total} texts, {accepted} of them accepted by both")
checks.finish()
