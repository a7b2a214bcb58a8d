# SPDX-License-Identifier: Apache-2.0
"""Exported GGUF files beside those of llama.cpp's convert_hf_to_gguf.py and llama-quantize: tensors byte for byte."""
import sys

from gguf import GGUFReader

from support import Checks, llama_cpp, need, retort, run, stage


def tensors(path):
    """Type, shape and bytes by name."""
    return {t.name: (t.tensor_type.name, t.shape.tolist(), t.data.tobytes()) for t in GGUFReader(path).tensors}


def check(what, ours, theirs, checks):
    ours, theirs = tensors(ours), tensors(theirs)
    differing = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    checks.that(f"{what}: {len(theirs)} tensors", not differing and len(theirs) > 0, sorted(differing)[:4])


def main():
    convert, quantize = llama_cpp("convert_hf_to_gguf.py"), llama_cpp("build/bin/llama-quantize")
    place, checks = stage(), Checks()
    for model, kinds in (("stories260K", ("f32", "f16", "bf16", "q8_0")), ("llama2xs-280K", ("f32",))):
        folder = need(f"real/models/{model}")
        for kind in kinds:
            ours, theirs = place / f"ours-{kind}.gguf", place / f"theirs-{kind}.gguf"
            retort("export", folder, "--out", ours, "--type", kind)
            run(sys.executable, convert, folder, "--outfile", theirs, "--outtype", kind)
            check(f"{model}, {kind}, convert_hf_to_gguf.py", ours, theirs, checks)
        for kind in ("q8_0", "q4_0"):
            ours, theirs = place / f"ours-{kind}.gguf", place / f"quantized-{kind}.gguf"
            retort("export", folder, "--out", ours, "--type", kind)
            run(quantize, "--pure", place / "theirs-f32.gguf", theirs, kind)
            check(f"{model}, {kind}, llama-quantize --pure", ours, theirs, checks)
    checks.finish()


main()
