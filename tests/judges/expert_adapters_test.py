# SPDX-License-Identifier: Apache-2.0
"""Twenty steps of LoRA on every expert, and on latent projections and shared experts beside them, compared with transformers' forward and
backward pass and PyTorch's AdamW. transformers stacks experts and PEFT cannot train an adapter of each; here the factors are
a parametrization of the stacked weights, under the names that the published folders give the experts."""
import json
import os
import re

import numpy as np

from families import random_folder
from support import Checks, byte_tokenizer, read_safetensors, retort, skip, stage, write_safetensors

CASES = [("mixtral", 0), ("mixtral", 1), ("qwen2_moe", 0), ("qwen3_moe", 0), ("qwen3_moe", 1), ("deepseek_v2", 1), ("deepseek_v3", 0)]
EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(\w+)\.weight$")
OTHER = re.compile(r".*\.(q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj|gate_proj|up_proj|down_proj)\.weight$")
PARTS = {"gate_proj": "gate", "w1": "gate", "up_proj": "up", "w3": "up", "down_proj": "down", "w2": "down"}
RANK, ALPHA, STEPS, BATCH, RATE = 4, 8, 20, 4, 1e-3
os.environ.setdefault("OMP_NUM_THREADS", "2")


def make_rows(random):
    rows = []
    for _ in range(STEPS * BATCH):
        ids = [1] + random.randint(3, 300, random.randint(20, 60)).tolist()
        rows.append({"input_ids": ids, "labels": [i if random.rand() < 0.75 else -100 for i in ids]})
    return rows


def write_adapter(folder, model):
    """Factors of every expert and of the layers that have the same names, none of them zero; returns them by the weight's name."""
    random, factors = np.random.RandomState(5), {}
    for name, weight in read_safetensors(model / "model.safetensors").items():
        if EXPERT.match(name) or OTHER.match(name):
            rows, cols = weight.shape
            factors[name] = ((random.standard_normal((RANK, cols)) / np.sqrt(cols)).astype("f4"),
                             (0.05 * random.standard_normal((rows, RANK))).astype("f4"))
    folder.mkdir()
    write_safetensors(folder / "adapter_model.safetensors", {
        f"base_model.model.{name.removesuffix('.weight')}.lora_{'AB'[i]}.weight": factor
        for name, pair in factors.items() for i, factor in enumerate(pair)})
    targets = sorted({name.split(".")[-2] for name in factors})
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none",
         "target_modules": targets}))
    return factors


def put_factors(model, factors):
    """Adds them to the model's weights; returns what is trained."""
    import torch
    from torch.nn.utils import parametrize

    class Sum(torch.nn.Module):
        """Adds to each of the given rows of a weight (of one expert, if it is stacked) the product of two factors."""

        def __init__(self, places, pairs):
            super().__init__()
            self.places = places
            self.factors = torch.nn.ParameterList(torch.tensor(f) for pair in pairs for f in pair)

        def forward(self, weight):
            change = torch.zeros_like(weight)
            for i, place in enumerate(self.places):
                change[place] = ALPHA / RANK * self.factors[2 * i + 1] @ self.factors[2 * i]
            return weight + change

    for weight in model.parameters():
        weight.requires_grad_(False)
    places = {}  # by module and parameter
    for name, pair in factors.items():
        found = EXPERT.match(name)
        if not found:
            places.setdefault((name.removesuffix(".weight"), "weight"), []).append((..., pair))
            continue
        module, part, rows = found[1].replace("block_sparse_moe", "mlp"), PARTS[found[3]], pair[1].shape[0]
        of = slice(rows, None) if part == "up" else slice(0, rows)
        parameter = "down_proj" if part == "down" else "gate_up_proj"
        places.setdefault((module, parameter), []).append(((int(found[2]), of), pair))
    trained = []
    for (module, parameter), parts in places.items():
        change = Sum([place for place, _ in parts], [pair for _, pair in parts])
        parametrize.register_parametrization(model.get_submodule(module), parameter, change)
        trained += list(change.parameters())
    return trained


def train(folder, factors, rows):
    """The losses, as hf.py trains."""
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    trained = put_factors(model, factors)
    model.train()
    optimiser = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses = []
    for step in range(STEPS):
        part = rows[step * BATCH:(step + 1) * BATCH]
        padded = lambda key, fill: torch.tensor([r[key] + [fill] * (max(len(p[key]) for p in part) - len(r[key])) for r in part])
        labels = padded("labels", -100)
        mask = torch.tensor([[1] * len(r["labels"]) + [0] * (labels.shape[1] - len(r["labels"])) for r in part])
        logits = model(input_ids=padded("input_ids", 0), attention_mask=mask).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses


def check_family(family, variant, place, tokenizer, checks):
    folder = place / "model"
    random_folder(family, variant, folder, tokenizer)
    factors = write_adapter(place / "init", folder)
    # Of rows at whose tokens two experts are nearly as good as each other, the last bits of the sums would choose.
    rows = make_rows(np.random.RandomState(13))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"model": {"path": str(folder), "weights": "f32", "compute": "f32"}, "adapter": {"init": str(place / "init")},
              "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False, "audit": "off"},
              "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 1}}
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", place / "run", "--json")
    ours = [json.loads(line)["loss"] for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    theirs = train(folder, factors, rows)
    far = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
    experts = sum(1 for name in factors if EXPERT.match(name))
    trained = read_safetensors(place / "run/adapter/adapter_model.safetensors")
    begun = read_safetensors(place / "init/adapter_model.safetensors")
    still = [name for name in begun if not np.abs(trained[name] - begun[name]).max() > RATE]
    checks.that(f"{family} {variant}: every factor is trained", not still, still[:4])
    checks.below(f"{family} {variant}: loss of {STEPS} steps, {experts} matrices of experts and {len(factors) - experts} others, "
                 "against PyTorch, relative", far, 1e-4)


def main():
    try:
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers (scripts/judges)")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    chosen = os.environ.get("RETORT_FAMILIES", "").split()
    for family, variant in CASES:
        if chosen and family not in chosen:
            continue
        own = place / f"{family}-{variant}"
        own.mkdir()
        check_family(family, variant, own, tokenizer, checks)
    checks.finish()


main()
