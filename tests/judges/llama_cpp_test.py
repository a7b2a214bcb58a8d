# SPDX-License-Identifier: Apache-2.0
"""Exported GGUF files judged by llama.cpp: logits, greedy generation and token ids.

Both programs compute logits in f32 and round differently: over 90 tokens of llama2xs-280K the worst is off by 3e-5 in Retort
and by 1e-4 in llama.cpp. So Retort's are held to a bound against the same pass in double, and llama.cpp's to a wider one: it
vouches that the file means to it what the double pass computes.
"""
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch

from double_model import DoubleModel
from support import JUDGES, Checks, make_folder, need, our_ids, our_logits, retort, skip, stage

REAL = ["stories260K", "llama2xs-280K", "babyllama-936K", "tinystories-656K"]
PROMPT = "Once upon a time"
BOUND = 1e-4  # of Retort's logits, the largest of which are some 20, from the double pass
JUDGE_BOUND = 5e-4  # of llama.cpp's
# Their tokenizer removes extra spaces (SentencePiece's remove_extra_whitespaces), llama.cpp keeps them; export says so.
REMOVES_SPACES = ["stories260K", "llama2xs-280K"]
HERE = Path(__file__).parent
PACKAGES = JUDGES / "node/node_modules"


def judge(questions, place):
    program = place / "llama_cpp_judge.mjs"  # modules are looked for beside the program that imports them
    shutil.copy(HERE / program.name, program)
    (place / "node_modules").symlink_to(PACKAGES)
    (place / "questions.json").write_text(json.dumps(questions))
    subprocess.run(["node", program, place / "questions.json", place / "answers.json"], check=True)
    return json.loads((place / "answers.json").read_text())


def rows_of(path, key, count=200):
    with open(path, encoding="utf-8") as file:
        return [json.loads(next(file))[key] for _ in range(count)]


def exact_logits(folder, ids):
    with torch.no_grad():
        return DoubleModel(folder).logits(ids).numpy()


def check_logits(name, folder, gguf, ids, theirs, place, checks):
    exact = exact_logits(folder, ids)
    theirs = np.fromfile(theirs, "<f4").reshape(exact.shape)
    checks.below(f"{name}: logits of {len(ids)} tokens, llama.cpp against the double pass", np.abs(theirs - exact).max(), JUDGE_BOUND)
    for source, what in ((folder, "folder"), (gguf, "GGUF")):
        ours = our_logits(source, ids, place / "ours.f32")
        checks.below(f"{name}: logits of {len(ids)} tokens, {what} against the double pass", np.abs(ours - exact).max(), BOUND)


