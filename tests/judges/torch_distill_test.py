# SPDX-License-Identifier: Apache-2.0
"""Retort's distillation followed step for step by a PyTorch program: losses, both terms of them, gradient norms, final adapters."""
import json
import subprocess
import sys

import numpy as np

from support import Checks, need, read_safetensors, retort, skip, stage

STEPS, BATCH, RANK, ALPHA, RATE = 20, 4, 8, 16, 5e-4
DIVERGENCE = {0: "forward_kl", 0.5: "jsd", 1: "reverse_kl"}


def make_rows(vocab, count):
    """Rows of format tokens: unequal lengths, a quarter of the labels without loss."""
    random = np.random.RandomState(12)
    rows = []
    for _ in range(count):
        ids = [1] + random.randint(3, vocab, random.randint(8, 60)).tolist()
        labels = [id if random.rand() < 0.75 else -100 for id in ids]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def real_rows(model, count):
    """Real stories, cut to 128 tokens, loss on everything after the first quarter."""
    text = need("real/datasets/tinystories/train.jsonl").read_text().splitlines()[:count]
    rows = []
    for line in text:
        ids = json.loads(retort("tokenize", model, "--text", json.loads(line)["text"], "--json"))["ids"][:128]
        rows.append({"input_ids": ids, "labels": [-100] * (len(ids) // 4) + ids[len(ids) // 4:]})
    return rows


def follow(name, rows, student, teacher, beta, temperature, weight, place, checks):
    place.mkdir()
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    torch = subprocess.run(
        [sys.executable, need("oracle/torch_lora.py"), "--model", student, "--teacher", teacher, "--tokens", place / "rows.json",
         "--steps", str(STEPS), "--batch", str(BATCH), "--rank", str(RANK), "--alpha", str(ALPHA), "--lr", str(RATE),
         "--beta", str(beta), "--temperature", str(temperature), "--kd-weight", str(weight),
         "--save-init", place / "init", "--save-final", place / "final", "--threads", "1"],
        capture_output=True, text=True, check=True)
    theirs = [json.loads(line) for line in torch.stdout.splitlines()][:STEPS]
    recipe = {
        "model": {"path": str(student), "weights": "f32", "compute": "f32"},
        "adapter": {"rank": RANK, "alpha": ALPHA, "init": str(place / "init")},
        "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False},
        "teacher": {"path": str(teacher), "weights": "f32", "divergence": DIVERGENCE[beta], "beta": 0.5,
                    "temperature": temperature, "weight": weight},
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

    for key in ("loss", "ce", "kd"):
        checks.below(f"{name}: {key}, {theirs[0][key]:.3f} to {theirs[-1][key]:.3f}, relative", largest(key), 1e-4)
    first = abs(ours[0]["grad_norm"] / theirs[0]["grad_norm"] - 1)
    checks.below(f"{name}: the first step's gradient norm, relative", first, 1e-4)
    # AdamW divides by the root of the squared gradients, so where those are next to nothing rounding decides on whole
    # steps: what follows the first one is held to the losses' 1e-4, gradients and the final adapter only to a hundredth.
    checks.below(f"{name}: gradient norm, relative", largest("grad_norm"), 1e-2)
    a = read_safetensors(place / "run/adapter/adapter_model.safetensors")
    b = read_safetensors(place / "final/adapter_model.safetensors")
    start = read_safetensors(place / "init/adapter_model.safetensors")
    checks.that(f"{name}: the adapters' tensors, all of them changed",
                a.keys() == b.keys() and len(a) > 0 and all(np.abs(a[k] - start[k]).max() > 0 for k in a))
    checks.below(f"{name}: final adapter, the worst of {len(b)} tensors",
                 max(np.linalg.norm(a[k] - b[k]) / np.linalg.norm(b[k]) for k in b), 1e-2)


def main():
    try:
        import torch  # noqa: F401
    except ImportError:
        skip("needs PyTorch (scripts/judges)")
    student, teacher = need("real/models/llama2xs-280K"), need("real/models/stories260K")
    place, checks = stage(), Checks()
    random = make_rows(512, STEPS * BATCH)
    real = real_rows(student, STEPS * BATCH)
    for beta in (0, 0.5, 1):
        for temperature in (1, 2):
            for weight in (0.5, 1):
                name = f"{DIVERGENCE[beta]}, temperature {temperature}, weight {weight}"
                follow(f"stories, {name}", real, student, teacher, beta, temperature, weight,
                       place / f"real-{beta}-{temperature}-{weight}", checks)
    follow("random ids", random, student, teacher, 0.5, 2, 0.5, place / "random", checks)
    checks.finish()


main()
