#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Retort's masks of tokens with llguidance's or XGrammar's, bit by bit, along the first valid instance of
MaskBench's schemas. Every mask that differs is put to the first reason that explains it; the rest is printed.

    bench/compare/masks.py --schemas maskbench/ --tokenizer llama3_2/ [--sample 100] [--engine llguidance]
"""
import argparse
import collections
import json
import random
import subprocess
from pathlib import Path

import grammars

# Why one may allow a token that the other does not, by the token's bytes.
REASONS = [
    ("more than 100 spaces", lambda token: len(token) > 100 and not token.strip()),
    ("DEL", lambda token: b"\x7f" in token),
    ("a control character, which JSON forbids", lambda token: min(token) < 32),
    ("an escape", lambda token: b"\\" in token),
    ("what is a space in ECMA-262", lambda token: b"\xc2\x85" in token or b"\xef" in token),
    ("a date's t, z or second 60", lambda token: token in (b"t", b"z", b"6", b"60")),
]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--schemas", type=Path, required=True, help="folder of MaskBench's files")
    p.add_argument("--tokenizer", type=Path, required=True, help="folder with a tokenizer.json")
    p.add_argument("--sample", type=int, default=100, help="of the files")
    p.add_argument("--engine", choices=["llguidance", "xgrammar"], default="llguidance")
    p.add_argument("--show", type=int, default=20, help="of the masks that nothing explains")
    p.add_argument("--judge", default=grammars.REPOSITORY / "build/release/retort_judge_grammar")
    return p.parse_args()


def their_masks(engine, schema, text):
    """A number for each mask, whose bit i is token i's; None if the schema is refused."""
    try:
        matcher = engine.matcher(engine.compile(schema))
    except Exception:
        return None
    masks, tokens = [], engine.encode(text)
    for i in range(len(tokens) + 1):
        masks.append(int.from_bytes(engine.mask(matcher), "little"))
        if i < len(tokens) and not engine.accept(matcher, tokens[i]):
            break
    return masks


def our_masks(judge, tokenizer, lines):
    done = subprocess.run([judge, "--masks", tokenizer], input="".join(json.dumps(line) + "\n" for line in lines),
                          capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        words = [[mask[i:i + 16] for i in range(0, len(mask), 16)] for mask in json.loads(line).get("masks", [])]
        yield [int("".join(reversed(mask)), 16) for mask in words]


def set_bits(mask):
    text = bin(mask)[:1:-1]
    at = text.find("1")
    while at >= 0:
        yield at
        at = text.find("1", at + 1)


def reason_of(differing, tokens):
    """The reasons for the tokens in which two masks differ; None if one of them has none."""
    found = set()
    for token in differing:
        reason = next((name for name, holds in REASONS if holds(tokens[token])), None)
        if reason is None:
            return None
        found.add(reason)
    return ", ".join(name for name, _ in REASONS if name in found)


def main():
    a = arguments()
    engine = {"llguidance": grammars.LlGuidance, "xgrammar": grammars.XGrammar}[a.engine](a.tokenizer)
    tokens = engine.token_bytes()
    usual = sum(1 << i for i, token in enumerate(tokens) if token)  # without those that end an answer, and other marks
    files = random.Random(2).sample(sorted(a.schemas.glob("*.json")), a.sample)
    counts, lines, theirs = collections.Counter(), [], []
    for path in files:
        case = json.loads(path.read_text())
        valid = [json.dumps(test["data"], ensure_ascii=False) for test in case["tests"] if test["valid"]][:1]
        masks = their_masks(engine, json.dumps(case["schema"]), valid[0]) if valid else None
        if masks is not None:
            theirs.append(masks)
            lines.append({"text": json.dumps(case["schema"]), "space": "flexible", "texts": valid, "masks": 1})
    shown = 0
    for line, ours, others in zip(lines, our_masks(a.judge, a.tokenizer, lines), theirs):
        ids = engine.encode(line["texts"][0])
        for i, (our, other) in enumerate(zip(ours, others)):
            counts["masks"] += 1
            our, other, text = our & usual, other & usual, b"".join(tokens[t] for t in ids[:i])
            differing = list(set_bits(our ^ other))
            if not differing:
                counts["equal"] += 1
            elif other.bit_count() == 1 and our & other:
                counts["they force a token, Retort allows its beginnings too"] += 1
            elif reason := reason_of(differing, tokens):
                counts[reason] += 1
            else:
                counts["not explained"] += 1
                if (shown := shown + 1) <= a.show:
                    more, fewer = ([tokens[t] for t in set_bits(m)][:6] for m in (our & ~other, other & ~our))
                    print(f"after {text[-50:]}: Retort allows {more}, they {fewer}")
    print(f"{len(lines)} schemas that {a.engine} takes")
    for what, count in counts.most_common():
        print(f"{count:8} {what}")


if __name__ == "__main__":
    main()
