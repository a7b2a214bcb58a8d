# SPDX-License-Identifier: Apache-2.0
"""Greedy tokens of llama.cpp and transformers, and how they are compared with Retort's."""
import shutil
import subprocess
import sys
from pathlib import Path

from support import JUDGES, llama_cpp, skip

# A difference of logits, relative to the largest one, that rounding alone can turn over. f32 sums of two programs differ by
# some 1e-6 of it.
TIE = 1e-5


def llama_program(place):
    """llama_main.cpp, linked against the library inside npm's node-llama-cpp."""
    library = next((JUDGES / "node/node_modules/@node-llama-cpp").glob("*/bins/*/libllama.v*.so"), None)
    compiler = shutil.which("c++")
    if not library or not compiler:
        skip("needs npm's node-llama-cpp (scripts/judges) and a C++ compiler")
    folder, program = library.parent, place / "llama_main"
    source = llama_cpp("include/llama.h").parent.parent
    ggml = [next(folder.glob(f"lib{name}.*so*")) for name in ("ggml", "ggml-base")]
    subprocess.run([compiler, "-std=c++20", "-O2", f"-I{source}/include", f"-I{source}/ggml/include",
                    Path(__file__).parent / "llama_main.cpp", library, *ggml, f"-Wl,-rpath,{folder}", "-o", program], check=True)

    def ask(mode, gguf, lines, *more):
        """lines: of ids, or texts."""
        text = "".join((line if isinstance(line, str) else " ".join(map(str, line))) + "\n" for line in lines)
        done = subprocess.run([program, folder, mode, gguf, *map(str, more)], input=text, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"llama_main {mode} {gguf}: {done.stderr}")
        return done.stdout.splitlines()
    return ask


def transformers_greedy(folder, prompts, count):
    """Ids with their lead over the second, as llama_main gives them, and the largest logit."""
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    out = []
    for ids in prompts:
        steps, cache, given = [], None, torch.tensor([ids])
        for _ in range(count):
            with torch.no_grad():
                done = model(given, past_key_values=cache, use_cache=True)
            cache = done.past_key_values
            logits = done.logits[0, -1]
            top = torch.topk(logits, 2)
            steps.append((int(top.indices[0]), float(top.values[0] - top.values[1]), float(logits.abs().max())))
            given = top.indices[:1].reshape(1, 1)
        out.append(steps)
    return out


def same_until_a_tie(what, ours, theirs, leads, largest, checks, tie=TIE):
    """Equal, or unequal from a place on where the two best logits are one but for rounding."""
    differ = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
    if differ is None:
        checks.that(f"{what}: {len(ours)} tokens equal", len(ours) > 0)
        return
    checks.below(f"{what}: {differ} of {len(ours)} tokens equal, then two logits apart, relative", leads[differ] / largest, tie)
