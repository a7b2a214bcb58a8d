#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LoRA training in plain PyTorch on a GPU, for scripts/gpu-check: tokens per second and peak memory.

    bench/compare/torch_gpu.py --shape qwen3-0.6b [--rows 8] [--part-rows 4] [--tokens 2048] [--rank 16] [--steps 3]

A decoder of the shape with random frozen weights and activations in bf16, adapters in f32 on all
linear layers, PyTorch's fused attention and AdamW. All tokens carry loss. Prints one JSON object,
with the GPU's best rate of bf16 products and of copies beside it.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

# L, C, H, K, D, F, V, as in `retort init --shape`.
SHAPES = {"qwen3-0.6b": (28, 1024, 16, 8, 128, 3072, 151936), "qwen3-1.7b": (28, 2048, 16, 8, 128, 6144, 151936),
          "qwen3-4b": (36, 2560, 32, 8, 128, 9728, 151936), "qwen3-8b": (36, 4096, 32, 8, 128, 12288, 151936)}
HEAD_ROWS = 2048  # whose logits exist at once


class Linear(torch.nn.Module):
    """Frozen, with an adapter."""

    def __init__(self, inputs, outputs, rank):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(outputs, inputs).mul_(inputs**-0.5), requires_grad=False)
        self.a = torch.nn.Parameter(torch.randn(rank, inputs, dtype=torch.float32).mul_(inputs**-0.5))
        self.b = torch.nn.Parameter(torch.zeros(outputs, rank, dtype=torch.float32))

    def forward(self, x):
        return F.linear(x, self.w) + 2 * F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))


def turned(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Block(torch.nn.Module):
    def __init__(self, c, h, k, d, f, rank):
        super().__init__()
        self.h, self.k, self.d = h, k, d
        self.q, self.o = Linear(c, h * d, rank), Linear(h * d, c, rank)
        self.keys, self.values = Linear(c, k * d, rank), Linear(c, k * d, rank)
        self.gate, self.up, self.down = Linear(c, f, rank), Linear(c, f, rank), Linear(f, c, rank)

    def forward(self, x, cos, sin):
        rows, tokens, c = x.shape
        y = F.rms_norm(x, (c,))
        q = self.q(y).view(rows, tokens, self.h, self.d).transpose(1, 2)
        keys = self.keys(y).view(rows, tokens, self.k, self.d).transpose(1, 2)
        values = self.values(y).view(rows, tokens, self.k, self.d).transpose(1, 2)
        q, keys = (turned(F.rms_norm(v, (self.d,)), cos, sin) for v in (q, keys))
        mixed = F.scaled_dot_product_attention(q, keys, values, is_causal=True, enable_gqa=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(rows, tokens, -1))
        y = F.rms_norm(x, (c,))
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def loss_of(x, head, ids):
    """The mean over all tokens, chunk by chunk; logits are computed again for the gradient."""
    def part(x, ids):
        return F.cross_entropy(F.linear(x, head).float(), ids, reduction="sum")
    x, ids = x.reshape(-1, x.shape[-1]), ids.reshape(-1)
    return sum(torch.utils.checkpoint.checkpoint(part, x[i:i + HEAD_ROWS], ids[i:i + HEAD_ROWS], use_reentrant=False)
               for i in range(0, len(ids), HEAD_ROWS)) / len(ids)


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(device, call):
    finish(device)
    start = time.perf_counter()
    call()
    finish(device)
    return time.perf_counter() - start


def limits(device):
    n = 8192 if device == "cuda" else 256
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    times = [seconds(device, lambda: a @ b) for _ in range(8)]
    x = torch.empty(n * n * 32, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    copies = [seconds(device, lambda: y.copy_(x)) for _ in range(8)]
    return 2 * n**3 / min(times), 2 * x.numel() / min(copies)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shape", default="qwen3-0.6b", help="a name or L,C,H,K,D,F,V")
    p.add_argument("--rows", type=int, default=8)
    p.add_argument("--tokens", type=int, default=2048)
    p.add_argument("--part-rows", type=int, default=4, help="computed at once")
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--steps", type=int, default=3, help="timed, after one that is not")
    p.add_argument("--device", default="cuda")
    a = p.parse_args()
    layers, c, h, k, d, f, vocab = SHAPES.get(a.shape) or map(int, a.shape.split(","))
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    products, copies = limits(a.device)
    with torch.device(a.device):
        blocks = torch.nn.ModuleList(Block(c, h, k, d, f, a.rank) for _ in range(layers))
        head = torch.randn(vocab, c).mul_(c**-0.5)
        angles = torch.arange(a.tokens)[:, None].float() * 1e6 ** (-torch.arange(0, d, 2).float() / d)
        cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
    optimizer = torch.optim.AdamW([w for w in blocks.parameters() if w.requires_grad], lr=1e-4)

    def step():
        ids = torch.randint(vocab, (a.rows, a.tokens + 1), device=a.device)
        for part in ids.split(a.part_rows):
            x = F.embedding(part[:, :-1], head).requires_grad_()
            for block in blocks:
                x = block(x, cos, sin)
            (loss_of(F.rms_norm(x, (c,)), head, part[:, 1:]) * len(part) / a.rows).backward()
        optimizer.step()
        optimizer.zero_grad()

    times = [seconds(a.device, step) for _ in range(a.steps + 1)][1:]
    print(json.dumps({"shape": a.shape, "torch": torch.__version__, "weights": "bf16",
                      "tokens_per_second": a.rows * a.tokens / statistics.median(times),
                      "peak_bytes": torch.cuda.max_memory_allocated() if a.device == "cuda" else None,
                      "products_per_second": products, "copied_bytes_per_second": copies}))


main()
