# SPDX-License-Identifier: Apache-2.0
"""Repeats a training run of Retort in double, step by step. Each step starts from Retort's adapter before that step.

Two independent runs would diverge. AdamW's first steps divide a gradient by its own magnitude, so if a gradient is almost 0,
its rounding decides the sign of a whole step of the learning rate. One element of 48,640, with a gradient of 2e-4 of its
tensor's, changed sign by rounding; this moved the losses of the next 19 steps by 3e-4 and the gradient norms by 5 %, in Retort
and in PyTorch's float alike. Each step is therefore compared on its own: its losses, its gradient norm, and the change of the
loss by its update, to which elements with almost no gradient do not contribute.
"""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

from double_model import doubles
from support import retort

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
LOSS_BOUND, FIRST_NORM_BOUND, NORM_BOUND, UPDATE_BOUND = 3e-6, 1e-4, 1e-3, 3e-4


def divergence(student, teacher, beta, temperature):
    """The generalised Jensen-Shannon divergence of each token (GKD, arXiv 2306.13649): beta 0 is KL(teacher | student), 1
    KL(student | teacher)."""
    q, p = F.log_softmax(student / temperature, -1), F.log_softmax(teacher / temperature, -1)
    if beta == 0:
        return (p.exp() * (p - q)).sum(-1)
    if beta == 1:
        return (q.exp() * (q - p)).sum(-1)
    middle = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
    return beta * (p.exp() * (p - middle)).sum(-1) + (1 - beta) * (q.exp() * (q - middle)).sum(-1)


def losses(model, rows, teacher):
    """Cross-entropy and divergence, means over the labels of all rows; teacher(row, logits) gives a row's divergences, or None."""
    count, ce, kd = 0, 0.0, 0.0
    for row in rows:
        labels = torch.tensor(row["labels"][1:])
        keep = labels != -100
        logits = model.logits(row["input_ids"])[:-1][keep]
        ce = ce + F.cross_entropy(logits, labels[keep], reduction="sum")
        if teacher:
            kd = kd + teacher(row, logits, keep).sum()
        count += int(keep.sum())
    return ce / count, kd / count


def train(recipe, rows, place):
    """Runs a recipe over rows of token ids, a checkpoint each step; the lines of its metrics."""
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe["data"] = {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False}
    recipe["train"].update(schedule="constant", warmup=0, clip=0, threads=1, checkpoint_every=1, keep=recipe["train"]["steps"])
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", place / "run", "--json")
    lines = [json.loads(line) for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def replay(name, recipe, rows, model, place, checks, teacher=None, weight=0.0):
    """Trains, and checks every step of it against `model` (a DoubleModel of the recipe's weights). Returns the metrics."""
    ours = train(recipe, rows, place)
    steps, batch, rate = (recipe["train"][key] for key in ("steps", "batch_rows", "lr"))
    checks.that(f"{name}: {steps} steps", len(ours) == steps, len(ours))
    scale = recipe["adapter"]["alpha"] / recipe["adapter"]["rank"]
    before = doubles(f"{recipe['adapter']['init']}/adapter_model.safetensors")
    first, second = ({key: torch.zeros_like(value) for key, value in before.items()} for _ in range(2))
    worst = {}
    for step, line in enumerate(ours, 1):
        after = doubles(place / f"run/checkpoints/step-{step}/adapter_model.safetensors")
        if step == 1:
            checks.that(f"{name}: the adapter's {len(before)} tensors", after.keys() == before.keys())
        for value in before.values():
            value.requires_grad_()
        model.adapt(before, scale)
        ce, kd = losses(model, rows[(step - 1) * batch:step * batch], teacher)
        loss = (1 - weight) * ce + weight * kd
        loss.backward()
        with torch.no_grad():
            found = {"loss": loss, "ce": ce, "kd": kd} if teacher else {"loss": loss}
            for key, value in found.items():
                worst.setdefault(key, []).append(abs(line[key] / value.item() - 1))
            norm = math.sqrt(sum(float((value.grad**2).sum()) for value in before.values()))
            worst.setdefault("gradient norm", []).append(abs(line["grad_norm"] / norm - 1))
            off, whole = 0.0, 0.0
            for key, value in before.items():
                g = value.grad
                first[key] = BETA1 * first[key] + (1 - BETA1) * g
                second[key] = BETA2 * second[key] + (1 - BETA2) * g * g
                root = (second[key] / (1 - BETA2**step)).sqrt() + EPSILON
                update = -rate / (1 - BETA1**step) * first[key] / root
                off += float((g * (after[key] - value - update)).abs().sum())
                whole += float((g * update).abs().sum())
            worst.setdefault("update", []).append(off / whole)
        before = after
    checks.below(f"{name}: gradient norm of the first step, relative", worst["gradient norm"][0], FIRST_NORM_BOUND)
    for key, bound in (("loss", LOSS_BOUND), ("ce", LOSS_BOUND), ("kd", LOSS_BOUND), ("gradient norm", NORM_BOUND),
                       ("update", UPDATE_BOUND)):
        if key in worst:
            checks.below(f"{name}: {key}, relative, the worst of {steps} steps", np.max(worst[key]), bound)
    return ours
