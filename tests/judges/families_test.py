# SPDX-License-Identifier: Apache-2.0
"""Compares model families with transformers, PEFT and llama.cpp: logits from the folder and from the GGUF, the GGUF's
tensors, 20 steps of LoRA. The folders have random weights that are large enough for windows, soft caps and routers to have
an effect."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from families import NO_CONVERTER, NO_LLAMA, check_tensors, furthest, llama_bound, random_folder
from support import (JUDGES, NO_GGUF, VARIANTS, Checks, byte_tokenizer, hf, need, nf4_rounded, our_logits, read_safetensors,
                     retort, skip, stage, write_safetensors)

# Ropes that the variants do not have, in texts shorter and longer than the original length.
YARN_40 = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 40, "original_max_position_embeddings": 64}
ROPES = [
    ("llama", 0, {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.5}}),
    ("llama", 0, {"max_position_embeddings": 64, "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2}}),
    ("mistral", 1, {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 8, "original_max_position_embeddings": 32,
                                        "beta_fast": 16, "beta_slow": 2, "attention_factor": 1.3}}),
    ("phi3", 0, {"max_position_embeddings": 256, "original_max_position_embeddings": 64, "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 1e4, "factor": 4, "original_max_position_embeddings": 64,
        "short_factor": [1 + 0.1 * i for i in range(8)], "long_factor": [2 + i for i in range(8)]}}),
    ("deepseek_v2", 1, {"rope_parameters": dict(YARN_40, mscale=0.707, mscale_all_dim=0.707)}),
    ("deepseek_v3", 0, {"rope_parameters": dict(YARN_40, mscale=1, mscale_all_dim=1)}),
]
GGUF_TYPES = ["f32", "bf16", "q8_0"]
STEPS, BATCH, RATE = 20, 4, 1e-3
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="2")


def make_rows(random, count):
    rows = []
    for _ in range(count):
        ids = [1] + random.randint(3, 300, random.randint(20, 60)).tolist()
        rows.append({"input_ids": ids, "labels": [id if random.rand() < 0.75 else -100 for id in ids]})
    return rows


def write_adapter(folder, config):
    """A PEFT folder on the attention of every layer. PEFT's own for experts, on stacked parameters, cannot be trained."""
    random, rank = np.random.RandomState(5), 8
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    q, kv, width = config["num_attention_heads"] * head, config["num_key_value_heads"] * head, config["hidden_size"]
    matrices = [("q_proj", q, width), ("k_proj", kv, width), ("v_proj", kv, width), ("o_proj", width, q)]
    if "kv_lora_rank" in config:
        heads, rank_kv, rank_q = config["num_attention_heads"], config["kv_lora_rank"], config["q_lora_rank"]
        rope, plain, value = config["qk_rope_head_dim"], config["qk_nope_head_dim"], config["v_head_dim"]
        matrices = [("kv_a_proj_with_mqa", rank_kv + rope, width), ("kv_b_proj", heads * (plain + value), rank_kv),
                    ("o_proj", width, heads * value)]
        matrices += ([("q_a_proj", rank_q, width), ("q_b_proj", heads * (plain + rope), rank_q)] if rank_q
                     else [("q_proj", heads * (plain + rope), width)])
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, rows, cols in matrices:
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_"
            tensors[key + "A.weight"] = random.standard_normal((rank, cols)).astype("f4") / np.sqrt(cols)
            tensors[key + "B.weight"] = 0.05 * random.standard_normal((rows, rank)).astype("f4")
    folder.mkdir(exist_ok=True)
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 16, "lora_dropout": 0.0, "bias": "none",
         "target_modules": [name for name, _, _ in matrices]}))


def check_stacked(name, folder, ids, place, checks):
    """The folder again as transformers 5 keeps the model in memory: experts stacked, Mixtral's under another name."""
    import torch
    from transformers import AutoModelForCausalLM
    stacked = place / "stacked"
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).save_pretrained(stacked, save_original_format=False)
    names = read_safetensors(stacked / "model.safetensors").keys()
    checks.that(f"{name}: transformers wrote stacked experts", any(n.endswith("mlp.experts.gate_up_proj") for n in names), names)
    apart, together = (our_logits(path, ids, place / "ours.f32") for path in (folder, stacked))
    checks.that(f"{name}: logits, experts stacked and apart, bit for bit", np.array_equal(apart, together))


