# SPDX-License-Identifier: Apache-2.0
"""Compares every kind of LoRA with PEFT: folders that PEFT writes are run, merged and trained on by Retort, folders that
Retort writes are run by PEFT."""
import json
import shutil
import sys

import numpy as np

from support import (JUDGES, Checks, byte_tokenizer, gguf_metadata, gguf_tensors, hf, llama_cpp, need, our_logits, retort, run, skip,
                     stage)

KINDS = ["lora", "rslora", "dora", "pissa", "olora", "gaussian", "bias", "patterns", "layers", "regex", "modules_to_save", "embeddings",
         "trainable_tokens"]
# The recipe's adapter section for each kind of hf.py.
SECTIONS = {
    "lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}, "pissa": {"init_weights": "pissa"},
    "olora": {"init_weights": "olora"}, "gaussian": {"init_weights": "gaussian"}, "bias": {"lora_bias": True},
    "patterns": {"targets": ["q_proj", "v_proj", "down_proj"], "rank_pattern": {"down_proj": 4, r"layers\.1\..*q_proj": 16},
                 "alpha_pattern": {"v_proj": 4}},
    "layers": {"targets": ["q_proj", "v_proj"], "layers": [1, 3]},
    "regex": {"targets": r".*\.layers\.(0|2)\..*(?:up|down)_proj"},
    "modules_to_save": {"targets": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]},
    "embeddings": {"targets": ["q_proj", "v_proj", "embed_tokens", "lm_head"]},
    "trainable_tokens": {"targets": ["q_proj", "v_proj"], "trainable_tokens": [5, 9]},
}
IDS = [1, 5, 9, 200, 31, 9, 77, 300, 12, 5, 64, 128, 255, 19, 3, 40]
STEPS, BATCH, RATE = 10, 4, 1e-3
# What PEFT's own merge refuses, or makes wrong.
NO_MERGE = {"bias": "PEFT does not merge a bias where the base has none"}


def make_rows(count):
    random = np.random.RandomState(11)
    rows = []
    for _ in range(count):
        ids = [1, 5, 9] + random.randint(3, 320, random.randint(8, 40)).tolist()
        rows.append({"input_ids": ids, "labels": [i if random.rand() < 0.75 else -100 for i in ids]})
    return rows


def far(ours, theirs):
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def peft_logits(model, out, *adapter):
    hf("logits", model, "--tokens", ",".join(map(str, IDS)), "--out", out, *adapter)
    return np.fromfile(out, "<f4").reshape(len(IDS), -1)


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def follow(kind, base, place, rows, checks):
    place.mkdir()
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"model": {"path": str(base), "weights": "f32", "compute": "f32"},
              "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False, "audit": "off"},
              "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 1, "threads": 2}}
    # PEFT's folder, run.
    hf("adapter", kind, base, place / "peft")
    theirs = peft_logits(base, place / "peft.f32", "--adapter", place / "peft")
    bare = peft_logits(base, place / "bare.f32")
    ours = our_logits(base, IDS, place / "ours.f32", "--adapter", place / "peft")
    begins = kind in ("pissa", "olora")  # hf.py leaves these as they begin: they change nothing yet
    checks.that(f"{kind}: changes the logits", begins or far(bare, theirs) > 1e-3, far(bare, theirs))
    checks.below(f"{kind}: logits of PEFT's folder", far(ours, theirs), 1e-4)
    # Merged.
    if kind not in NO_MERGE:
        retort("merge", "--base", base, "--adapter", place / "peft", "--out", place / "merged")
        checks.below(f"{kind}: logits of our merge", far(our_logits(place / "merged", IDS, place / "m.f32"), theirs), 1e-4)
        checks.below(f"{kind}: our merge in transformers", far(peft_logits(place / "merged", place / "m2.f32"), theirs), 1e-4)
    # Ten steps from PEFT's beginning.
    told = hf("train", base, "--rows", place / "rows.json", "--steps", STEPS, "--batch", BATCH, "--lr", RATE, "--kind", kind,
              "--save", place / "steps")
    want = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    (place / "recipe.json").write_text(json.dumps({**recipe, "adapter": {"init": str(place / "steps-init")}}))
    retort("train", place / "recipe.json", "--run", place / "run", "--json")
    got = losses(place / "run")
    checks.that(f"{kind}: {STEPS} steps", len(got) == len(want) == STEPS, (len(got), len(want)))
    for key, bound in (("loss", 1e-4), ("grad_norm", 1e-3)):
        checks.below(f"{kind}: {key} of ten steps", max(abs(a[key] - b[key]) / abs(b[key]) for a, b in zip(got, want)), bound)
    if kind not in NO_MERGE:  # of a folder that was trained
        retort("merge", "--base", base, "--adapter", place / "steps", "--out", place / "merged2")
        checks.below(f"{kind}: logits of our merge of ten steps by PEFT", far(
            our_logits(place / "merged2", IDS, place / "m.f32"), peft_logits(base, place / "m2.f32", "--adapter", place / "steps")), 1e-4)
    checks.below(f"{kind}: what ten steps made, read by PEFT",
                 far(peft_logits(base, place / "a.f32", "--adapter", place / "run/adapter"),
                     our_logits(base, IDS, place / "b.f32", "--adapter", place / "run/adapter")), 1e-4)
    # A beginning of our own, read by PEFT.
    section = {"rank": 8, "alpha": 16, **SECTIONS[kind]}
    (place / "own.json").write_text(json.dumps({**recipe, "adapter": section}))
    retort("train", place / "own.json", "--run", place / "own", "--json")
    ours = our_logits(base, IDS, place / "c.f32", "--adapter", place / "own/adapter")
    checks.that(f"{kind}: our own run changes the logits", far(bare, ours) > 1e-4, far(bare, ours))
    checks.below(f"{kind}: our own folder, read by PEFT",
                 far(peft_logits(base, place / "d.f32", "--adapter", place / "own/adapter"), ours), 1e-4)


