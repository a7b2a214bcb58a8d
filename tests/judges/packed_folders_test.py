# SPDX-License-Identifier: Apache-2.0
"""Compares folders of packed integers and small floats (GPTQ, AWQ, compressed-tensors, FP8) with their weights decoded.

The layouts of GPTQ and AWQ are written down here once more, value by value, as their programs pack them;
compressed-tensors packs by itself. A folder and its decoded weights must give the same logits to the bit."""
import json
import shutil

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from support import Checks, byte_tokenizer, hf, our_logits, retort, skip, stage

try:
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
except ImportError as why:
    skip(f"needs compressed-tensors (scripts/judges): {why}")

IDS = [1, 5, 9, 200, 31, 9, 77, 300, 12, 5, 64, 128, 255, 19, 3, 40]
GROUP = 16


def quantised(name, tensor):
    return ".layers." in name and tensor.dim() == 2 and name.endswith("proj.weight")


def grouped(w, bits, index, symmetric):
    """Codes, scales and zeros of a matrix whose input i is in group index[i]: [out, in], [out, groups]."""
    groups = int(index.max()) + 1
    top = 2**bits - 1
    scales, zeros = torch.empty(w.shape[0], groups), torch.empty(w.shape[0], groups)
    for g in range(groups):
        part = w[:, index == g]
        low, high = part.min(1).values.clamp(max=0), part.max(1).values.clamp(min=0)
        if symmetric:
            high = torch.maximum(high, -low)
            scales[:, g] = (2 * high / top).clamp(min=1e-6)
            zeros[:, g] = 2 ** (bits - 1)
        else:
            scales[:, g] = ((high - low) / top).clamp(min=1e-6)
            zeros[:, g] = torch.round(-low / scales[:, g])
    scales = scales.half()
    codes = (w / scales.float()[:, index] + zeros[:, index]).round().clamp(0, top)
    return codes.to(torch.int64), scales, zeros.to(torch.int64)


def stream(values, bits):
    """Rows of numbers as rows of 32-bit words, low bits first."""
    values = np.asarray(values, dtype=np.uint64)
    bit = ((values[:, :, None] >> np.arange(bits, dtype=np.uint64)) & 1).astype(np.uint8).reshape(len(values), -1)
    return torch.from_numpy(np.packbits(bit, axis=1, bitorder="little").view(np.int32).copy())


def gptq(name, w, bits, version, act_order, symmetric, out):
    """qweight: a stream along the inputs for each output; qzeros: along the outputs; version 1 stores zeros less 1."""
    index = torch.arange(w.shape[1]) // GROUP
    if act_order:
        index = index[torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(len(name)))]
    codes, scales, zeros = grouped(w, bits, index, symmetric)
    if version == 1:
        zeros = zeros.clamp(min=1)
    out[name + ".qweight"] = stream(codes.numpy(), bits).t().contiguous()
    out[name + ".qzeros"] = stream((zeros - int(version == 1)).t().numpy(), bits)
    out[name + ".scales"] = scales.t().contiguous()
    out[name + ".g_idx"] = index.int()
    return (scales[:, index] * (codes - zeros[:, index]).half()).float()


