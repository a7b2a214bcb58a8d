# SPDX-License-Identifier: Apache-2.0
"""Shared by the judges' tests: Retort's programs, safetensors, random model folders, checks."""
import contextlib
import io
import json
import os
import re
import runpy
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FAMILIES = ["llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "phi3",
            "cohere", "cohere2", "falcon", "olmo2", "granite", "smollm3", "deepseek_v2", "deepseek_v3"]
VARIANTS = [(family, variant) for family in FAMILIES for variant in (0, 1) if (family, variant) != ("cohere2", 1)]
# What GGUF cannot say: export refuses these.
NO_GGUF = {("gemma2", 1): "query_pre_attn_scalar", ("gemma3_text", 1): "query_pre_attn_scalar",
           ("qwen2_moe", 1): "norm_topk_prob", ("qwen3_moe", 1): "norm_topk_prob", ("smollm3", 1): "layers without rope"}

SHARED = Path(os.environ["RETORT_SHARED"]).resolve()
JUDGES = Path(os.environ["RETORT_JUDGES"]).resolve()  # of scripts/judges
BUILD = Path(sys.argv[1])


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def need(relative):
    path = SHARED / relative
    if not path.exists():
        skip(f"needs shared/{relative}, not present")
    return path


def llama_cpp(relative):
    """A file of llama.cpp's folder: a script of its source, or a program in build/bin."""
    path = JUDGES / "llama.cpp" / relative
    if not path.exists():
        skip(f"needs llama.cpp's {relative} (scripts/judges)")
    return path


def run(*command):
    """Runs a judge's program quietly, and shows what it said when it fails."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")


def stage():
    """A folder that lasts as long as the test."""
    stage.kept = tempfile.TemporaryDirectory(prefix="retort-judge-")
    return Path(stage.kept.name)


def retort(*arguments):
    """Runs retort and returns its standard output."""
    done = subprocess.run([BUILD / "retort", *map(str, arguments)], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"retort {' '.join(map(str, arguments))}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def hf(*arguments):
    """Runs hf.py in this process, which then imports PyTorch once."""
    printed, given = io.StringIO(), sys.argv
    sys.argv = ["hf.py", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(need("oracle/hf.py")), run_name="__main__")
    finally:
        sys.argv = given
    return printed.getvalue()


def byte_tokenizer(place):
    """A folder with only the tokenizer of bytes that `retort init` makes, for models of a random family."""
    retort("init", "--shape", "1,32,2,1,64,320", "--out", place / "bytes")
    tokenizer = place / "tokenizer"
    tokenizer.mkdir()
    for file in (place / "bytes").glob("*token*"):
        shutil.copy(file, tokenizer)
    return tokenizer


def our_ids(model, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([BUILD / "retort_judge_ids", model], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def our_logits(model, ids, out, *flags):
    retort("logits", model, "--tokens", ",".join(map(str, ids)), "--out", out, "--compute", "f32", *flags)
    return np.fromfile(out, "<f4").reshape(len(ids), -1)


class Checks:
    """Prints every figure with its bound; failed at the end when one is out of it."""

    def __init__(self):
        self.failed = 0

    def below(self, what, value, bound):
        ok = bool(value <= bound)  # not when NaN
        self.failed += not ok
        print(f"{'ok    ' if ok else 'FAILED'} {what}: {value:.3g} (at most {bound:g})", flush=True)

    def that(self, what, ok, note=""):
        self.failed += not ok
        print(f"{'ok    ' if ok else 'FAILED'} {what}{': ' + str(note) if note and not ok else ''}", flush=True)

    def same_tensors(self, what, ours, theirs):
        """Both as gguf_tensors gives them."""
        differing = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        self.that(f"{what}: {len(theirs)} tensors, byte for byte", not differing and len(theirs) > 0, sorted(differing)[:4])

    def same_metadata(self, what, ours, theirs, differs=None):
        """Both as gguf_metadata gives them. `differs`: reasons by key, whose values may differ or be absent; "*" is any
        architecture."""
        differs = differs or {}
        known = lambda key: key in differs or "*." + key.partition(".")[2] in differs or key.startswith("retort.")
        faults = [f"{key}: ours {ours.get(key)}, theirs {theirs.get(key)}"[:160] for key in sorted(ours.keys() | theirs.keys())
                  if ours.get(key) != theirs.get(key) and not known(key)]
        self.that(f"{what}: {len(theirs)} keys of metadata", not faults and len(theirs) > 0, faults)

    def finish(self):
        sys.exit(1 if self.failed else 0)


def to_bf16(values):
    """The upper halves of f32 values, rounded to nearest even."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def gguf_tensors(path):
    """Type, shape and bytes by name."""
    from gguf import GGUFReader
    return {t.name: (t.tensor_type.name, t.shape.tolist(), t.data.tobytes()) for t in GGUFReader(path).tensors}


def gguf_metadata(path):
    """Types and value by key."""
    from gguf import GGUFReader
    return {key: ([t.name for t in field.types], field.contents()) for key, field in GGUFReader(path).fields.items()
            if not key.startswith("GGUF.")}


def raw_safetensors(folder):
    """Type, shape and bytes by name."""
    out = {}
    for path in Path(folder).glob("*.safetensors"):
        raw = path.read_bytes()
        (n,) = struct.unpack("<Q", raw[:8])
        for name, t in json.loads(raw[8:8 + n]).items():
            if name != "__metadata__":
                begin, end = t["data_offsets"]
                out[name] = (t["dtype"], t["shape"], raw[8 + n + begin:8 + n + end])
    return out