def follow_gguf(kind, base, gguf, place, checks):
    """A GGUF adapter beside llama.cpp's converter's, and its logits beside PEFT's."""
    place.mkdir()
    script, peft = llama_cpp("convert_lora_to_gguf.py"), place / "peft"
    hf("adapter", kind, base, peft)
    if kind == "pissa":  # moved from where it began
        hf("train", base, "--rows", place.parent / "rows.json", "--steps", STEPS, "--kind", kind, "--save", peft)
    retort("export", peft, "--base", base, "--out", place / "ours.gguf")
    if kind in ("lora", "rslora", "gaussian", "layers", "embeddings"):  # the converter does not know patterns and PiSSA
        run(sys.executable, script, peft, "--base", base, "--outfile", place / "theirs.gguf", "--outtype", "f32")
        checks.same_tensors(f"{kind}: GGUF adapter", gguf_tensors(place / "ours.gguf"), gguf_tensors(place / "theirs.gguf"))
        keys = {"general.name": "the folder's", "general.basename": "", "general.version": "", "general.finetune": "",
                "general.size_label": "", "general.base_model.count": "", "general.base_model.0.name": "", "general.sampling": ""}
        if kind == "rslora":
            keys["adapter.lora.alpha"] = "the converter leaves rsLoRA's scale out"
        checks.same_metadata(f"{kind}: GGUF adapter", gguf_metadata(place / "ours.gguf"), gguf_metadata(place / "theirs.gguf"), keys)
    for type, bound in (("f32", 1e-3), ("f16", 3e-3)):
        retort("export", peft, "--base", base, "--out", place / f"{type}.gguf", "--type", type)
        checks.below(f"{kind}: llama.cpp's logits with the {type} adapter", far(
            llama_logits(gguf, place / "l.f32", "--lora", place / f"{type}.gguf"),
            peft_logits(base, place / "p.f32", "--adapter", peft)), bound)


def llama_logits(gguf, out, *flags):
    program = JUDGES / "node" / "llama.mjs"  # resolves its packages from its own folder
    shutil.copy(need("oracle/llama.mjs"), program)
    run("node", program, "logits", gguf, ",".join(map(str, IDS)), out, *flags)
    return np.fromfile(out, "<f4").reshape(len(IDS), -1)


def main():
    try:
        import peft  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers and PEFT (scripts/judges)")
    need("oracle/hf.py")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    rows = make_rows(STEPS * BATCH)
    (place / "rows.json").write_text(json.dumps(rows))
    kinds = sys.argv[2].split(",") if len(sys.argv) > 2 else KINDS
    for family, variant in (("llama", 0), ("qwen2", 1)):  # the second has biases and a tied head
        base = place / f"{family}-{variant}"
        hf("random", family, base, "--variant", variant)
        for file in tokenizer.iterdir():
            shutil.copy(file, base)
        for kind in kinds:
            follow(kind, base, place / f"{family}-{kind}", rows, checks)
        gguf = place / f"{family}.gguf"
        retort("export", base, "--out", gguf, "--type", "f32")
        for kind in ("lora", "rslora", "patterns", "layers", "pissa", "embeddings"):
            if kind in kinds and (kind, family) != ("embeddings", "qwen2"):  # a tied head by itself is refused
                follow_gguf(kind, base, gguf, place / f"{family}-{kind}-gguf", checks)
    checks.finish()


main()
