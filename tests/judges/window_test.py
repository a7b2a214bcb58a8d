# SPDX-License-Identifier: Apache-2.0
"""Mistral's sliding window against a forward pass in NumPy, in double."""
import json

import numpy as np

from support import Checks, make_folder, need, our_logits, read_safetensors, retort, stage


def forward(folder, ids, window):
    """Logits [T,V]; a token sees itself and the window - 1 tokens before it."""
    c = json.loads((folder / "config.json").read_text())
    w = {name: values.astype(np.float64) for name, values in read_safetensors(folder / "model.safetensors").items()}
    heads, kv, width = c["num_attention_heads"], c["num_key_value_heads"], c["hidden_size"]
    head, count = width // heads, len(ids)

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * w[name]

    angles = np.outer(np.arange(count), c["rope_theta"] ** (-np.arange(0, head, 2) / head))
    cos, sin = (np.concatenate([f(angles)] * 2, -1)[:, None, :] for f in (np.cos, np.sin))

    def rotate(x):  # [T, heads, head]
        return x * cos + np.concatenate([-x[..., head // 2:], x[..., :head // 2]], -1) * sin

    back = np.arange(count)[:, None] - np.arange(count)[None, :]
    seen = (back >= 0) & (back < window)
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        linear = lambda h, name: h @ w[layer + name + ".weight"].T
        h = norm(x, layer + "input_layernorm.weight")
        q = rotate(linear(h, "self_attn.q_proj").reshape(count, heads, head))
        k = rotate(linear(h, "self_attn.k_proj").reshape(count, kv, head)).repeat(heads // kv, 1)
        v = linear(h, "self_attn.v_proj").reshape(count, kv, head).repeat(heads // kv, 1)
        scores = np.where(seen[None], np.einsum("thd,shd->hts", q, k) / np.sqrt(head), -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + linear(np.einsum("hts,shd->thd", weights, v).reshape(count, width), "self_attn.o_proj")
        h = norm(x, layer + "post_attention_layernorm.weight")
        gate = linear(h, "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, "mlp.up_proj"), "mlp.down_proj")
    return norm(x, "model.norm.weight") @ w["lm_head.weight"].T


def main():
    tokenizer = need("real/models/stories260K")
    place, checks = stage(), Checks()
    ids = np.random.RandomState(3).randint(0, 512, 150).tolist()
    for window in (1, 16, 100):
        folder = place / f"mistral-{window}"
        make_folder(folder, 9, tokenizer, model_type="mistral", vocab_size=512, sliding_window=window,
                    bos_token_id=1, eos_token_id=2)
        gguf = place / f"mistral-{window}.gguf"
        retort("export", folder, "--out", gguf, "--type", "f32")
        wanted, whole = forward(folder, ids, window), forward(folder, ids, len(ids))
        for source in (folder, gguf):
            checks.below(f"window {window}, {source.name}", np.abs(our_logits(source, ids, place / "l.f32") - wanted).max(), 1e-4)
        checks.that(f"window {window} matters", np.abs(whole - wanted).max() > 0.1)
    checks.finish()


main()
