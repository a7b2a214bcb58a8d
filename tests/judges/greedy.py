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


def llama_choices(llama, gguf, prompt, ours):
    """What llama.cpp would choose behind the prompt and behind each token of ours but the last, with how far the logit of its
    choice is above ours'."""
    words = llama("choices", gguf, [prompt + ours])[0].split()[2 * (len(prompt) - 1):]
    return list(zip(map(int, words[::2]), map(float, words[1::2])))


def transformers_choices(model, prompt, ours):
    """The same, and the largest logit."""
    import torch
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ours[:-1]])).logits[0, len(prompt) - 1:]
    best = logits.max(-1)
    above = best.values - logits.gather(1, torch.tensor(ours)[:, None])[:, 0]
    return list(zip(best.indices.tolist(), above.tolist())), float(logits.abs().max())


def load_transformers(folder):
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def same_choices(what, ours, choices, largest, checks, tie=TIE):
    """Ours are the tokens that the other program would choose, each behind those before it; so they are what it generates. Where
    it would choose another, the two logits are one but for rounding."""
    apart = [above / largest for token, (best, above) in zip(ours, choices, strict=True) if token != best]
    if apart:
        checks.below(f"{what}: {len(ours) - len(apart)} of {len(ours)} tokens equal, two logits of the others apart, relative",
                     max(apart), tie)
    else:
        checks.that(f"{what}: {len(ours)} tokens equal", len(ours) > 0)
