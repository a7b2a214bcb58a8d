# SPDX-License-Identifier: Apache-2.0
"""Trains every weight of a small model with each optimiser, schedule and label smoothing, beside PyTorch's and transformers' own:
losses step by step, and the final weights."""
import json

import bitsandbytes.functional as bnb
import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, get_scheduler
from transformers.optimization import Adafactor

from support import Checks, need, read_safetensors, retort, stage

STEPS, BATCH, RATE, DECAY = 20, 4, 1e-3, 0.1


class Lion(torch.optim.Optimizer):
    """arXiv 2302.06675, algorithm 2."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(0.9 * m + 0.1 * p.grad)
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * update)
                m.mul_(0.99).add_(0.01 * p.grad)


class AdamW8Bit(torch.optim.Optimizer):
    """AdamW whose moments pass through blocks of 256 of bitsandbytes' 8-bit type; whole for small parameters, as there. Rounded to
    nearest, as its GPU kernels do (those of its CPU look values up coarsely). A second moment above 0 stays above it, which
    bitsandbytes does not see to."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0})
        self.maps = [bnb.create_dynamic_map(signed=signed) for signed in (True, False)]

    def keep(self, x, code):
        if x.numel() < 4096:
            return x
        blocks = x.reshape(-1, 256)
        scale = blocks.abs().amax(1, keepdim=True)
        held = torch.bucketize(blocks / scale.clamp(min=1e-38), (code[1:] + code[:-1]) / 2, right=True)
        if code is self.maps[1]:
            held[(held == 0) & (blocks > 0)] = 1
        return (code[held] * scale).reshape(x.shape)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr = group["lr"]
            for p in group["params"]:
                s = self.state[p]
                t = s["t"] = s.get("t", 0) + 1
                m = 0.9 * s.get("m", torch.zeros_like(p)) + 0.1 * p.grad
                v = 0.999 * s.get("v", torch.zeros_like(p)) + 0.001 * p.grad**2
                p.mul_(1 - lr * group["weight_decay"])
                p.sub_(lr / (1 - 0.9**t) * m / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
                s["m"], s["v"] = self.keep(m, self.maps[0]), self.keep(v, self.maps[1])


OPTIMIZERS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=RATE, weight_decay=0),
    "adamw8": lambda groups: AdamW8Bit(groups, lr=RATE),
    "lion": lambda groups: Lion(groups, lr=RATE / 5),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.05),
    "sgd with momentum": lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9),
    "adafactor": lambda groups: Adafactor(groups, lr=RATE, scale_parameter=False, relative_step=False, warmup_init=False),
}
OURS = {"lion": {"lr": RATE / 5}, "sgd": {"lr": 0.05}, "sgd with momentum": {"lr": 0.02, "momentum": 0.9}}


def make_rows(few):
    random = np.random.RandomState(5)
    rows = []
    for _ in range(STEPS * BATCH):
        ids = [1] + random.randint(3, few, random.randint(8, 40)).tolist()
        rows.append({"input_ids": ids, "labels": [i if random.rand() < 0.75 else -100 for i in ids]})
    return rows


def theirs(folder, rows, make, schedule, smoothing, clip):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = make([{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}])
    scheduler = get_scheduler(**schedule, optimizer=optimizer, num_training_steps=STEPS)
    losses = []
    for i in range(STEPS):
        logits, labels = [], []
        for row in rows[i * BATCH:(i + 1) * BATCH]:
            logits.append(model(torch.tensor([row["input_ids"]])).logits[0, :-1])
            labels.append(torch.tensor(row["labels"][1:]))
        loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.cat(labels), label_smoothing=smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        losses.append(loss.item())
    return losses, {name: p.detach().numpy() for name, p in model.named_parameters()}


def follow(title, folder, rows, make, ours, place, checks, schedule=None, smoothing=0.0, clip=1.0):
    want, weights = theirs(folder, rows, make, schedule or {"name": "constant"}, smoothing, clip)
    recipe = {
        "model": {"path": str(folder), "weights": "f32", "compute": "f32"},
        "adapter": {"kind": "none"},
        "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False},
        "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": clip,
                  "weight_decay": DECAY, "threads": 1, **ours},
    }
    run = place / title.replace(" ", "-")
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", run, "--json")
    got = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    got = [line["loss"] for line in got if "loss" in line]
    checks.that(f"{title}: {STEPS} steps", len(got) == len(want) == STEPS)
    checks.below(f"{title}: loss, relative", max(abs(a - b) / b for a, b in zip(got, want)), 1e-4)
    held = read_safetensors(run / "model/model.safetensors")
    begin = read_safetensors(folder / "model.safetensors")
    moved = {k: np.linalg.norm(weights[k] - begin[k]) for k in weights if k in held and k in begin}
    checks.that(f"{title}: every weight moved", len(moved) > 10 and all(v > 0 for v in moved.values()))
    checks.below(f"{title}: the change of the worst of {len(moved)} tensors",
                 max(np.linalg.norm(held[k] - weights[k]) / v for k, v in moved.items()), 2e-2)


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    folder, place, checks = need("real/models/stories260K"), stage(), Checks()
    rows = make_rows(60)  # so few tokens that the loss falls below guessing among all
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, make in OPTIMIZERS.items():
        follow(name, folder, rows, make, {"optimizer": name.split()[0], **OURS.get(name, {})}, place, checks)
    adamw = OPTIMIZERS["adamw"]
    follow("label smoothing", folder, rows, adamw, {"label_smoothing": 0.2}, place, checks, smoothing=0.2)
    schedules = {
        "cosine": ({"name": "cosine", "num_warmup_steps": 0}, {}),
        "linear": ({"name": "linear", "num_warmup_steps": 0}, {}),
        "inverse_sqrt": ({"name": "inverse_sqrt", "num_warmup_steps": 0}, {}),
        "wsd": ({"name": "warmup_stable_decay", "num_warmup_steps": 0, "scheduler_specific_kwargs": {"num_decay_steps": 8}}, {"decay": 8}),
    }
    for name, (schedule, more) in schedules.items():
        follow(f"schedule {name}", folder, rows, adamw, {"schedule": name, **more}, place, checks, schedule=schedule)
    checks.finish()


main()