class RealModel:
    """One of the real models: its questions, and its answers held against ours."""

    def __init__(self, name, place, texts):
        self.name, self.folder, self.place = name, need(f"real/models/{name}"), place
        self.gguf = place / f"{name}.gguf"
        retort("export", self.folder, "--out", self.gguf, "--type", "f32")
        self.prompt = json.loads(retort("tokenize", self.folder, "--text", PROMPT, "--json"))["ids"]
        story = json.loads(retort("tokenize", self.folder, "--text", texts[-400], "--json"))["ids"]
        self.ids = story[:200]
        self.texts, self.left_out = texts, 0
        if name in ("babyllama-936K", "tinystories-656K"):  # no byte pieces: only what they can spell
            ours = our_ids(self.folder, texts)
            self.texts = [text for text, ids in zip(texts, ours) if 0 not in ids]
            self.left_out = len(texts) - len(self.texts)

    def question(self):
        return {"model": str(self.gguf), "logits": [{"ids": self.ids, "out": str(self.place / "theirs.f32") + self.name}],
                "greedy": [{"ids": self.prompt, "count": 64}], "tokenize": self.texts}

    def check(self, answer, checks):
        check_logits(self.name, self.folder, self.gguf, self.ids, str(self.place / "theirs.f32") + self.name, self.place, checks)
        run = json.loads(retort("run", self.gguf, "--prompt", PROMPT, "--max-tokens", 64, "--temperature", 0,
                                "--compute", "f32", "--kv", "f32", "--json", "--quiet"))
        greedy = answer["greedy"][0]
        if run["finish_reason"] == "stop":
            greedy = greedy[:len(run["ids"])]
        checks.that(f"{self.name}: {len(run['ids'])} greedy tokens equal ({run['finish_reason']})",
                    run["ids"] == greedy and len(greedy) > 0, (run["ids"], greedy))
        differing = [(text, a, b) for text, a, b in zip(self.texts, our_ids(self.gguf, self.texts), answer["tokenize"])
                     if a != b]
        for text, a, b in differing:
            print(f"  {self.name}: {text!r}\n    ours  {a}\n    theirs {b}")
        explained = []
        if self.name in REMOVES_SPACES:
            single = {text: " ".join(word for word in text.split(" ") if word) for text, _, _ in differing}
            explained = [text for text in single if text != single[text]]
            checks.that(f"{self.name}: {len(explained)} texts are those without their extra spaces",
                        our_ids(self.gguf, explained) == our_ids(self.gguf, [single[text] for text in explained]))
        checks.that(f"{self.name}: ids of {len(self.texts)} texts equal, but for {len(explained)} with extra spaces "
                    f"({self.left_out} outside its vocabulary left out)",
                    [text for text, _, _ in differing] == explained, f"{len(differing)} differ")


def random_folders(place):
    """(name, folder, ids): families with the tokenizers of the real ones."""
    qwen, llama = need("real/tokenizers/qwen2_5"), need("real/tokenizers/llama3_2")
    random = np.random.RandomState(7)
    ids = lambda vocab, count: random.randint(0, vocab, count).tolist()
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 32}
    make_folder(place / "llama3", 1, llama, model_type="llama", vocab_size=128256, rope_theta=500000.0,
                rope_scaling=scaling, max_position_embeddings=256, bos_token_id=128000, eos_token_id=[128001, 128009])
    make_folder(place / "qwen2", 2, qwen, model_type="qwen2", vocab_size=151936, rope_theta=1e6, shards=3,
                rms_norm_eps=1e-6, tie_word_embeddings=True, bos_token_id=151643, eos_token_id=151645)
    make_folder(place / "qwen3", 3, qwen, model_type="qwen3", vocab_size=151936, head_dim=48, rope_theta=1e6,
                rms_norm_eps=1e-6, bf16=True, bos_token_id=151643, eos_token_id=151645)
    return [("llama3", place / "llama3", ids(128000, 48)), ("qwen2", place / "qwen2", ids(151643, 24)),
            ("qwen3", place / "qwen3", ids(151643, 24))]


def main():
    torch.set_num_threads(1)
    if not shutil.which("node"):
        skip("needs node 20 or newer")
    if not (PACKAGES / "node-llama-cpp").exists():
        skip("needs npm's node-llama-cpp (scripts/judges)")
    strings = need("real/tokenizers/expected/ggml-vocab-llama-spm.gguf.inp").read_text("utf-8")
    texts = strings.split("\n__ggml_vocab_test__\n") + rows_of(need("real/datasets/tinystories/train.jsonl"), "text")
    texts += rows_of(need("real/datasets/banking77/train.jsonl"), "prompt")
    place, checks = stage(), Checks()

    real = [RealModel(name, place, texts) for name in REAL]
    questions = [model.question() for model in real]
    folders = random_folders(place)
    for name, folder, ids in folders:
        retort("export", folder, "--out", place / f"{name}.gguf", "--type", "f32")
        questions.append({"model": str(place / f"{name}.gguf"), "logits": [{"ids": ids, "out": str(place / f"{name}.f32")}]})
    answers = judge(questions, place)

    for model, answer in zip(real, answers):
        model.check(answer, checks)
    for name, folder, ids in folders:
        check_logits(f"random {name}", folder, place / f"{name}.gguf", ids, place / f"{name}.f32", place, checks)
    checks.finish()


main()
