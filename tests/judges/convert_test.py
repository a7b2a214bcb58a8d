# SPDX-License-Identifier: Apache-2.0
"""Compares exported GGUF files, tensor by tensor and byte for byte, with those of llama.cpp's convert_hf_to_gguf.py and its
quantiser in Python (gguf.quants)."""
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import quantize

from support import Checks, gguf_metadata, gguf_tensors, llama_cpp, need, retort, run, stage


def quantized(path, kind):
    """The tensors of an f32 file, its matrices quantised by llama.cpp's own code."""
    out = {}
    for t in GGUFReader(path).tensors:
        values = np.array(t.data, np.float32).reshape(t.shape.tolist()[::-1])
        plain = values.ndim == 1
        data = values if plain else quantize(values, GGMLQuantizationType[kind.upper()])
        out[t.name] = ("F32" if plain else kind.upper(), t.shape.tolist(), data.tobytes())
    return out


# Stated by Retort where the converter leaves it to be inferred; the last by the tokenizer's own rules, which the converter
# reads no key for.
STATED = dict.fromkeys(["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix",
                        "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.remove_extra_whitespaces"])


def main():
    convert = llama_cpp("convert_hf_to_gguf.py")
    place, checks = stage(), Checks()
    for model, kinds in (("stories260K", ("f32", "f16", "bf16", "q8_0")), ("llama2xs-280K", ("f32",))):
        folder = need(f"real/models/{model}")
        for kind in kinds:
            ours, theirs = place / f"ours-{kind}.gguf", place / f"theirs-{kind}.gguf"
            retort("export", folder, "--out", ours, "--type", kind)
            run(sys.executable, convert, folder, "--outfile", theirs, "--outtype", kind)
            checks.same_tensors(f"{model}, {kind}, convert_hf_to_gguf.py", gguf_tensors(ours), gguf_tensors(theirs))
            checks.same_metadata(f"{model}, {kind}, convert_hf_to_gguf.py", gguf_metadata(ours), gguf_metadata(theirs), STATED)
        for kind in ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1") if model == "llama2xs-280K" else ():  # rows that divide into blocks
            ours = place / f"pure-{kind}.gguf"
            retort("export", folder, "--out", ours, "--type", kind, "--pure")
            checks.same_tensors(f"{model}, {kind}, gguf.quants", gguf_tensors(ours), quantized(place / "theirs-f32.gguf", kind))
    checks.finish()


main()
