# SPDX-License-Identifier: Apache-2.0
"""Follows TRL's GRPO: on answers that Retort samples, with the rewards that it was given, TRL must find the same loss in each
step and, for every tensor of the adapter, the same gradient in the first and the same change after all."""
import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from support import Checks, byte_tokenizer, make_folder, our_ids, read_safetensors, retort, stage, write_safetensors

STEPS, ANSWERS, LONGEST, RATE = 3, 4, 12, 1.0
PROMPTS = ["What is the capital of France? ", "How do I reset my PIN? ", "Tell me a story. "]
END = 256  # of the tokenizer of bytes
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
# Any number that differs among answers.
JUDGE = """import json, sys
with open({log!r}, "a") as log:
    for line in sys.stdin:
        log.write(line)
        answer = json.loads(line)["answer"]
        print(sum(c in "aeiou" for c in answer) - 0.1 * len(answer))
"""


def make_base(place):
    """A random model that says letters and its end alone, so that an answer's text tells its tokens; their ids."""
    base = place / "base"
    make_folder(base, 7, byte_tokenizer(place), model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=320,
                eos_token_id=END)
    ids = {letter: our_ids(base, [letter])[0][-1] for letter in LETTERS}
    tensors = read_safetensors(base / "model.safetensors")
    # The first of the hidden values is large in every token, and speaks against all others.
    tensors["model.embed_tokens.weight"][:, 0] = 4
    tensors["lm_head.weight"][:, 0] = -20
    tensors["lm_head.weight"][[*ids.values(), END], 0] = 0
    write_safetensors(base / "model.safetensors", tensors)
    return base, ids


def make_init(base, place):
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    model.save_pretrained(place / "init")


def ours(base, place, beta, steps):
    """The steps' lines of metrics, the adapter after them, and what was answered."""
    log, run = place / f"answers-{beta}-{steps}.jsonl", place / f"run-{beta}-{steps}"
    (place / "judge.py").write_text(JUDGE.format(log=str(log)))
    (place / "rows.jsonl").write_text("".join(json.dumps({"prompt": p, "completion": "no"}) + "\n" for p in PROMPTS))
    recipe = {"model": {"path": str(base), "weights": "f32", "compute": "f32"}, "adapter": {"init": str(place / "init")},
              "data": {"train": str(place / "rows.jsonl"), "shuffle": False, "packing": False},
              "reward": {"command": f"{sys.executable} {place / 'judge.py'}", "answers": ANSWERS, "max_new_tokens": LONGEST,
                         "beta": beta},
              "train": {"steps": steps, "batch_rows": len(PROMPTS), "optimizer": "sgd", "lr": RATE, "schedule": "constant",
                        "warmup": 0, "clip": 0}}
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", run, "--json")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    answers = [json.loads(line)["answer"] for line in log.read_text().splitlines()]
    return [line for line in lines if "loss" in line], read_safetensors(run / "adapter/adapter_model.safetensors"), answers


def reward_of(answer):
    return sum(c in "aeiou" for c in answer) - 0.1 * len(answer)


def theirs(base, place, beta, steps, prompts, completions, texts):
    class Given(GRPOTrainer):
        """With these answers in place of its own."""

        def _tokenize_prompts(self, asked):
            return [prompts[PROMPTS.index(p)] for p in asked], None, {}

        def _generate_single_turn(self, *_, **__):
            return of_step(completions, self.state.global_step), None

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), place / "init", is_trainable=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(base / "tokenizer.json"), eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    config = GRPOConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=len(PROMPTS) * ANSWERS, num_generations=ANSWERS,
                        max_completion_length=LONGEST, steps_per_generation=1, use_bias_correction_kl=False,
                        max_steps=steps, beta=beta, temperature=1.0,
                        loss_type="dapo", scale_rewards="group", shuffle_dataset=False, optim="sgd", learning_rate=RATE,
                        lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=0.0, logging_steps=1, save_strategy="no",
                        report_to=[], use_cpu=True, disable_tqdm=True, bf16=False, gradient_checkpointing=False, seed=1)
    trainer = Given(model=model, args=config, train_dataset=Dataset.from_list([{"prompt": p} for p in PROMPTS]),
                    processing_class=tokenizer,
                    reward_funcs=lambda trainer_state, **_: [reward_of(t) for t in of_step(texts, trainer_state.global_step)])
    trainer.train()
    trainer.model.save_pretrained(place / f"theirs-{beta}-{steps}", selected_adapters=["default"])
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, read_safetensors(place / f"theirs-{beta}-{steps}/adapter_model.safetensors")


def of_step(answers, step):
    return answers[step * len(PROMPTS) * ANSWERS:][:len(PROMPTS) * ANSWERS]


def follow(base, ids, place, beta, steps, checks):
    name = f"beta {beta}, {steps} steps"
    metrics, after, texts = ours(base, place, beta, steps)
    count = steps * len(PROMPTS) * ANSWERS
    checks.that(f"{name}: {count} answers", len(texts) == count, len(texts))
    checks.that(f"{name}: some end by themselves, some do not", 0 < sum(len(t) < LONGEST for t in texts) < count,
                [len(t) for t in texts])
    completions = [[ids[c] for c in t] + [END] * (len(t) < LONGEST) for t in texts]
    checks.that(f"{name}: as many tokens as counted", sum(map(len, completions)) == sum(m["loss_tokens"] for m in metrics))
    losses, other = theirs(base, place, beta, steps, our_ids(base, PROMPTS), completions, texts)
    print("       TRL   ", " ".join(f"{loss:.6f}" for loss in losses))
    print("       Retort", " ".join(f"{m['loss']:.6f}" for m in metrics))
    checks.below(f"{name}: losses", max(abs(m["loss"] - loss) for m, loss in zip(metrics, losses, strict=True)), 1e-4)
    before = read_safetensors(place / "init/adapter_model.safetensors")
    worst, norm = 0, 0
    for tensor, start in before.items():
        want, got = start - other[tensor], start - after[tensor]
        worst = max(worst, float(np.abs(want - got).max() / np.abs(want).max()))
        norm += float((want.astype("f8") ** 2).sum())
    checks.below(f"{name}: change of {len(before)} tensors, of each one's largest", worst, 1e-4)
    if steps == 1:
        checks.below(f"{name}: gradient norm, relative", abs(metrics[0]["grad_norm"] * RATE / norm**0.5 - 1), 1e-4)
    elif beta:
        checks.that(f"{name}: the reference holds it back", metrics[-1]["kl"] > 1e-3, metrics[-1])


def main():
    place, checks = stage(), Checks()
    base, ids = make_base(place)
    make_init(base, place)
    for beta, steps in ((0.0, 1), (0.0, STEPS), (0.5, STEPS)):
        follow(base, ids, place, beta, steps, checks)
    checks.finish()


main()
