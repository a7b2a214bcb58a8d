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
    "lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}, "pissa": {"initialise": "pissa"},
    "olora": {"initialise": "olora"}, "gaussian": {"initialise": "gaussian"}, "bias": {"lora_bias": True},
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


# What hf.py does not make: settings of PEFT's LoraConfig.
FURTHER = {
    "bias all": dict(target_modules=["q_proj", "up_proj"], bias="all"),
    "bias lora_only": dict(target_modules=["q_proj", "up_proj"], bias="lora_only"),
    "dora of a head": dict(target_modules=["q_proj", "lm_head"], use_dora=True),
    "norms and a table": dict(target_modules="all-linear", modules_to_save=["norm", "embed_tokens"]),
    "norms of Gemma": dict(target_modules="all-linear", modules_to_save=["norm"]),
    "tokens of an untied head": dict(target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [5, 9], "lm_head": [9, 77]}),
    "excluded": dict(target_modules="all-linear", exclude_modules=r".*\.1\..*"),
    "pissa_niter_16": dict(target_modules=["q_proj", "down_proj"], init_lora_weights="pissa_niter_16"),
    "experts": dict(target_modules=["q_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
                    rank_pattern={"down_proj": 3}),
    "all of Mixtral": dict(target_modules="all-linear"),  # PEFT makes parameters of it: experts and routers
}


def peft_folder(base, folder, seed, **settings):
    """A folder that PEFT makes, moved away from where it begins, and the logits with the model in memory."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, task_type="CAUSAL_LM", **settings)).eval()
    with torch.no_grad():
        for _, w in model.named_parameters():
            if w.requires_grad:
                w.add_(torch.randn_like(w) * (0.05 * w.abs().mean() + 0.02))
        model.save_pretrained(folder)
        return model, model(torch.tensor([IDS])).logits[0].numpy()


def follow_further(name, base, place, checks):
    place.mkdir()
    _, memory = peft_folder(base, place / "peft", 3, **FURTHER[name])
    theirs, bound = peft_logits(base, place / "t.f32", "--adapter", place / "peft"), 1e-4
    if "niter" in name:  # PEFT begins with other random numbers when it reads its folder: ours is to be no farther off
        theirs, bound = memory, 1.25 * far(theirs, memory)
    checks.below(f"{name}: logits of PEFT's folder",
                 far(our_logits(base, IDS, place / "o.f32", "--adapter", place / "peft"), theirs), bound)
    retort("merge", "--base", base, "--adapter", place / "peft", "--out", place / "merged")
    checks.below(f"{name}: logits of our merge", far(our_logits(place / "merged", IDS, place / "m.f32"), theirs), bound)
    checks.below(f"{name}: our merge in transformers", far(peft_logits(place / "merged", place / "m2.f32"), theirs), bound)


PARAMETERS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


def follow_parameters(base, place, checks):
    """Ten steps of adapters on stacked experts, from PEFT's beginning and from our own, beside PEFT's."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    place.mkdir()
    peft_folder(base, place / "init", 5, target_modules=["q_proj"], target_parameters=PARAMETERS, rank_pattern={"down_proj": 3})
    recipe = {"model": {"path": str(base), "weights": "f32", "compute": "f32"},
              "data": {"train": str(place.parent / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False, "audit": "off"},
              "train": {"steps": STEPS, "batch_rows": BATCH, "lr": RATE, "schedule": "constant", "warmup": 0, "clip": 1, "threads": 2}}
    own = {"targets": ["q_proj"], "target_parameters": PARAMETERS, "rank_pattern": {"down_proj": 3}, "rank": 8, "alpha": 16}
    for name, section in (("PEFT's beginning", {"init": str(place / "init")}), ("our own beginning", own)):
        run = place / name.split()[0]
        (place / "recipe.json").write_text(json.dumps({**recipe, "adapter": section}))
        retort("train", place / "recipe.json", "--run", run, "--json")
        checks.below(f"parameters, {name}: our folder, read by PEFT",
                     far(our_logits(base, IDS, place / "o.f32", "--adapter", run / "adapter"),
                         peft_logits(base, place / "p.f32", "--adapter", run / "adapter")), 1e-4)
    rows = json.loads((place.parent / "rows.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    model = PeftModel.from_pretrained(model, place / "init", is_trainable=True).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    want = []
    for step in range(STEPS):
        loss, tokens = 0, 0
        for row in rows[step * BATCH:(step + 1) * BATCH]:
            labels = torch.tensor(row["labels"])[1:]
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
            loss = loss + torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
            tokens += int((labels != -100).sum())
        (loss / tokens).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step(), optimiser.zero_grad()
        want.append(loss.item() / tokens)
    got = [line["loss"] for line in losses(place / "PEFT's")]
    print("       PEFT  ", " ".join(f"{loss:.6f}" for loss in want))
    print("       Retort", " ".join(f"{loss:.6f}" for loss in got))
    checks.below("parameters: loss of ten steps, relative", max(abs(a - b) / b for a, b in zip(got, want, strict=True)), 1e-4)


def follow_several(base, place, checks):
    """The sum of two adapters beside PEFT's add_weighted_adapter."""
    place.mkdir()
    settings = ({"target_modules": ["q_proj", "down_proj"]}, {"target_modules": "all-linear", "use_rslora": True})
    for i, one in enumerate(settings):
        peft_folder(base, place / str(i), 4 + i, **one)
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, place / "0", adapter_name="a")
    model.load_adapter(place / "1", adapter_name="b")
    model.add_weighted_adapter(["a", "b"], [1.0, 0.5], "sum", combination_type="cat")
    model.set_adapter("sum")
    with torch.no_grad():
        theirs = model.eval()(torch.tensor([IDS])).logits[0].numpy()
    flags = ("--adapter", place / "0", "--adapter", f"{place / '1'}=0.5")
    checks.below("two adapters: logits", far(our_logits(base, IDS, place / "o.f32", *flags), theirs), 1e-4)
    retort("merge", "--base", base, *flags, "--out", place / "merged")
    checks.below("two adapters: logits of the merge", far(our_logits(place / "merged", IDS, place / "m.f32"), theirs), 1e-4)


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
                "general.size_label": "", "general.base_model.count": "", "general.base_model.0.name": "", "general.base_model.0.repo_url": "", "general.base_model.0.version": "",
                "general.tags": ""}
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
    for family in ("qwen3_moe", "mixtral", "gemma2"):
        hf("random", family, place / family)
    for name in FURTHER:
        special = {"experts": "qwen3_moe", "all of Mixtral": "mixtral", "norms of Gemma": "gemma2", "tokens of an untied head": "llama-0"}
        base = place / special.get(name, "qwen2-1")
        for file in tokenizer.iterdir():
            shutil.copy(file, base)
        follow_further(name, base, place / name.replace(" ", "-"), checks)
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    follow_parameters(place / "qwen3_moe", place / "parameters", checks)
    follow_several(place / "llama-0", place / "several", checks)
    checks.finish()


main()
