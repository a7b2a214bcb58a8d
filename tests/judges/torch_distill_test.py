# SPDX-License-Identifier: Apache-2.0
"""Compares Retort's distillation, step by step, with PyTorch in double: losses, both of their terms, gradients and updates."""
import json

import numpy as np
import torch

from double_model import DoubleModel
from replay import divergence, replay
from support import Checks, need, retort, stage, write_adapter

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
    write_adapter(place / "init", student, RANK, ALPHA, seed=0)
    recipe = {
        "model": {"path": str(student), "weights": "f32", "compute": "f32"},
        "adapter": {"rank": RANK, "alpha": ALPHA, "init": str(place / "init")},
        "teacher": {"path": str(teacher), "weights": "f32", "divergence": DIVERGENCE[beta], "beta": 0.5,
                    "temperature": temperature, "weight": weight},
        "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE},
    }
    teaching = DoubleModel(teacher)

    def taught(row, logits, keep):
        with torch.no_grad():
            wanted = teaching.logits(row["input_ids"])[:-1][keep]
        return divergence(logits, wanted, beta, temperature)

    replay(name, recipe, rows, DoubleModel(student), place, checks, taught, weight)


def main():
    torch.set_num_threads(1)
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
