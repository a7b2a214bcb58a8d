# SPDX-License-Identifier: Apache-2.0
"""Follows TRL's DPO, ORPO and KTO step by step, from an adapter that both start with, on pairs and judged rows.
RETORT_PREFERENCE_MODEL: a real base in place of a small random one."""
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from support import Checks, make_folder, need, retort, stage

STEPS, BATCH, RATE, BETA = 10, 2, 1e-3, 0.1
QUESTIONS = ["What is the capital of France?", "How do I reset my card's PIN?", "Tell me a story about a dog.", "Is it late?",
             "Why was my transfer declined?"]
GOOD = [" Paris.", " In the app, under Cards.", " Once there was a dog named Max.", " No, it is early.", " The account was new."]
BAD = [" I do not know", " Ask somebody else, please.", " No.", " It is half past nine in the evening, perhaps", " Because."]


def make_init(base, place, seed):
    """A PEFT folder whose B is not zero, so that a reference with the adapter and one without differ."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights=True))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    model.save_pretrained(place)


def without_bos(base, place):
    """The folder with a tokenizer that names no BOS: TRL's ORPO puts one before prompts that the tokenizer begins without."""
    place.mkdir()
    for file in Path(base).iterdir():
        if file.name != "tokenizer_config.json":
            (place / file.name).symlink_to(file.resolve())
    config = json.loads((Path(base) / "tokenizer_config.json").read_text())
    config.pop("bos_token", None)
    config |= {"pad_token": config["eos_token"], "tokenizer_class": "PreTrainedTokenizerFast"}  # GPT-2's class would name one
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    return place


def make_rows(place):
    pairs, judged = [], []
    for i in range(STEPS * BATCH):
        k = i % len(QUESTIONS)
        prompt = f"Question {i}: {QUESTIONS[k]}\nAnswer:"
        pairs.append({"prompt": prompt, "chosen": GOOD[k], "rejected": BAD[(k + i) % len(BAD)]})
        judged.append({"prompt": prompt, "completion": (GOOD if i % 3 else BAD)[k], "label": bool(i % 3)})
    for name, rows in (("pairs", pairs), ("judged", judged)):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def follow(method, base, place, checks):
    rows = place / ("judged.jsonl" if method == "kto" else "pairs.jsonl")
    done = subprocess.run(
        [sys.executable, need("oracle/trl_prefs.py"), method, base, rows, "--init", place / "init", "--steps", str(STEPS), "--batch",
         str(BATCH), "--beta", str(BETA), "--lr", str(RATE)], capture_output=True, text=True)
    theirs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
    if len(theirs) != STEPS:
        sys.exit(f"{method}: TRL made {len(theirs)} steps\n{done.stderr[-2000:]}")
    recipe = {
        "model": {"path": str(base), "weights": "f32", "compute": "f32"},
        "adapter": {"init": str(place / "init")},
        # TRL's ORPO learns the chosen row's prompt as well.
        "data": {"train": str(rows), "shuffle": False, "packing": False, "loss_on": "all" if method == "orpo" else "completion"},
        "preference": {"method": method, "beta": BETA},
        "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 1},
    }
    (place / f"{method}.json").write_text(json.dumps(recipe))
    retort("train", place / f"{method}.json", "--run", place / f"run-{method}", "--json")
    ours = [json.loads(line) for line in (place / f"run-{method}/metrics.jsonl").read_text().splitlines()]
    ours = [line for line in ours if "loss" in line]
    checks.that(f"{method}: {STEPS} steps", len(ours) == STEPS)
    print("       TRL   ", " ".join(f"{line['loss']:.6f}" for line in theirs))
    print("       Retort", " ".join(f"{line['loss']:.6f}" for line in ours))
    checks.that(f"{method}: the loss falls", theirs[-1]["loss"] < theirs[0]["loss"])
    checks.below(f"{method}: loss, relative", max(abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in zip(ours, theirs)), 1e-4)
    checks.below(f"{method}: gradient norm, relative",
                 max(abs(a["grad_norm"] - b["grad_norm"]) / b["grad_norm"] for a, b in zip(ours, theirs)), 1e-3)


def main():
    place, checks = stage(), Checks()
    base = os.environ.get("RETORT_PREFERENCE_MODEL")
    if not base:
        # A tokenizer in which no token reaches across the border of prompt and answer: TRL reads the two together.
        base = place / "base"
        make_folder(base, 7, need("real/tokenizers/gpt2"), model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=50257,
                    bos_token_id=50256, eos_token_id=50256)
    base = without_bos(base, place / "no-bos")
    make_init(base, place / "init", 3)
    make_rows(place)
    for method in ("dpo", "orpo", "kto"):
        follow(method, base, place, checks)
    checks.finish()


main()
