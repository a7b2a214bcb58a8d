# SPDX-License-Identifier: Apache-2.0
"""Compares folders of 4 and 8 bits with bitsandbytes: the bytes of every tensor, both ways, and the first steps of
training."""
import json
import shutil
import sys

import numpy as np
import torch

from support import Checks, byte_tokenizer, hf, our_logits, retort, skip, stage

try:
    import bitsandbytes.functional as bnb
    import bitsandbytes.nn as bnb_nn
    from safetensors.torch import load_file, save_file
except ImportError as why:
    skip(f"needs bitsandbytes (scripts/judges): {why}")

IDS = [1, 5, 9, 200, 31, 9, 77, 300, 12, 5, 64, 128, 255, 19, 3, 40]


def quantised(name, tensor):
    return ".layers." in name and tensor.dim() == 2


def decode(codes, state):
    """What the codes stand for. bitsandbytes' own decoder on a CPU is right only where rows are whole blocks."""
    both = torch.stack([codes.flatten() >> 4, codes.flatten() & 15], 1).flatten().long()
    absmax = state.absmax
    if state.nested:
        absmax = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    values = state.code[both] * absmax.repeat_interleave(state.blocksize)[:both.numel()]
    return values.reshape(state.shape)


def theirs(base, folder, kind, nested, blocksize=64):
    """The folder as transformers saves a model that bitsandbytes has quantised; and the same weights decoded."""
    folder.mkdir()
    out, decoded = {}, {}
    for name, w in load_file(base / "model.safetensors").items():
        decoded[name] = out[name] = w
        if not quantised(name, w):
            continue
        codes, state = bnb.quantize_4bit(w, quant_type=kind, compress_statistics=nested, blocksize=blocksize)
        out[name] = codes
        for part, value in state.as_dict(packed=True).items():
            out[f"{name}.{part}"] = value.clone() if isinstance(value, torch.Tensor) else value
        decoded[name] = decode(codes, state)
    return write(base, folder, out, decoded,
                 {"load_in_4bit": True, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested,
                  "bnb_4bit_compute_dtype": "float32"})


def theirs_of_8_bits(base, folder):
    """The same for LLM.int8: what a Linear8bitLt that has seen its device saves, and what bitsandbytes decodes it to."""
    folder.mkdir()
    out, decoded = {}, {}
    for name, w in load_file(base / "model.safetensors").items():
        decoded[name] = out[name] = w
        if not quantised(name, w):
            continue
        layer = bnb_nn.Linear8bitLt(w.shape[1], w.shape[0], bias=False, has_fp16_weights=False)
        layer.weight = bnb_nn.Int8Params(w.half(), requires_grad=False, has_fp16_weights=False)
        for part, value in layer.to("cpu").state_dict().items():
            out[name.removesuffix("weight") + part] = value
        decoded[name] = bnb.int8_vectorwise_dequant(out[name], out[name.removesuffix("weight") + "SCB"])
    return write(base, folder, out, decoded, {"load_in_8bit": True, "llm_int8_threshold": 6.0})


def write(base, folder, out, decoded, config_of_kind):
    """Puts the tensors into the folder, and their values into one beside it, whose path is returned."""
    save_file(out, folder / "model.safetensors", {"format": "pt"})
    plain = folder.parent / (folder.name + "-decoded")
    plain.mkdir()
    save_file({n: w.contiguous() for n, w in decoded.items()}, plain / "model.safetensors", {"format": "pt"})
    for file in base.iterdir():
        if file.name != "model.safetensors":
            for to in (folder, plain):
                shutil.copy(file, to)
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes"} | config_of_kind
    (folder / "config.json").write_text(json.dumps(config))
    return plain


def losses(run):
    return [r["loss"] for r in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in r]


