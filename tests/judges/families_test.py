# SPDX-License-Identifier: Apache-2.0
"""Families beside transformers, PEFT and llama.cpp: logits from the folder and from the GGUF, the GGUF's tensors, 20 steps of
LoRA. The folders have random weights large enough for windows, soft caps and routers to matter."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from support import Checks, need, our_logits, retort, skip, stage

FAMILIES = ["gemma2", "gemma3_text", "mixtral", "qwen3_moe", "phi3"]
# What GGUF cannot say: export refuses these.
NO_GGUF = {("gemma2", 1): "query_pre_attn_scalar", ("gemma3_text", 1): "query_pre_attn_scalar",
           ("qwen3_moe", 1): "norm_topk_prob"}
STEPS, BATCH, RATE = 20, 4, 1e-3
ENVIRONMENT = dict(os.environ, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="2")


def hf(*arguments):
    done = subprocess.run([sys.executable, need("oracle/hf.py"), *map(str, arguments)], capture_output=True, text=True,
                          env=ENVIRONMENT)
    if done.returncode:
        sys.exit(f"hf.py {' '.join(map(str, arguments))}:\n{done.stderr[-2000:]}")
    return done.stdout


def furthest(a, b):
    """Relative to the largest logit."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def make_rows(random, count):
    rows = []
    for _ in range(count):
        ids = [1] + random.randint(3, 300, random.randint(20, 60)).tolist()
        rows.append({"input_ids": ids, "labels": [id if random.rand() < 0.75 else -100 for id in ids]})
    return rows


def follow_peft(name, folder, place, checks, nf4):
    rows = make_rows(np.random.RandomState(11), STEPS * BATCH)
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    theirs = [json.loads(line) for line in hf("train", folder, "--rows", place / "rows.json", "--steps", STEPS, "--batch", BATCH,
                                              "--lr", RATE, "--save", place / "peft", *(["--nf4"] if nf4 else [])).splitlines()]
    recipe = {"model": {"path": str(folder), "weights": "nf4" if nf4 else "f32", "compute": "f32"},
              "adapter": {"init": str(place / "peft-init")},
              "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False},
              "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 1}}
    (place / "recipe.json").write_text(json.dumps(recipe))
    run = place / ("run-nf4" if nf4 else "run")
    retort("train", place / "recipe.json", "--run", run, "--json")
    ours = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    far = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(ours, theirs))
    checks.that(f"{name}: {STEPS} steps", len(ours) == len(theirs) == STEPS)
    # bitsandbytes' own codes differ from Retort's in one value of a thousand.
    checks.below(f"{name}: {'QLoRA' if nf4 else 'LoRA'} loss against PEFT, relative", far, 3e-3 if nf4 else 1e-4)


def llama_logits(gguf, ids, place):
    packages = Path(os.environ["RETORT_JUDGES_NODE"])
    program = packages / "llama.mjs"
    shutil.copy(need("oracle/llama.mjs"), program)
    out = place / "llama.f32"
    subprocess.run(["node", program, "logits", gguf, ",".join(map(str, ids)), out], check=True, capture_output=True)
    return np.fromfile(out, "<f4").reshape(len(ids), -1)


def check_family(family, variant, place, tokenizer, checks):
    name = f"{family} {variant}"
    folder = place / f"{family}-{variant}"
    hf("random", family, folder, "--variant", variant)
    for file in tokenizer.glob("*"):
        shutil.copy(file, folder)
    ids = [1] + np.random.RandomState(3).randint(3, 300, 60).tolist()
    hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32")
    theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(len(ids), -1)
    checks.below(f"{name}: logits of {len(ids)} tokens, folder against transformers",
                 furthest(our_logits(folder, ids, place / "ours.f32"), theirs), 1e-4)
    gguf = place / f"{family}-{variant}.gguf"
    if (family, variant) in NO_GGUF:
        done = subprocess.run([Path(sys.argv[1]) / "retort", "export", folder, "--out", gguf, "--type", "f32"],
                              capture_output=True, text=True)
        checks.that(f"{name}: export says what GGUF has no place for",
                    done.returncode == 2 and NO_GGUF[family, variant] in done.stderr, done.stderr)
    else:
        retort("export", folder, "--out", gguf, "--type", "f32")
        ours = our_logits(gguf, ids, place / "ours.f32")
        checks.below(f"{name}: logits, GGUF against transformers", furthest(ours, theirs), 1e-4)
        checks.below(f"{name}: logits, GGUF against llama.cpp", furthest(ours, llama_logits(gguf, ids, place)), 1e-4)
    for nf4 in (False, True):
        follow_peft(name, folder, place, checks, nf4)


def main():
    try:
        import peft  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers and PEFT (scripts/judges)")
    if "RETORT_JUDGES_NODE" not in os.environ or not shutil.which("node"):
        skip("needs npm's node-llama-cpp (scripts/judges)")
    place, checks = stage(), Checks()
    retort("init", "--shape", "1,32,2,1,64,320", "--out", place / "bytes")
    tokenizer = place / "tokenizer"
    tokenizer.mkdir()
    for file in (place / "bytes").glob("*token*"):
        shutil.copy(file, tokenizer)
    for family in FAMILIES:
        for variant in (0, 1):
            check_family(family, variant, place, tokenizer, checks)
    checks.finish()


main()