def awq(name, w, symmetric, out):
    """A word holds eight outputs of one input, in the order 0 2 4 6 1 3 5 7 from its lowest bits."""
    index = torch.arange(w.shape[1]) // GROUP
    codes, scales, zeros = grouped(w, 4, index, symmetric)

    def pack(values):  # [n, out]
        words = np.zeros((values.shape[0], values.shape[1] // 8), dtype=np.uint32)
        for place, column in enumerate([0, 2, 4, 6, 1, 3, 5, 7]):
            words |= values[:, column::8].astype(np.uint32) << np.uint32(4 * place)
        return torch.from_numpy(words.view(np.int32).copy())

    out[name + ".qweight"] = pack(codes.t().numpy())
    out[name + ".qzeros"] = pack(zeros.t().numpy())
    out[name + ".scales"] = scales.t().contiguous()
    return (scales[:, index] * (codes - zeros[:, index]).half()).float()


def compressed(name, w, bits, symmetric, out):
    index = torch.arange(w.shape[1]) // GROUP
    codes, scales, zeros = grouped(w, bits, index, symmetric)
    half = 2 ** (bits - 1)
    signed, zero = (codes - half).to(torch.int8), (zeros - half).to(torch.int8)
    out[name + ".weight_packed"] = pack_to_int32(signed, bits)
    out[name + ".weight_scale"] = scales.bfloat16()
    out[name + ".weight_shape"] = torch.tensor(w.shape, dtype=torch.int64)
    if not symmetric:
        out[name + ".weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0).contiguous()
        assert torch.equal(unpack_from_int32(out[name + ".weight_zero_point"], bits, zero.shape, packed_dim=0), zero)
    assert torch.equal(unpack_from_int32(out[name + ".weight_packed"], bits, w.shape), signed)
    return ((signed.bfloat16() - zero.bfloat16()[:, index]) * scales.bfloat16()[:, index]).float()


def int8_rows(name, w, out):
    scales = (w.abs().max(1, keepdim=True).values / 127).bfloat16()
    codes = (w / scales.float()).round().clamp(-128, 127).to(torch.int8)
    out[name + ".weight"], out[name + ".weight_scale"] = codes, scales
    return (codes.bfloat16() * scales).float()


def fp8(name, w, block, out):
    if block:
        rows, cols = -(-w.shape[0] // block), -(-w.shape[1] // block)
        wide = torch.zeros(rows * block, cols * block)
        wide[:w.shape[0], :w.shape[1]] = w
        scales = wide.reshape(rows, block, cols, block).abs().amax((1, 3)).clamp(min=1e-6) / 448
        full = scales.repeat_interleave(block, 0)[:w.shape[0]].repeat_interleave(block, 1)[:, :w.shape[1]]
        out[name + ".weight_scale_inv"] = scales
    else:
        full = out[name + ".weight_scale"] = w.abs().max(1, keepdim=True).values / 448
    codes = (w / full).to(torch.float8_e4m3fn)
    out[name + ".weight"] = codes
    return (codes.float() * full).bfloat16().float()


def write(base, folder, settings, pack):
    """The folder, and one beside it with the decoded weights."""
    plain = folder.parent / (folder.name + "-decoded")
    packed, decoded = {}, {}
    for name, w in load_file(base / "model.safetensors").items():
        if quantised(name, w):
            decoded[name] = pack(name.removesuffix(".weight"), w.float(), packed).contiguous()
        else:
            packed[name] = decoded[name] = w
    for to, tensors in ((folder, packed), (plain, decoded)):
        to.mkdir()
        save_file(tensors, to / "model.safetensors", {"format": "pt"})
        for file in base.iterdir():
            if file.name != "model.safetensors":
                shutil.copy(file, to)
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = settings
    config.pop("dtype", None)
    config["torch_dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config))
    return plain


def group_settings(bits, symmetric):
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": GROUP, "symmetric": symmetric}
    return {"quant_method": "compressed-tensors", "format": "pack-quantized",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


def kinds():
    for bits in (2, 3, 4, 8):
        for version in (1, 2):
            order = (bits + version) % 2 == 0
            yield (f"gptq-{bits}-v{version}" + ("-act-order" if order else ""),
                   {"quant_method": "gptq", "bits": bits, "group_size": GROUP, "desc_act": order,
                    "checkpoint_format": "gptq" if version == 1 else "gptq_v2"},
                   lambda n, w, o, b=bits, v=version, a=order: gptq(n, w, b, v, a, v == 1, o))
    for symmetric in (True, False):
        yield (f"awq-{symmetric}", {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True},
               lambda n, w, o, s=symmetric: awq(n, w, s, o))
        for bits in (3, 4, 8):
            yield (f"compressed-{bits}-{symmetric}", group_settings(bits, symmetric),
                   lambda n, w, o, b=bits, s=symmetric: compressed(n, w, b, s, o))
    yield ("compressed-int8", {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
        "group_0": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}}}}, int8_rows)
    yield ("fp8-blocks", {"quant_method": "fp8", "weight_block_size": [32, 32], "activation_scheme": "dynamic"},
           lambda n, w, o: fp8(n, w, 32, o))
    yield ("fp8-rows", {"quant_method": "fbgemm_fp8"}, lambda n, w, o: fp8(n, w, 0, o))


def main():
    checks, place = Checks(), stage()
    tokenizer = byte_tokenizer(place)
    base = place / "base"
    hf("random", "llama", base, "--set", "intermediate_size=96")
    for file in tokenizer.iterdir():
        shutil.copy(file, base)
    for name, settings, pack in kinds():
        folder = place / name
        plain = write(base, folder, settings, pack)
        ours, decoded = our_logits(folder, IDS, place / "ours.f32"), our_logits(plain, IDS, place / "decoded.f32")
        checks.that(f"{name}: logits of the folder and of its values, bit by bit", np.array_equal(ours, decoded),
                    float(np.abs(ours - decoded).max()))
        if name in ("gptq-4-v1", "fp8-blocks"):
            leaves(folder, plain, place, checks, name)
        shutil.rmtree(folder), shutil.rmtree(plain)
    checks.finish()


def leaves(folder, plain, place, checks, name):
    """What is exported, and what is trained on it and merged, is no longer packed."""
    back = place / "back"
    retort("export", folder, "--to", "hf", "--type", "f32", "--out", back)
    ours, want = load_file(back / "model.safetensors"), load_file(plain / "model.safetensors")
    differing = [n for n in want if not torch.equal(ours[n].float(), want[n].float())]
    checks.that(f"{name}: {len(want)} tensors exported, bit by bit", not differing, differing[:4])
    checks.that(f"{name}: no quantization_config is left", "quantization_config" not in json.loads((back / "config.json").read_text()))
    shutil.rmtree(back)


main()
