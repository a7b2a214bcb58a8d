# SPDX-License-Identifier: Apache-2.0
"""Compares the importance matrix of `retort calibrate` with the inputs of transformers' linear layers, by name in a GGUF."""
import json
import re
import shutil
import struct

import numpy as np

from support import Checks, byte_tokenizer, gguf_tensors, hf, retort, skip, stage

# One with plain names, one with scaled embeddings and norms after the blocks, one with fused matrices, one whose GGUF swaps
# rows of its queries.
MODELS = [("llama", 0), ("gemma2", 0), ("phi3", 0), ("olmo2", 0)]
ARCHITECTURES = {"llama": "LLAMA", "gemma2": "GEMMA2", "phi3": "PHI3", "olmo2": "OLMO2"}


def squares_of(folder, rows):
    """By module: the sum of squares of each input of its linear layer, in double, and the tokens."""
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    sums = {}

    def note(name):
        def hook(_, inputs):
            x = inputs[0].detach().reshape(-1, inputs[0].shape[-1])
            total, tokens = sums.get(name, (0, 0))
            sums[name] = (total + (x * x).sum(0), tokens + len(x))
        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layers." in name:
            module.register_forward_pre_hook(note(name))
    with torch.no_grad():
        for ids in rows:
            model(input_ids=torch.tensor([ids]))
    return {name: (total.numpy(), tokens) for name, (total, tokens) in sums.items()}


def numbers(tensor):
    return np.frombuffer(tensor[-1], "<f4")


def dat_entries(path):
    data, at, out = path.read_bytes(), 4, {}
    for _ in range(struct.unpack_from("<i", data)[0]):
        length = struct.unpack_from("<i", data, at)[0]
        name = data[at + 4:at + 4 + length].decode()
        chunks, count = struct.unpack_from("<ii", data, at + 4 + length)
        at += 12 + length
        out[name] = np.frombuffer(data, "<f4", count, at) / chunks
        at += 4 * count
    return out


def check(family, variant, place, tokenizer, checks):
    import gguf
    folder = place / "model"
    hf("random", family, folder, "--variant", variant)
    for file in tokenizer.glob("*"):
        shutil.copy(file, folder)
    random = np.random.RandomState(5)
    rows = [[1] + random.randint(3, 300, random.randint(5, 60)).tolist() for _ in range(12)]
    (place / "rows.jsonl").write_text("".join(json.dumps({"input_ids": ids, "labels": ids}) + "\n" for ids in rows))
    retort("calibrate", folder, "--data", place / "rows.jsonl", "--out", place / "ours.gguf", "--compute", "f32")
    retort("calibrate", folder, "--data", place / "rows.jsonl", "--out", place / "ours.dat", "--compute", "f32")
    ours, older = gguf_tensors(place / "ours.gguf"), dat_entries(place / "ours.dat")
    layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, ARCHITECTURES[family]), layers)
    far, of_dat, found = 0, 0, set()
    for module, (wanted, tokens) in squares_of(folder, rows).items():
        name = names.get_name(re.sub(r"^.*model\.layers", "model.layers", module)) + ".weight"
        found.add(name)
        sums, counts = numbers(ours[name + ".in_sum2"]), numbers(ours[name + ".counts"])
        checks.that(f"{family}, {name}: tokens", counts.tolist() == [tokens], (counts, tokens))
        far = max(far, np.abs(sums - wanted).max() / wanted.max())
        of_dat = max(of_dat, np.abs(older[name] - wanted / tokens).max() / (wanted / tokens).max())
    checks.that(f"{family}: the same matrices", {n.rsplit(".", 1)[0] for n in ours} == found == older.keys(),
                (sorted(ours), sorted(found)))
    checks.below(f"{family}: sums of squares against transformers, relative", far, 1e-5)
    checks.below(f"{family}: means of the older form", of_dat, 1e-5)


def main():
    try:
        import gguf  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers and gguf (scripts/judges)")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    for family, variant in MODELS:
        own = place / family
        own.mkdir()
        check(family, variant, own, tokenizer, checks)
    checks.finish()


main()
