#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how int8 products change a quantised model's logits on real text: the mean KL divergence
from the logits of the same file computed in f32, optionally beside that of another program (the judge).

    bench/compare/distance.py --text eval.jsonl [--judge 'node llama.mjs logits'] model-q8_0.gguf [...]

The judge is a command that takes FILE IDS OUT, like `retort logits FILE --tokens IDS --out OUT`.
"""
import argparse
import array
import json
import math
import os
import shlex
import statistics
import tempfile

import pairs

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", help="GGUF files of Q8_0 or Q4_0")
    p.add_argument("--text", required=True, help='JSONL rows {"text": ...}')
    p.add_argument("--rows", type=int, default=12)
    p.add_argument("--tokens", type=int, default=256, help="of a row, at most")
    p.add_argument("--judge", help="another program's command")
    p.add_argument("--retort", default=os.path.join(REPOSITORY, "build/release/retort"))
    return p.parse_args()


def log_softmax(row):
    most = max(row)
    total = most + math.log(math.fsum(math.exp(z - most) for z in row))
    return [z - total for z in row]


def log_probabilities(command, path, tokens):
    pairs.run(command)
    logits = array.array("f")
    with open(path, "rb") as file:
        logits.frombytes(file.read())
    width = len(logits) // tokens
    return [log_softmax(logits[t * width:(t + 1) * width]) for t in range(tokens)]


def divergences(reference, other):
    return [math.fsum(math.exp(p) * (p - q) for p, q in zip(a, b)) for a, b in zip(reference, other)]


def distances(a, model, texts, folder):
    """The divergence of every token, for retort and for the judge."""
    ours, theirs = [], []
    out = os.path.join(folder, "logits.f32")
    for text in texts:
        ids = json.loads(pairs.run([a.retort, "tokenize", model, "--text", text, "--json"])[0])["ids"][:a.tokens]
        listed = ",".join(map(str, ids))
        own = [a.retort, "logits", model, "--tokens", listed, "--out", out, "--compute"]
        reference = log_probabilities(own + ["f32"], out, len(ids))
        ours += divergences(reference, log_probabilities(own + ["int8"], out, len(ids)))
        if a.judge:
            judged = log_probabilities(shlex.split(a.judge) + [model, listed, out], out, len(ids))
            theirs += divergences(reference, judged)
    return ours, theirs


def text_of(values):
    return f"{statistics.mean(values):.2e} (median {statistics.median(values):.1e}, most {max(values):.1e})"


def body():
    a = arguments()
    with open(a.text, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for _, line in zip(range(a.rows), file)]
    print(f"| file | tokens | retort, mean KL | {'the judge' if a.judge else ''} |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in a.models:
            ours, theirs = distances(a, os.path.abspath(model), texts, folder)
            print(f"| {os.path.basename(model)} | {len(ours)} | {text_of(ours)} | {text_of(theirs) if theirs else ''} |",
                  flush=True)


pairs.main(body)
