#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares LoRA training with PyTorch, alternating: tokens per second, ratio, peak memory.

    bench/compare/train.py --torch-lora torch_lora.py [--shape smollm2-135m] [--weights bf16,nf4]

torch_lora.py is a trainer in plain PyTorch that takes --random L,D,H,KV,F,V --batch --seq --rank
--steps --dtype --threads and ends with a line {"tokens_per_second_median": ...}. Both sides train
the same shape with random weights on random tokens, all of which carry loss.
"""
import argparse
import json
import os

import pairs

# In the form of torch_lora.py's --random; the head is tied in all three.
SHAPES = {"smollm2-135m": "30,576,9,3,1536,49152", "llama3.2-1b": "16,2048,32,8,8192,128256",
          "llama3.1-8b": "32,4096,32,8,14336,128256"}
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--torch-lora", required=True, help="the PyTorch trainer")
    p.add_argument("--python", default="/usr/bin/python3", help="the interpreter that has PyTorch")
    p.add_argument("--retort", default=os.path.join(REPOSITORY, "build/release/retort"))
    p.add_argument("--shape", default="smollm2-135m", help="a name or L,D,H,KV,F,V")
    p.add_argument("--weights", default="bf16,nf4", help="ours, one after the other; PyTorch always has --dtype")
    p.add_argument("--dtype", choices=["f32", "bf16"], default="bf16", help="what PyTorch computes in")
    p.add_argument("--batch-rows", type=int, default=4)
    p.add_argument("--tokens", default="256,512", help="of a row, one after the other")
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--steps", type=int, default=3, help="timed in each run, after one that is not")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--json", action="store_true", help="one object a row instead of a table")
    return p.parse_args()


def torch(a, tokens):
    def call():
        out, rss = pairs.run([a.python, a.torch_lora, "--random", SHAPES.get(a.shape, a.shape), "--batch",
                              str(a.batch_rows), "--seq", str(tokens), "--rank", str(a.rank), "--steps",
                              str(a.steps + 1), "--dtype", a.dtype, "--threads", str(a.threads)])
        result = json.loads(out.strip().splitlines()[-1])
        return result["tokens_per_second_median"], rss, result
    return call


def ours(a, weights, tokens):
    return lambda: pairs.retort([a.retort, "bench", "train", "--shape", a.shape, "--weights", weights, "--batch-rows",
                                 str(a.batch_rows), "--tokens", str(tokens), "--rank", str(a.rank), "--repeat",
                                 str(a.steps), "--threads", str(a.threads)])


def body():
    a = arguments()
    rows = [pairs.compare(f"train {a.shape}, {weights}, {a.batch_rows} x {tokens}", ours(a, weights, tokens),
                          torch(a, tokens), a.pairs)
            for weights in a.weights.split(",") for tokens in map(int, a.tokens.split(","))]
    pairs.finish(rows, f"PyTorch {a.dtype}", a.json)


pairs.main(body)
