# SPDX-License-Identifier: Apache-2.0
"""Unpacks what `retort quantize` writes, as the programs of these kinds read it, and compares the logits of the folder with
those of its values; bitsandbytes quantises the same matrices to 8 bits."""
import json
import shutil

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from support import Checks, byte_tokenizer, hf, our_logits, retort, skip, stage

try:
    import bitsandbytes.nn as bnb_nn
except ImportError as why:
    skip(f"needs bitsandbytes (scripts/judges): {why}")

IDS = [1, 5, 9, 200, 31, 9, 77, 300, 12, 5, 64, 128, 255, 19, 3, 40]
GROUP = 32


def fields(words, bits):
    """[n, words] of int32 as [n, words * 32 / bits], low bits first."""
    words = words.numpy().view(np.uint32)
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    return ((words[:, :, None] >> shifts) & np.uint32(2**bits - 1)).reshape(len(words), -1).astype(np.int64)


def gptq(tensors, layer, bits):
    """[out, in]: (code - (stored zero + 1)) * scale, each input's group by g_idx."""
    codes = fields(tensors[layer + ".qweight"].t().contiguous(), bits)
    zeros = fields(tensors[layer + ".qzeros"], bits).T + 1
    return codes, zeros, tensors[layer + ".scales"].t(), tensors[layer + ".g_idx"].long()


def awq(tensors, layer, bits):
    """Eight outputs in a word, in the order 0 2 4 6 1 3 5 7 from the lowest bits."""
    order = [0, 4, 1, 5, 2, 6, 3, 7]

    def unpack(words):  # [n, out]
        return fields(words, bits).reshape(len(words), -1, 8)[:, :, order].reshape(len(words), -1)

    codes = unpack(tensors[layer + ".qweight"]).T
    return codes, unpack(tensors[layer + ".qzeros"]).T, tensors[layer + ".scales"].t(), torch.arange(codes.shape[1]) // GROUP


def decoded_beside(folder, base, unpack, bits):
    tensors, out = load_file(folder / "model.safetensors"), {}
    for name, value in tensors.items():
        if name.endswith(".qweight"):
            layer = name.removesuffix(".qweight")
            codes, zeros, scales, group = unpack(tensors, layer, bits)
            off = torch.from_numpy(codes - zeros[:, group.numpy()])
            out[layer + ".weight"] = (scales[:, group] * off.half()).float().contiguous()
        elif not name.endswith((".qzeros", ".scales", ".g_idx")):
            out[name] = value
    plain = folder.parent / (folder.name + "-decoded")
    plain.mkdir()
    save_file(out, plain / "model.safetensors", {"format": "pt"})
    for file in base.iterdir():
        if file.name != "model.safetensors":
            shutil.copy(file, plain)
    return plain


def eight_bits(base, place, checks):
    retort("quantize", base, "--method", "int8", "--out", place / "int8")
    ours = load_file(place / "int8/model.safetensors")
    differing, count = [], 0
    for name, w in load_file(base / "model.safetensors").items():
        if not (".layers." in name and w.dim() == 2):
            continue
        layer = bnb_nn.Linear8bitLt(w.shape[1], w.shape[0], bias=False, has_fp16_weights=False)
        layer.weight = bnb_nn.Int8Params(w.half(), requires_grad=False, has_fp16_weights=False)
        for part, value in layer.to("cpu").state_dict().items():
            key = name.removesuffix("weight") + part
            count += 1
            if not (key in ours and torch.equal(ours[key], value)):
                differing.append(key)
    checks.that(f"int8: {count} tensors that bitsandbytes makes, byte for byte", not differing, differing[:4])


def main():
    checks, place = Checks(), stage()
    tokenizer = byte_tokenizer(place)
    base = place / "base"
    hf("random", "llama", base, "--set", "intermediate_size=96")
    for file in tokenizer.iterdir():
        shutil.copy(file, base)
    rows = place / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"row {i}: {'abcdefgh'[i % 8] * 9}"}) + "\n" for i in range(16)))
    for name, method, bits, unpack in (("gptq-4", "gptq", 4, gptq), ("gptq-8", "gptq", 8, gptq), ("awq", "awq", 4, awq)):
        folder = place / name
        retort("quantize", base, "--method", method, "--bits", str(bits), "--group", str(GROUP), "--data", rows, "--out", folder)
        plain = decoded_beside(folder, base, unpack, bits)
        ours, want = our_logits(folder, IDS, place / "ours.f32"), our_logits(plain, IDS, place / "want.f32")
        checks.that(f"{name}: logits of the folder and of its values, bit by bit", np.array_equal(ours, want),
                    float(np.abs(ours - want).max()))
    eight_bits(base, place, checks)
    checks.finish()


main()
