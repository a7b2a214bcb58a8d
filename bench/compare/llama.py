#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares prefill and decoding with llama.cpp's llama-bench, alternating, on the same GGUF files.

    bench/compare/llama.py --llama-bench llama-bench model-q8_0.gguf [model-q4_0.gguf ...]

llama-bench must be built for this processor (GGML_NATIVE=ON). Both sides feed random tokens;
llama-bench decodes from an empty cache, retort from a prompt of one token; with --depth N both
decode after N tokens. llama-bench does not sample; retort's engine takes the most probable token.
"""
import argparse
import json
import os
import statistics

import pairs

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", help="GGUF files")
    p.add_argument("--llama-bench", required=True)
    p.add_argument("--retort", default=os.path.join(REPOSITORY, "build/release/retort"))
    p.add_argument("--work", default="prefill,decode")
    p.add_argument("--prompt", type=int, default=512, help="tokens of prefill")
    p.add_argument("--gen", type=int, default=128, help="tokens of decoding")
    p.add_argument("--depth", type=int, default=0, help="tokens read before decoding begins")
    p.add_argument("--flash-attn", default="auto", help="llama-bench's: off is faster after many tokens")
    p.add_argument("--repeat", type=int, default=3, help="timed in each run, after one that is not")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--json", action="store_true", help="one object a row instead of a table")
    return p.parse_args()


def llama(a, work, model):
    prompt, gen = (a.prompt, 0) if work == "prefill" else (0, a.gen)

    def call():
        out, rss = pairs.run([a.llama_bench, "-m", model, "-p", str(prompt), "-n", str(gen), "-t", str(a.threads),
                              "-d", str(a.depth if gen else 0), "-fa", a.flash_attn, "-r", str(a.repeat), "-o", "json"])
        result = json.loads(out)[0]
        return statistics.median(result["samples_ts"]), rss, result
    return call


def ours(a, work, model):
    size = (["--prompt", str(a.prompt)] if work == "prefill"
            else ["--prompt", str(max(a.depth, 1)), "--gen", str(a.gen)])
    return lambda: pairs.retort([a.retort, "bench", work, model] + size +
                                ["--repeat", str(a.repeat), "--threads", str(a.threads)])


def body():
    a = arguments()
    name = {"prefill": f"prefill {a.prompt}", "decode": f"decode {a.gen}" + (f" after {a.depth}" if a.depth else "")}
    rows = [pairs.compare(f"{name[work]}, {os.path.basename(model)}", ours(a, work, model), llama(a, work, model),
                          a.pairs)
            for model in a.models for work in a.work.split(",")]
    pairs.finish(rows, "llama.cpp", a.json)


pairs.main(body)
