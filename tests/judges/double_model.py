# SPDX-License-Identifier: Apache-2.0
"""A model's forward pass in PyTorch, in double, with which the f32 results of Retort and of another program are compared.

Written from the papers and the configuration's names: Llama, Mistral (sliding window), Qwen2 (biases) and Qwen3 (norms of
queries and keys), Llama 3's scaled rotary angles, LoRA. One row at a time, so nothing is padded.
"""
import json
import math

import torch
import torch.nn.functional as F

from support import read_safetensors


def doubles(path):
    return {name: torch.from_numpy(values).double() for name, values in read_safetensors(path).items()}


class DoubleModel:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = {}
        for path in sorted(folder.glob("*.safetensors")):
            self.weights.update(doubles(path))
        # A tied table may be stored under either of its names.
        self.head = self.weights.get("lm_head.weight", self.weights.get("model.embed_tokens.weight"))
        self.table = self.weights.get("model.embed_tokens.weight", self.head)
        self.adapter, self.scale = {}, 0.0
        self.window = self.config.get("sliding_window") or math.inf

    def adapt(self, adapter, scale):
        """Takes LoRA's matrices by PEFT's names, and what their product is scaled with."""
        self.adapter, self.scale = adapter, scale

    def inverse_frequencies(self, size):
        c = self.config
        inverse = c.get("rope_theta", 10000.0) ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        scaling = c.get("rope_scaling")
        if not scaling:
            return inverse
        assert scaling["rope_type"] == "llama3", scaling
        low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
        turns = scaling["original_max_position_embeddings"] * inverse / (2 * math.pi)  # over the original context
        smooth = ((turns - low) / (high - low)).clamp(0, 1)  # 0: slowed by the factor; 1: as it was
        return inverse * (smooth + (1 - smooth) / factor)

    def norm(self, x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * self.weights[name]

    def linear(self, x, name):
        y = F.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))
        a = self.adapter.get(f"base_model.model.{name}.lora_A.weight")
        if a is not None:
            y = y + self.scale * F.linear(F.linear(x, a), self.adapter[f"base_model.model.{name}.lora_B.weight"])
        return y

    def attention(self, x, layer):
        c, count = self.config, x.shape[0]
        heads = c["num_attention_heads"]
        kv, size = c.get("num_key_value_heads", heads), c.get("head_dim") or c["hidden_size"] // heads
        q = self.linear(x, layer + "self_attn.q_proj").view(count, heads, size)
        k = self.linear(x, layer + "self_attn.k_proj").view(count, kv, size)
        v = self.linear(x, layer + "self_attn.v_proj").view(count, kv, size)
        if layer + "self_attn.q_norm.weight" in self.weights:
            q, k = self.norm(q, layer + "self_attn.q_norm.weight"), self.norm(k, layer + "self_attn.k_norm.weight")
        angles = torch.outer(torch.arange(count, dtype=torch.float64), self.inverse_frequencies(size)).repeat(1, 2)[:, None]

        def rotate(z):
            return z * angles.cos() + torch.cat([-z[..., size // 2:], z[..., :size // 2]], -1) * angles.sin()

        k, v = (z.repeat_interleave(heads // kv, 1) for z in (rotate(k), v))
        back = torch.arange(count)[:, None] - torch.arange(count)
        scores = torch.einsum("thd,shd->hts", rotate(q), k) / math.sqrt(size)
        scores = scores.masked_fill((back < 0) | (back >= self.window), -math.inf)
        return torch.einsum("hts,shd->thd", scores.softmax(-1), v).reshape(count, heads * size)

    def logits(self, ids):
        """[T,V]"""
        x = self.table[torch.tensor(ids)]
        for i in range(self.config["num_hidden_layers"]):
            layer = f"model.layers.{i}."
            h = self.norm(x, layer + "input_layernorm.weight")
            x = x + self.linear(self.attention(h, layer), layer + "self_attn.o_proj")
            h = self.norm(x, layer + "post_attention_layernorm.weight")
            gate, up = self.linear(h, layer + "mlp.gate_proj"), self.linear(h, layer + "mlp.up_proj")
            x = x + self.linear(F.silu(gate) * up, layer + "mlp.down_proj")
        return F.linear(self.norm(x, "model.norm.weight"), self.head)
