# SPDX-License-Identifier: Apache-2.0
"""GGUF files as a way in: a random folder of each family becomes a GGUF in f32, and that a folder with the same bytes, the same
logits in transformers and the same ids; the tokenizers of real models in transformers, before and after."""
import json
import os
import shutil

import numpy as np

from support import NO_GGUF, VARIANTS, Checks, byte_tokenizer, gguf_tensors, hf, need, our_ids, raw_safetensors, retort, skip, stage

# GGUF keeps Gemma's gains whole, a folder less 1: what an f32 near 1 cannot hold is lost.
SHIFTED = "gemma"
TOKENIZERS = ["gpt2", "llama3_2", "qwen2_5", "llama2-spm", "mistral-v3-spm"]


def check_tensors(name, folder, back, checks):
    ours, theirs = raw_safetensors(back), raw_safetensors(folder)
    differing = []
    for key in ours.keys() | theirs.keys():
        a, b = ours.get(key), theirs.get(key)
        if a == b:
            continue
        near = (name.startswith(SHIFTED) and key.endswith("norm.weight") and a and b and
                np.abs(np.frombuffer(a[2], "<f4") - np.frombuffer(b[2], "<f4")).max() <= 1.2e-7)
        if not near:
            differing.append(key)
    checks.that(f"{name}: {len(theirs)} tensors, folder to GGUF to folder, byte for byte", not differing and theirs, sorted(differing)[:4])


def check_family(family, variant, place, tokenizer, checks):
    name = f"{family} {variant}"
    folder, gguf, back = place / "model", place / "model.gguf", place / "back"
    hf("random", family, folder, "--variant", variant)
    for file in tokenizer.glob("*"):
        shutil.copy(file, folder)
    retort("export", folder, "--out", gguf, "--type", "f32")
    retort("export", gguf, "--to", "hf", "--out", back)
    check_tensors(name, folder, back, checks)
    ids = [1] + np.random.RandomState(3).randint(3, 300, 200).tolist()
    logits = {}
    for path in (folder, back):
        hf("logits", path, "--tokens", ",".join(map(str, ids)), "--out", place / "logits.f32")
        logits[path] = np.fromfile(place / "logits.f32", "<f4")
    far = float(np.abs(logits[back] - logits[folder]).max() / np.abs(logits[folder]).max())
    checks.below(f"{name}: transformers' logits of {len(ids)} tokens, that folder against the first", far, 1e-6)
    retort("export", back, "--out", place / "again.gguf", "--type", "f32")
    checks.same_tensors(f"{name}: the GGUF of that folder", gguf_tensors(place / "again.gguf"), gguf_tensors(gguf))
    shutil.rmtree(place)


def texts():
    strings = need("real/tokenizers/expected/ggml-vocab-llama-spm.gguf.inp").read_text("utf-8").split("\n__ggml_vocab_test__\n")
    with open(need("real/datasets/banking77/train.jsonl"), encoding="utf-8") as file:
        strings += [json.loads(next(file))["prompt"] for _ in range(100)]
    with open(need("real/datasets/tinystories/train.jsonl"), encoding="utf-8") as file:
        strings += [json.loads(next(file))["text"] for _ in range(50)]
    return strings


def check_tokenizer(name, place, checks):
    from transformers import AutoTokenizer
    source, folder, gguf, back = need(f"real/tokenizers/{name}"), place / name, place / f"{name}.gguf", place / f"{name}-back"
    retort("init", "--shape", f"1,32,2,1,64,{vocabulary(source)}", "--tokenizer", source, "--out", folder)
    retort("export", folder, "--out", gguf, "--type", "f32")
    retort("export", gguf, "--to", "hf", "--out", back)
    strings = texts()
    first = our_ids(gguf, strings)
    checks.that(f"{name}: ids of {len(strings)} texts, folder against GGUF", our_ids(back, strings) == first)
    if not (back / "tokenizer.json").exists():  # export has said that others may read it otherwise
        return checks.that(f"{name}: a tokenizer.model alone", (back / "tokenizer.model").exists() and name == "mistral-v3-spm")
    tokenizer = AutoTokenizer.from_pretrained(back)
    theirs = [tokenizer(text, add_special_tokens=False).input_ids for text in strings]
    differing = [text for text, a, b in zip(strings, first, theirs) if a != b]
    checks.that(f"{name}: ids of {len(strings)} texts, transformers from the folder against the GGUF", not differing, differing[:3])
    adds = json.loads(retort("tokenize", gguf, "--text", "a", "--json"))["ids"]
    checks.that(f"{name}: transformers begins a text as the GGUF does", tokenizer("a").input_ids == adds, adds)


def vocabulary(folder):
    from transformers import AutoTokenizer
    import sentencepiece
    if (folder / "tokenizer.json").exists():
        return len(AutoTokenizer.from_pretrained(folder))
    return sentencepiece.SentencePieceProcessor(model_file=str(next(folder.glob("*.model")))).vocab_size()


def main():
    try:
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers (scripts/judges)")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    chosen = os.environ.get("RETORT_FAMILIES", "").split()
    for family, variant in VARIANTS:
        if (chosen and family not in chosen) or (family, variant) in NO_GGUF:
            continue
        own = place / f"{family}-{variant}"
        own.mkdir()
        check_family(family, variant, own, tokenizer, checks)
    if not chosen:
        for name in TOKENIZERS:
            check_tokenizer(name, place, checks)
    checks.finish()


main()
