# SPDX-License-Identifier: Apache-2.0
"""Folders whose config.json states a model's sizes alone: what an absent key means is the default of the family's class in
transformers. Logits are compared with transformers', which reads the same folder, beyond 4,096 tokens where that is a window."""
import json
import os

import numpy as np

from support import FAMILIES, Checks, byte_tokenizer, hf, our_logits, skip, stage

SIZES = {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 112}
MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
LATENT = {"kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 16, "n_routed_experts": 16,
          "num_experts_per_tok": 4, "moe_intermediate_size": 48}
# As many heads as the default of num_key_value_heads allows, experts, a pattern's length of layers.
OWN = {"qwen2": {"hidden_size": 128, "num_attention_heads": 32}, "qwen3": {"num_attention_heads": 32},
       "qwen2_moe": {"num_attention_heads": 16, "shared_expert_intermediate_size": 80, **MOE},
       "qwen3_moe": {"num_attention_heads": 8, **MOE}, "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
       "gemma": {"num_attention_heads": 16}, "gemma3_text": {"num_hidden_layers": 7},
       "cohere2": {"num_hidden_layers": 5}, "smollm3": {"num_hidden_layers": 5},
       "deepseek_v2": LATENT, "deepseek_v3": {"num_hidden_layers": 5, "num_key_value_heads": 8, **LATENT},
       "falcon": {"ffn_hidden_size": 112}}
# Keys of Cohere 2 and Gemma 3 that older files have in place of layer_types.
PATTERNS = [("gemma3_text", 3), ("cohere2", 2)]
WINDOWED = {"mistral", "gemma2", "gemma3_text", "cohere2"}
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def make_folder(folder, family, keys):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **keys, **IDS), dtype=torch.float32)
    with torch.no_grad():
        for name, w in model.named_parameters():
            if w.dim() >= 2:
                w.normal_(0.0, 0.5 if "embed" in name else 1.2 / w.shape[-1] ** 0.5)
            else:
                w.add_(torch.randn_like(w) * 0.1)
    model.tie_weights()
    model.save_pretrained(folder)
    whole = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": family, "architectures": whole["architectures"], **keys, **IDS}))


def check(name, folder, count, place, checks):
    ids = [1] + np.random.RandomState(3).randint(3, 300, count - 1).tolist()
    hf("logits", folder, "--tokens", ",".join(map(str, ids)), "--out", place / "theirs.f32")
    theirs = np.fromfile(place / "theirs.f32", "<f4").reshape(len(ids), -1)
    ours = our_logits(folder, ids, place / "ours.f32")
    checks.below(f"{name}: logits of {count} tokens against transformers",
                 float(np.abs(ours - theirs).max() / np.abs(theirs).max()), 1e-4)


def main():
    try:
        import peft  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        skip("needs transformers and PEFT (scripts/judges)")
    place, checks = stage(), Checks()
    tokenizer = byte_tokenizer(place)
    folders = [(family, family, {**SIZES, **OWN.get(family, {})}) for family in FAMILIES]
    folders += [(f"{family}, sliding_window_pattern {n}", family, {**SIZES, "num_hidden_layers": 5, "sliding_window_pattern": n,
                                                                   "sliding_window": 20}) for family, n in PATTERNS]
    chosen = os.environ.get("RETORT_FAMILIES", "").split()
    for number, (name, family, keys) in enumerate(folders):
        if chosen and family not in chosen:
            continue
        folder = place / str(number)
        make_folder(folder, family, keys)
        for file in tokenizer.glob("*"):
            (folder / file.name).write_bytes(file.read_bytes())
        check(name, folder, 4200 if name in WINDOWED else 60, place, checks)
    checks.finish()


main()
