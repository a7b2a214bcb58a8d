# SPDX-License-Identifier: Apache-2.0
"""What is known of the random families of hf.py, and how their files are compared with llama.cpp's converter's."""
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from support import gguf_metadata, gguf_tensors, hf, llama_cpp, read_safetensors, retort, run, write_safetensors

# llama.cpp computes something else: it has no windows in the architecture "llama", and reads norms of q and k in "command-r"
# only for models of 64 layers; it chooses groups of experts by their best two, DeepSeek-V2 by their best one; it
# opens a deepseek2 without q_lora_rank only if it has 26, 27 or 48 layers.
NO_LLAMA = {("mistral", 0), ("cohere", 1), ("deepseek_v2", 0), ("deepseek_v2", 1), ("deepseek_v3", 1)}
# convert_hf_to_gguf.py needs a key of cohere2 that transformers no longer writes, and goes by one of falcon (num_kv_heads) that
# transformers writes but does not read without new_decoder_architecture.
NO_CONVERTER = {("cohere2", 0), ("falcon", 0)}
# Keys that are not the converter's, and why.
DIFFERS = {
    # The converter drops it, and llama.cpp has no windows in this architecture. Retort reads it back.
    "llama.attention.sliding_window": "",
    # The converter knows one pattern. llama.cpp would take the layers of another for local or global ones.
    "gemma3.attention.sliding_window_pattern": "",
}


def random_folder(family, variant, folder, tokenizer, keys={}):
    """hf.py's, with other values of some keys, and the files of a tokenizer."""
    settings = [part for key, value in keys.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    hf("random", family, folder, "--variant", variant, *settings)
    if family.startswith("deepseek"):  # transformers drops a key of the published files, by which the converter goes
        config = json.loads((folder / "config.json").read_text())
        config["scoring_func"] = "sigmoid" if family == "deepseek_v3" else "softmax"
        (folder / "config.json").write_text(json.dumps(config))
    for file in tokenizer.glob("*"):
        shutil.copy(file, folder)


def llama_bound(family):
    """llama.cpp takes GELU from a table of f16: 8e-4 from transformers where Retort is 2e-6."""
    return 2e-3 if family.startswith(("gemma", "falcon")) else 1e-4


def furthest(a, b):
    """Relative to the largest logit."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def with_smaller_head(folder, place):
    """A copy. Q8_0 makes random routers choose other experts here and there, which moves random logits further than export's
    self-test allows; trained ones are not so close. The bytes to compare are those of the same tensors."""
    copy = place / "smaller-head" / folder.parent.name / folder.name
    shutil.copytree(folder, copy)
    tensors = read_safetensors(copy / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"] / 4
    write_safetensors(copy / "model.safetensors", tensors)
    return copy


def check_tensors(models, types, place, checks):
    """The GGUF's tensors and keys, but for the tokenizer's, beside those of llama.cpp's converter. models: names and folders."""
    models = [(name, with_smaller_head(folder, place) if name.startswith("deepseek_v3") else folder) for name, folder in models]
    files = [(name, folder, kind, place / f"{name.replace(' ', '-')}-{kind}.gguf") for name, folder in models for kind in types]
    jobs = [argument for _, folder, kind, theirs in files for argument in (folder, kind, theirs)]
    run(sys.executable, Path(__file__).parent / "convert_tensors.py", llama_cpp("convert_hf_to_gguf.py"), *jobs)
    for name, folder, kind, theirs in files:
        retort("export", folder, "--out", place / "ours.gguf", "--type", kind)
        checks.same_tensors(f"{name}, {kind}, convert_hf_to_gguf.py", gguf_tensors(place / "ours.gguf"), gguf_tensors(theirs))
        ours, theirs = (
            {key: value for key, value in gguf_metadata(path).items() if not key.startswith("tokenizer.")}
            for path in (place / "ours.gguf", theirs))
        checks.same_metadata(f"{name}, {kind}, convert_hf_to_gguf.py", ours, theirs, DIFFERS)
