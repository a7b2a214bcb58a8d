# SPDX-License-Identifier: Apache-2.0
"""Greedy tokens of every random family beside transformers' and llama.cpp's, and further shapes of each: other widths, heads,
experts, windows and ropes, whose logits are compared too, from the folder and from the GGUF, and whose GGUF has the
tensors and keys of llama.cpp's converter; what a short training makes of an adapter, run by PEFT."""
import json
import os
import subprocess

import numpy as np

from families import NO_CONVERTER, NO_LLAMA, check_tensors, furthest, llama_bound, random_folder
from greedy import llama_choices, llama_program, load_transformers, same_choices, transformers_choices
from support import BUILD, NO_GGUF, VARIANTS, Checks, byte_tokenizer, hf, our_ids, our_logits, retort, stage

TOKENS = 64
PROMPT = "Once upon a time, in 1969,"
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 6, "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 3}
FIVE = {"hidden_size": 80, "num_attention_heads": 5, "intermediate_size": 72, "num_hidden_layers": 3}
# Beside hf.py's variants, whose keys hold where these say nothing.
SHAPES = [
    ("llama", 0, {**FIVE, "num_key_value_heads": 5, "head_dim": 16}),
    ("llama", 1, {"num_key_value_heads": 1, "rope_parameters": LINEAR, "vocab_size": 333}),
    ("mistral", 0, {"num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 24, "sliding_window": 8}),
    ("mistral", 1, {"tie_word_embeddings": True, "rope_parameters": YARN}),
    ("mixtral", 0, {"num_local_experts": 3, "num_experts_per_tok": 1}),
    ("mixtral", 1, {"num_hidden_layers": 2, "num_local_experts": 16, "num_experts_per_tok": 4, "head_dim": 16,
                    "rope_parameters": YARN}),
    ("qwen2", 0, {**FIVE, "num_key_value_heads": 1}),
    ("qwen2", 1, {"num_attention_heads": 12, "num_key_value_heads": 4, "rope_parameters": LINEAR}),
    ("qwen2_moe", 0, {"num_experts": 4, "num_experts_per_tok": 4, "moe_intermediate_size": 24}),
    ("qwen2_moe", 0, {"hidden_size": 96, "num_attention_heads": 6, "shared_expert_intermediate_size": 32, "rope_parameters": YARN}),
    ("qwen3", 0, {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 8}),
    ("qwen3", 1, {"num_key_value_heads": 1, "head_dim": 48}),
    ("qwen3_moe", 0, {"num_experts": 16, "num_experts_per_tok": 1, "moe_intermediate_size": 16}),
    ("qwen3_moe", 0, {"hidden_size": 128, "num_key_value_heads": 4, "num_experts": 6, "num_experts_per_tok": 5}),
    ("gemma", 0, {"num_key_value_heads": 4, "head_dim": 24, "num_hidden_layers": 2}),
    ("gemma", 1, {"hidden_size": 128, "num_attention_heads": 8, "num_key_value_heads": 4}),
    ("gemma2", 0, {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 8}),
    ("gemma2", 0, {"num_hidden_layers": 3, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
    ("gemma3_text", 0, {"num_hidden_layers": 6, "layer_types": ["sliding_attention"] * 5 + ["full_attention"], "rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
    ("gemma3_text", 0, {"num_key_value_heads": 4, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 4}),
    ("phi3", 0, {"num_attention_heads": 8, "num_key_value_heads": 2}),
    ("phi3", 1, {"hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32, "partial_rotary_factor": 0.5}),
    ("cohere", 0, {**FIVE, "num_key_value_heads": 5}),
    ("cohere", 0, {"num_key_value_heads": 1, "logit_scale": 1.0, "rope_parameters": {"rope_type": "default", "rope_theta": 5e4}}),
    ("cohere2", 0, {"num_hidden_layers": 8, "sliding_window": 5, "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 2}),
    ("cohere2", 0, {"hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 3}),
    ("falcon", 0, {"hidden_size": 80, "num_attention_heads": 5, "num_hidden_layers": 2}),
    ("falcon", 1, {"hidden_size": 128, "num_attention_heads": 8, "num_kv_heads": 2}),
    ("olmo2", 0, {"num_key_value_heads": 1, "intermediate_size": 72}),
    ("olmo2", 1, {"num_attention_heads": 12, "num_key_value_heads": 4, "rope_parameters": YARN}),
    ("granite", 0, {**FIVE, "num_key_value_heads": 1}),
    ("granite", 1, {"residual_multiplier": 1.0, "logits_scaling": 1.0, "rope_parameters": LINEAR}),
    ("smollm3", 0, {"num_hidden_layers": 8, "num_key_value_heads": 1}),
    ("smollm3", 0, {"hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 6, "tie_word_embeddings": True}),
    ("deepseek_v2", 0, {"n_routed_experts": 16, "num_experts_per_tok": 6, "n_shared_experts": 1, "kv_lora_rank": 16, "v_head_dim": 32}),
    ("deepseek_v2", 1, {"q_lora_rank": 24, "n_group": 2, "topk_group": 1, "qk_rope_head_dim": 8}),
    # Without mscale_all_dim, which all published ones have, llama.cpp scales attention in a way of its own.
    ("deepseek_v3", 0, {"n_group": 4, "topk_group": 3, "num_experts_per_tok": 3,
                        "rope_parameters": dict(YARN, mscale=1.0, mscale_all_dim=1.0)}),
    ("deepseek_v3", 1, {"q_lora_rank": 32, "first_k_dense_replace": 0, "routed_scaling_factor": 1.5}),
]
os.environ.setdefault("OMP_NUM_THREADS", "2")


def exported(name, family, variant, folder, gguf, checks):
    """Whether GGUF has a place for all of it. Where it has none, export says of what."""
    done = subprocess.run([BUILD / "retort", "export", folder, "--out", gguf, "--type", "f32"], capture_output=True, text=True)
    if done.returncode == 0:
        return True
    lacks = NO_GGUF.get((family, variant))
    checks.that(f"{name}: export says what GGUF has no place for", lacks and lacks in done.stderr, done.stderr)
    return False


def check_greedy(name, family, variant, folder, gguf, llama, checks):
    """gguf: None, where there is none."""
    model, prompt = load_transformers(folder), our_ids(folder, [PROMPT])[0]
    begun = json.loads(retort("tokenize", folder, "--text", PROMPT, "--json"))["ids"]  # with BOS, if the tokenizer wants it
    prompt = begun if len(begun) > len(prompt) else prompt
    for path in filter(None, (folder, gguf)):
        ours = json.loads(retort("run", path, "--prompt", PROMPT, "--max-tokens", TOKENS, "--compute", "f32", "--kv", "f32",
                                 "--json", "--quiet"))["ids"]
        choices, largest = transformers_choices(model, prompt, ours)
        same_choices(f"{name}, {'GGUF' if path == gguf else 'folder'}, transformers", ours, choices, largest, checks)
    if gguf and (family, variant) not in NO_LLAMA:
        same_choices(f"{name}, GGUF, llama.cpp", ours, llama_choices(llama, gguf, prompt, ours), largest, checks,
                     tie=llama_bound(family))


def check_logits(name, family, variant, folder, gguf, llama, place, checks):
    ids = [1] + np.random.RandomState(3).randint(3, 300, 99).tolist()
    hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32")
    theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(len(ids), -1)
    checks.below(f"{name}: logits, folder against transformers", furthest(our_logits(folder, ids, place / "ours.f32"), theirs), 1e-4)
    if not gguf:
        return
    ours = our_logits(gguf, ids, place / "ours.f32")
    checks.below(f"{name}: logits, GGUF against transformers", furthest(ours, theirs), 1e-4)
    if (family, variant) not in NO_LLAMA:
        judged = np.array([float.fromhex(x) for x in llama("logits", gguf, [ids])[0].split()], "f4").reshape(len(ids), -1)
        checks.below(f"{name}: logits, GGUF against llama.cpp", furthest(ours, judged), llama_bound(family))


def check_adapter(name, folder, place, checks):
    """An adapter of our own making, with PEFT's own names, gives PEFT the same logits."""
    ids = [1] + np.random.RandomState(4).randint(3, 300, 30).tolist()
    (place / "rows.jsonl").write_text(json.dumps({"input_ids": ids, "labels": ids}) + "\n")
    recipe = {"model": {"path": str(folder), "weights": "f32", "compute": "f32"}, "adapter": {"rank": 4, "targets": ATTENTION},
              "data": {"train": str(place / "rows.jsonl"), "format": "tokens", "audit": "off"},
              "train": {"steps": 3, "batch_rows": 1, "lr": 1e-2, "schedule": "constant", "warmup": 0}}
    (place / "recipe.json").write_text(json.dumps(recipe))
    retort("train", place / "recipe.json", "--run", place / "run", "--json")
    given = ["--adapter", place / "run/adapter"]
    ours, bare = our_logits(folder, ids, place / "ours.f32", *given), our_logits(folder, ids, place / "ours.f32")
    hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32", *given)
    theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(len(ids), -1)
    checks.that(f"{name}: three steps change the logits", furthest(ours, bare) > 1e-3)
    checks.below(f"{name}: logits of our adapter, PEFT", furthest(ours, theirs), 1e-4)


ATTENTION = r".*\.(q|k|v|o|q_a|q_b|kv_b|qkv)_proj|.*kv_a_proj_with_mqa|.*\.query_key_value|.*self_attention\.dense"


def main():
    place, checks = stage(), Checks()
    tokenizer, llama = byte_tokenizer(place), llama_program(place)
    chosen = os.environ.get("RETORT_FAMILIES", "").split()
    cases = [(f"{family} {variant}", family, variant, {}) for family, variant in VARIANTS]
    cases += [(f"{family} {variant}, shape {i}", family, variant, keys) for i, (family, variant, keys) in enumerate(SHAPES)]
    to_convert = []
    for name, family, variant, keys in cases:
        if chosen and family not in chosen:
            continue
        own = place / name.replace(", ", "-").replace(" ", "-")
        own.mkdir()
        folder, gguf = own / "model", own / "model.gguf"
        random_folder(family, variant, folder, tokenizer, keys)
        gguf = gguf if exported(name, family, variant, folder, gguf, checks) else None
        check_greedy(name, family, variant, folder, gguf, llama, checks)
        if keys:  # families_test.py does the others
            check_logits(name, family, variant, folder, gguf, llama, own, checks)
            if gguf and (family, variant) not in NO_CONVERTER:
                to_convert.append((name, folder))
        else:
            check_adapter(name, folder, own, checks)
    check_tensors(to_convert, ["f32"], place, checks)
    checks.finish()


main()