def read_safetensors(path):
    raw = Path(path).read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        piece = raw[8 + n + begin:8 + n + end]
        if t["dtype"] == "BF16":
            values = (np.frombuffer(piece, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(piece, {"F32": "<f4", "F16": "<f2"}[t["dtype"]]).astype(np.float32)
        out[name] = values.reshape(t["shape"])
    return out


def write_safetensors(path, tensors, bf16=False):
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, values in tensors.items():
        blob = (to_bf16(values) if bf16 else values.astype("<f4")).tobytes()
        head[name] = {"dtype": "BF16" if bf16 else "F32", "shape": list(values.shape),
                      "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


# The weights that a recipe's "nf4" quantises: the matrices of layers, but for routers and gates of shared experts.
QUANTISED = re.compile(r"\.(layers|h)\.\d+\.(?!.*(\.gate|router|_gate)\.weight$)")


def rounded_to_nf4(tensor):
    """By bitsandbytes, with double quantisation. Its codes are decoded here by their definition: its own products run in
    bfloat16, and its decoder for AVX-512 takes rows that are no multiple of a block for padded ones."""
    import bitsandbytes.functional as bnb
    import torch
    codes, state = bnb.quantize_4bit(torch.tensor(tensor), quant_type="nf4", compress_statistics=True, blocksize=64)
    pairs, scales, nested = codes.numpy().reshape(-1), state.absmax.numpy(), state.state2
    of_block = np.arange(len(scales)) // nested.blocksize
    scales = nested.code.numpy()[scales] * nested.absmax.numpy()[of_block] + state.offset.item()
    values = state.code.numpy()[np.stack([pairs >> 4, pairs & 15], 1).reshape(-1)][:tensor.size]
    return (values * np.repeat(scales, 64)[:tensor.size]).reshape(tensor.shape).astype("f4")


def nf4_rounded(folder, copy):
    """The folder with the matrices of its layers rounded."""
    shutil.copytree(folder, copy)
    for file in copy.glob("*.safetensors"):
        tensors = read_safetensors(file)
        write_safetensors(file, {name: rounded_to_nf4(tensor) if tensor.ndim == 2 and QUANTISED.search(name) else tensor
                                 for name, tensor in tensors.items()})
    return copy


def random_tensors(config, seed):
    """Every tensor of a model of this configuration; weights large enough for logits of some size."""
    random = np.random.RandomState(seed)
    width, heads, vocab = config["hidden_size"], config["num_attention_heads"], config["vocab_size"]
    kv, ffn = config["num_key_value_heads"], config["intermediate_size"]
    head = config.get("head_dim") or width // heads
    tensors = {}

    def matrix(name, rows, cols):
        tensors[name] = (random.standard_normal((rows, cols)) / np.sqrt(cols)).astype(np.float32)

    def norm(name, size):
        tensors[name] = (1 + 0.2 * random.standard_normal(size)).astype(np.float32)

    matrix("model.embed_tokens.weight", vocab, width)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm.weight", width)
        for name, rows, cols in (("self_attn.q_proj", heads * head, width), ("self_attn.k_proj", kv * head, width),
                                 ("self_attn.v_proj", kv * head, width), ("self_attn.o_proj", width, heads * head),
                                 ("mlp.gate_proj", ffn, width), ("mlp.up_proj", ffn, width),
                                 ("mlp.down_proj", width, ffn)):
            matrix(layer + name + ".weight", rows, cols)
            if config["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                tensors[layer + name + ".bias"] = (0.5 * random.standard_normal(rows)).astype(np.float32)
        if config["model_type"] == "qwen3":
            norm(layer + "self_attn.q_norm.weight", head)
            norm(layer + "self_attn.k_norm.weight", head)
        norm(layer + "post_attention_layernorm.weight", width)
    norm("model.norm.weight", width)
    if not config["tie_word_embeddings"]:
        matrix("lm_head.weight", vocab, width)
    return tensors


def make_folder(folder, seed, tokenizer, shards=1, bf16=False, **config):
    """A Hugging Face folder of a random model; returns its configuration."""
    config = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
              "intermediate_size": 96, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "max_position_embeddings": 512, "tie_word_embeddings": False,
              "torch_dtype": "bfloat16" if bf16 else "float32", **config}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    for file in tokenizer.glob("tokenizer*"):
        (folder / file.name).symlink_to(file)
    tensors = random_tensors(config, seed)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, bf16)
        return config
    index = {}
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in list(tensors)[s::shards]}
        write_safetensors(folder / file, part, bf16)
        index.update({name: file for name in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return config


def write_adapter(folder, model, rank, alpha, seed):
    """A fresh LoRA in PEFT's layout on every linear layer of a model's folder: A uniform within 1 / sqrt(inputs), B zero."""
    random = np.random.RandomState(seed)
    tensors = {}
    for path in sorted(Path(model).glob("*.safetensors")):
        for name, values in read_safetensors(path).items():
            if not name.endswith("_proj.weight"):
                continue
            outputs, inputs = values.shape
            place = "base_model.model." + name.removesuffix(".weight")
            tensors[place + ".lora_A.weight"] = random.uniform(-1, 1, (rank, inputs)) / np.sqrt(inputs)
            tensors[place + ".lora_B.weight"] = np.zeros((outputs, rank))
    folder.mkdir()
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    targets = sorted({name.split(".")[-3] for name in tensors})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha, "lora_dropout": 0.0,
              "target_modules": targets, "bias": "none", "base_model_name_or_path": str(model)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