def main():
    torch.set_num_threads(1)  # a mean of many values depends on the number of threads
    checks, place = Checks(), stage()
    tokenizer = byte_tokenizer(place)
    base = place / "base"
    # Rows of whole blocks, for hf.py, which lets bitsandbytes decode.
    hf("random", "llama", base, "--set", "intermediate_size=192")
    for file in tokenizer.iterdir():
        shutil.copy(file, base)
    for kind in ("nf4", "fp4"):
        folder = place / kind
        plain = theirs(base, folder, kind, True)
        want = our_logits(plain, IDS, place / "want.f32")
        got = our_logits(folder, IDS, place / "got.f32")
        checks.below(f"{kind}: logits of the folder, and of its values", float(np.abs(got - want).max()), 1e-5)
        retort("export", base, "--to", "hf", "--type", kind, "--out", place / f"our-{kind}")
        ours, other = load_file(place / f"our-{kind}/model.safetensors"), load_file(folder / "model.safetensors")
        differing = [n for n in other if "quant_state" not in n and not (n in ours and torch.equal(ours[n], other[n]))]
        checks.that(f"{kind}: {len(other)} tensors that bitsandbytes makes, byte for byte",
                    not differing and ours.keys() == other.keys(), differing[:4] or sorted(ours.keys() ^ other.keys())[:4])
        states = [(json.loads(bytes(ours[n].tolist())), json.loads(bytes(other[n].tolist()))) for n in other if "quant_state" in n]
        checks.that(f"{kind}: {len(states)} states", all(a == b for a, b in states), next(((a, b) for a, b in states if a != b), ""))
        retort("export", folder, "--to", "hf", "--type", "f32", "--out", place / f"back-{kind}")
        back, values = load_file(place / f"back-{kind}/model.safetensors"), load_file(plain / "model.safetensors")
        differing = [n for n in values if not torch.equal(back[n].float(), values[n].float())]
        checks.that(f"{kind}: {len(values)} tensors decoded, bit by bit", not differing, differing[:4])
    for nested, blocksize in ((False, 64), (True, 128), (False, 256)):
        name = f"nf4-{nested}-{blocksize}"
        plain = theirs(base, place / name, "nf4", nested, blocksize)
        far = np.abs(our_logits(place / name, IDS, place / "got.f32") - our_logits(plain, IDS, place / "want.f32")).max()
        checks.below(f"{name}: logits", float(far), 1e-5)
    eight_bits(base, place, checks)
    train(base, place, checks)
    checks.finish()


def eight_bits(base, place, checks):
    plain = theirs_of_8_bits(base, place / "int8")
    want, got = (our_logits(f, IDS, place / "int8.f32") for f in (plain, place / "int8"))
    checks.below("int8: logits of the folder, and of its values", float(np.abs(got - want).max()), 1e-5)
    retort("export", place / "int8", "--to", "hf", "--type", "f32", "--out", place / "back-int8")
    back, values = load_file(place / "back-int8/model.safetensors"), load_file(plain / "model.safetensors")
    differing = [n for n in values if not torch.equal(back[n].float(), values[n].float())]
    checks.that(f"int8: {len(values)} tensors decoded, bit by bit", not differing, differing[:4])
    config = json.loads((place / "back-int8/config.json").read_text())
    checks.that("int8: the plain folder says nothing of bitsandbytes", "quantization_config" not in config, config)


def train(base, place, checks):
    random = np.random.RandomState(11)
    rows = [{"input_ids": [1, 5, 9] + random.randint(3, 320, 20).tolist()} for _ in range(40)]
    for row in rows:
        row["labels"] = row["input_ids"]
    (place / "rows.json").write_text(json.dumps(rows))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = hf("train", base, "--rows", place / "rows.json", "--steps", 10, "--batch", 4, "--lr", 1e-3, "--kind", "lora", "--nf4",
              "--save", place / "steps")
    want = [json.loads(line)["loss"] for line in told.splitlines() if line.startswith("{")]
    for name, model, weights in (("its folder", place / "nf4", "as-is"), ("the base, quantised here", base, "nf4")):
        recipe = {"model": {"path": str(model), "weights": weights, "compute": "f32"},
                  "adapter": {"init": str(place / "steps-init")},
                  "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "shuffle": False, "packing": False, "audit": "off"},
                  "train": {"steps": 10, "batch_rows": 4, "lr": 1e-3, "schedule": "constant", "warmup": 0, "clip": 1, "threads": 2}}
        (place / "recipe.json").write_text(json.dumps(recipe))
        run = place / f"run-{weights}"
        retort("train", place / "recipe.json", "--run", run)
        got = losses(run)
        checks.below(f"training on {name}: first loss", abs(got[0] - want[0]), 1e-5)
        checks.below(f"training on {name}: {len(got)} losses", max(abs(a - b) for a, b in zip(got, want, strict=True)), 1e-4)


main()