def follow_peft(name, folder, place, checks, nf4):
    rows = make_rows(np.random.RandomState(11), STEPS * BATCH)
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = json.loads((folder / "config.json").read_text())
    mixture = "num_experts_per_tok" in config
    if mixture:
        write_adapter(place / "peft-init", config)
    start = ["--adapter", place / "peft-init"] if mixture else ["--save", place / "peft"]
    base = nf4_rounded(folder, place / "rounded") if nf4 else folder
    theirs = [json.loads(line) for line in hf("train", base, "--rows", place / "rows.json", "--steps", STEPS, "--batch", BATCH,
                                              "--lr", RATE, *start).splitlines()]
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
    checks.below(f"{name}: {'QLoRA' if nf4 else 'LoRA'} loss against PEFT, relative", far, 1e-4)


def llama_logits(gguf, ids, place):
    program = JUDGES / "node" / "llama.mjs"  # resolves its packages from its own folder
    shutil.copy(need("oracle/llama.mjs"), program)
    out = place / "llama.f32"
    subprocess.run(["node", program, "logits", gguf, ",".join(map(str, ids)), out], check=True, capture_output=True)
    return np.fromfile(out, "<f4").reshape(len(ids), -1)


def check_family(family, variant, place, tokenizer, checks):
    name = f"{family} {variant}"
    folder = place / "model"
    random_folder(family, variant, folder, tokenizer)
    ids = [1] + np.random.RandomState(3).randint(3, 300, 60).tolist()
    hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32")
    theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(len(ids), -1)
    checks.below(f"{name}: logits of {len(ids)} tokens, folder against transformers",
                 furthest(our_logits(folder, ids, place / "ours.f32"), theirs), 1e-4)
    if "experts" in (folder / "config.json").read_text():
        check_stacked(name, folder, ids, place, checks)
    gguf = place / "model.gguf"
    if (family, variant) in NO_GGUF:
        done = subprocess.run([Path(sys.argv[1]) / "retort", "export", folder, "--out", gguf, "--type", "f32"],
                              capture_output=True, text=True)
        checks.that(f"{name}: export says what GGUF has no place for",
                    done.returncode == 2 and NO_GGUF[family, variant] in done.stderr, done.stderr)
    else:
        retort("export", folder, "--out", gguf, "--type", "f32")
        ours = our_logits(gguf, ids, place / "ours.f32")
        checks.below(f"{name}: logits, GGUF against transformers", furthest(ours, theirs), 1e-4)
        if (family, variant) not in NO_LLAMA:
            checks.below(f"{name}: logits, GGUF against llama.cpp", furthest(ours, llama_logits(gguf, ids, place)),
                         llama_bound(family))
    follow_peft(name, folder, place, checks, nf4=False)
    follow_peft(name, folder, place, checks, nf4=True)


def check_ropes(place, tokenizer, checks):
    for number, (family, variant, keys) in enumerate(ROPES):
        folder = place / f"rope-{number}"
        random_folder(family, variant, folder, tokenizer, keys)
        for length in (60, 200):
            ids = [1] + np.random.RandomState(3).randint(3, 300, length - 1).tolist()
            hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32")
            theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(length, -1)
            checks.below(f"{family}, rope {keys['rope_parameters']['rope_type']}: logits of {length} tokens against transformers",
                         furthest(our_logits(folder, ids, place / "ours.f32"), theirs), 1e-4)


def main():
    try:
        import peft  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers and PEFT (scripts/judges)")
    if not (JUDGES / "node/node_modules/node-llama-cpp").exists() or not shutil.which("node"):
        skip("needs npm's node-llama-cpp (scripts/judges)")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    models = []
    chosen = os.environ.get("RETORT_FAMILIES", "").split()
    for family, variant in VARIANTS:
        if chosen and family not in chosen:
            continue
        own = place / f"{family}-{variant}"
        own.mkdir()
        check_family(family, variant, own, tokenizer, checks)
        if (family, variant) not in {**NO_GGUF, **dict.fromkeys(NO_CONVERTER)}:
            models.append((f"{family} {variant}", own / "model"))
    if not chosen:
        check_ropes(place, tokenizer, checks)
    check_tensors(models, GGUF_TYPES, place, checks)
    checks.finish()


main()
