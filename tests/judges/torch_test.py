# SPDX-License-Identifier: Apache-2.0
"""Compares Retort's training, step by step, with a PyTorch program: losses, gradient norms, final adapters."""
import json
import subprocess
import sys

import numpy as np

from support import Checks, make_folder, need, nf4_rounded, read_safetensors, retort, stage

STEPS, BATCH, RANK, ALPHA, RATE = 20, 4, 8, 16, 2e-3


def make_rows(vocab, count):
    """Rows of format tokens: unequal lengths, a quarter of the labels without loss."""
    random = np.random.RandomState(11)
    rows = []
    for _ in range(count):
        ids = [1] + random.randint(3, vocab, random.randint(8, 60)).tolist()
        labels = [id if random.rand() < 0.75 else -100 for id in ids]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def follow(name, model, vocab, nf4, place, checks):
    place.mkdir()
    rows = make_rows(vocab, STEPS * BATCH)
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Doubly quantised, the base is what bitsandbytes makes of it; plain NF4 is written out in PyTorch.
    base = nf4_rounded(model, place / "rounded") if nf4 == "dq" else model
    torch = subprocess.run(
        [sys.executable, need("oracle/torch_lora.py"), "--model", base, "--tokens", place / "rows.json", "--steps", str(STEPS),
         "--batch", str(BATCH), "--rank", str(RANK), "--alpha", str(ALPHA), "--lr", str(RATE), "--save-init", place / "init",
         "--save-final", place / "final", "--threads", "1", *(["--nf4", nf4] if nf4 == "plain" else [])], capture_output=True, text=True, check=True)
    theirs = [json.loads(line) for line in torch.stdout.splitlines()][:STEPS]
    recipe = {
        "model": {"path": str(model), "weights": "nf4" if nf4 else "f32", "double_quant": nf4 == "dq", "compute": "f32"},
        "adapter": {"rank": RANK, "alpha": ALPHA, "init": str(place / "init")},
        "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False},
        "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 0,
                  "threads": 1},
    }
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", place / "run", "--json")
    ours = [json.loads(line) for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    ours = [line for line in ours if "loss" in line]
    checks.that(f"{name}: {STEPS} steps", len(ours) == len(theirs) == STEPS, (len(ours), len(theirs)))

    def largest(key):
        return max(abs(a[key] - b[key]) / abs(b[key]) for a, b in zip(ours, theirs))

    checks.that(f"{name}: the loss falls from {theirs[0]['loss']:.3f} to {theirs[-1]['loss']:.3f}",
                theirs[-1]["loss"] < theirs[0]["loss"])
    checks.below(f"{name}: loss, relative", largest("loss"), 1e-4)
    checks.below(f"{name}: gradient norm, relative", largest("grad_norm"), 1e-3)
    a = read_safetensors(place / "run/adapter/adapter_model.safetensors")
    b = read_safetensors(place / "final/adapter_model.safetensors")
    checks.that(f"{name}: the adapters' tensors", a.keys() == b.keys() and len(a) > 0)
    checks.below(f"{name}: final adapter, the worst of {len(b)} tensors",
                 max(np.linalg.norm(a[k] - b[k]) / np.linalg.norm(b[k]) for k in b), 1e-3)


def main():
    stories = need("real/models/stories260K")
    place, checks = stage(), Checks()
    shape = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
    make_folder(place / "qwen2", 5, stories, model_type="qwen2", rms_norm_eps=1e-6, rope_theta=1e6,
                tie_word_embeddings=True, shards=2, **shape)
    make_folder(place / "qwen3", 6, stories, model_type="qwen3", rms_norm_eps=1e-6, rope_theta=1e6, head_dim=48, **shape)
    for name, model in (("stories260K", stories), ("qwen2", place / "qwen2"), ("qwen3", place / "qwen3")):
        for nf4 in (None, "plain", "dq"):
            title = f"{name}, {'nf4 ' + nf4 if nf4 else 'f32'}"
            follow(title, model, 512, nf4, place / f"{name}-{nf4}", checks)
    checks.finish()


main()
