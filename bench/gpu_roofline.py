#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/gpu.md: what the CUDA backend's design can reach on one H200, on paper.

    bench/gpu_roofline.py [kernels | block | train | decode | memory]      default: all

Counts bytes, operations and launches per token from a model's shape and the order of calls in
model/ and autograd/, and divides by the device's limits and by shares of them that are assumed
below. Nothing here was measured. Shapes are those of `retort init --shape`.
"""
import sys
from collections import namedtuple

# The device. bf16: dense tensor cores; f32: without them.
BANDWIDTH, BF16, F32 = 4.8e12, 989e12, 67e12
# Assumed. Shares of a limit that a good kernel reaches; the time of a launch on the host, and the
# shortest time between two dependent kernels on the device.
STREAMED = 0.85                       # of the bandwidth, kernels that read and write each value once
PRODUCTS = {1024: 0.40, 2048: 0.50, 2560: 0.55, 4096: 0.62, 8192: 0.68}  # of BF16, by width
LAUNCH, SHORTEST = 2.5e-6, 2.5e-6

Shape = namedtuple("Shape", "name layers c h k d f vocab tied goal")
SHAPES = [Shape("qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, 151936, True, 100e3),
          Shape("qwen3-1.7b", 28, 2048, 16, 8, 128, 6144, 151936, True, 50e3),
          Shape("qwen3-4b", 36, 2560, 32, 8, 128, 9728, 151936, True, 24e3),
          Shape("qwen3-8b", 36, 4096, 32, 8, 128, 12288, 151936, False, 14e3)]
LARGE = Shape("llama3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256, False, None)
ROW, RANK = 2048, 16   # tokens of a packed row; the adapter's rank
NF4 = 0.5 + 1 / 64 + 4 / 64 / 256  # bytes of a value: a code, its block's 8-bit maximum, theirs
CHUNK = 1 << 23        # logits of a chunk of the head (autograd/ops/head_loss.cc)


def linears(s):
    """(outputs, inputs) of a block's layers."""
    q, kv = s.h * s.d, s.k * s.d
    return [(q, s.c), (kv, s.c), (kv, s.c), (s.c, q), (s.f, s.c), (s.f, s.c), (s.c, s.f)]


def block_weights(s):
    return sum(o * i for o, i in linears(s))


def head_weights(s):
    return s.vocab * s.c


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def kernels():
    """Kernels that are not products: bytes and operations per value, and the time at the limits."""
    f64 = F32 / 2  # also the rate of 32-bit integer operations
    rows = [  # name, values, bytes a value, operations a value, their rate, launches
        ("Fill", "T C", 4, 0, F32, 1), ("Add, Accumulate", "T C", 12, 1, F32, 1),
        ("Scale, AddBias, SoftCap", "T C", 8, 20, F32, 1), ("BiasGrad", "T C", 4, 1, F32, 1),
        ("Dropout", "T C", 8, 400, f64, 1), ("GatedActivation", "T F", 12, 15, F32, 1),
        ("GatedActivationGrad", "T F", 20, 20, F32, 1), ("GatherRows, PutRows, CopyColumns", "T C", 8, 0, F32, 1),
        ("ScatterAddRows, AddWeightedRows, AddColumns", "T C", 12, 2, F32, 1),
        ("StoreRows (bf16)", "T KD", 6, 0, F32, 1),
        ("WeightedRowsGrad", "T C", 12, 3, F32, 2), ("Route", "T E", 8, 60, F32, 1),
        ("RmsNorm", "T C", 8, 4, F32, 1), ("RmsNormGrad (gain frozen)", "T C", 16, 9, F32, 1),
        ("CenterRows, ResizeColumns", "T C", 8, 2, F32, 1), ("Rotary", "T HD", 8, 3, F32, 1),
        ("RotaryTable", "T D/2", 8, 120, f64, 1), ("CrossEntropy with gradient", "T V", 16, 20, F32, 1),
        ("SumSquares", "P", 4, 2, f64, 2), ("AdamW", "P", 28, 15, F32, 1), ("AdamWBytes", "P", 16, 90, F32, 1),
        ("Lion, Sgd", "P", 20, 6, F32, 1), ("Adafactor", "P", 24, 12, F32, 10)]
    s = SHAPES[3]
    adapter = s.layers * sum(RANK * (o + i) for o, i in linears(s))
    count = {"T C": ROW * s.c, "T F": ROW * s.f, "T HD": ROW * s.h * s.d, "T KD": ROW * s.k * s.d,
             "T D/2": ROW * s.d // 2, "T V": CHUNK, "T E": ROW * 128, "P": adapter}
    out = []
    for name, values, bytes_each, work, rate, launches in rows:
        n = count[values]
        memory, arithmetic = n * bytes_each / BANDWIDTH, n * work / rate
        bound = "launch" if max(memory, arithmetic) < launches * SHORTEST else \
            "memory" if memory >= arithmetic else "arithmetic"
        out.append((name, values, bytes_each, work, launches,
                    f"{1e6 * max(memory, arithmetic, launches * SHORTEST):.1f}", bound))
    table(["kernel", "values", "bytes a value", "operations a value", "launches", "µs", "bound"], out)


# A block's calls in the order of model/block.cc: launches, and bytes of activations per token as
# multiples of C, HD, KD and F. Activations are f32; each operand of a product is read, rounded and
# written as bf16 and read again (8 bytes a value). Adapters are products of their own, which add to y
# and dx. Gradients that are added to are filled with zeros first.
FORWARD = [("norms", 2, 16, 0, 0, 0), ("rounding of the products' inputs", 4, 16, 8, 0, 8),
           ("decoding of seven weights", 7, 0, 0, 0, 0), ("products", 7, 8, 4, 8, 8),
           ("adapters, two products each", 14, 16, 8, 16, 16), ("norms of heads", 2, 0, 8, 8, 0),
           ("rotary", 2, 0, 8, 8, 0), ("attention", 1, 0, 8, 8, 0), ("activation", 1, 0, 0, 0, 12),
           ("residual sums", 2, 24, 0, 0, 0)]
BACKWARD = [("residual sums", 4, 32, 0, 0, 0), ("rounding of dy", 7, 16, 8, 16, 16),
            ("rounding of x for dA", 4, 16, 8, 0, 8), ("decoding of seven weights", 7, 0, 0, 0, 0),
            ("products, dx", 7, 32, 4, 0, 4), ("adapters, four products each", 28, 58, 14, 8, 18),
            ("activation", 1, 0, 0, 0, 20), ("attention", 6, 0, 36, 40, 0), ("rotary", 2, 0, 8, 8, 0),
            ("norms of heads", 4, 0, 20, 20, 0), ("norms", 2, 32, 0, 0, 0)]


def block_bytes(s, calls):
    sizes = s.c, s.h * s.d, s.k * s.d, s.f
    return sum(n * size for call in calls for n, size in zip(call[2:], sizes))


def block_launches():
    return sum(call[1] for call in FORWARD + BACKWARD)


def block():
    for name, calls in ("forward", FORWARD), ("backward", BACKWARD):
        rows = calls + [("**sum**",) + tuple(sum(c[i] for c in calls) for i in range(1, 6))]
        rows = [list(r) + [f"{block_bytes(SHAPES[3], [r]) / 1e3:.0f}"] for r in rows]
        table([name, "launches", "C", "HD", "KD", "F", "qwen3-8b, KB a token"], rows)


Design = namedtuple("Design", "text tokens attention activation_bytes chunk")
DESIGNS = [Design("As written, attention in f32, `train.part_tokens` 2048", ROW, F32 * 0.45, 1, CHUNK),
           Design("As written, attention on tensor cores, `train.part_tokens` 2048", ROW, BF16 * 0.2, 1, CHUNK),
           Design("As written, attention on tensor cores, `train.part_tokens` 8192", 4 * ROW, BF16 * 0.2, 1, CHUNK),
           Design("What would have to change: activations in bf16 and fewer passes over them (half of the bytes), "
                  "attention at 0.35 of the peak, chunks of the head 16 times as large", 4 * ROW, BF16 * 0.35, 0.5,
                  16 * CHUNK)]


def train_parts(s, design):
    """Seconds per token of each part of a step of rows of ROW tokens, one example each."""
    pairs = (ROW + 1) / 2
    n = block_weights(s) * s.layers
    rate = BF16 * PRODUCTS[s.c]
    adapters = 6 * 2 * RANK * sum(o + i for o, i in linears(s)) / 2 * s.layers
    chunk = max(16, min(4096, design.chunk // s.vocab))
    activations = block_bytes(s, FORWARD + BACKWARD) * s.layers * design.activation_bytes
    return {
        "products of blocks": (4 * n + adapters) / rate,
        # Scores and sums, 4; the gradient in two kernels, which both compute scores and dP, 14.
        "attention": 18 * s.h * s.d * pairs * s.layers / design.attention,
        "activations": activations / BANDWIDTH / STREAMED,
        "decoding weights": 2 * n * (NF4 + 4) / design.tokens / BANDWIDTH / STREAMED,
        # Each chunk reads the head twice; logits are written, read by the loss twice, written,
        # rounded and read.
        "head and loss": max(4 * head_weights(s) / rate, 2 * 2 * head_weights(s) / chunk / BANDWIDTH / STREAMED)
                         + 26 * s.vocab / BANDWIDTH / STREAMED,
    }


def train():
    names = list(train_parts(SHAPES[0], DESIGNS[0]))
    for design in DESIGNS:
        print(design.text + ":\n")
        rows = []
        for s in SHAPES:
            parts = train_parts(s, design)
            device = sum(parts.values())
            host = block_launches() * s.layers * LAUNCH / design.tokens + 10 * LAUNCH / max(16, design.chunk // s.vocab)
            rate = 1 / max(device, host)
            rows.append([s.name] + [f"{1e6 * parts[n]:.2f}" for n in names] +
                        [f"{1e6 * device:.1f}", f"{1e6 * host:.1f}", f"{rate / 1e3:.0f} k", f"{s.goal / 1e3:.0f} k",
                         "yes" if rate >= s.goal else "no"])
        table(["shape, µs a token"] + names + ["device, sum", "host, launches", "tokens/s", "goal", "reached"], rows)


def decode():
    rows = []
    small, products = 12, 5  # launches of a block: of one row's worth of work, and of products
    for s, weights, each in [(SHAPES[0], "bf16", 2), (SHAPES[3], "bf16", 2), (SHAPES[3], "q4_k", 144 / 256),
                             (LARGE, "q4_k", 144 / 256)]:
        # A head in four bits is q6_k.
        head = head_weights(s) * (2 if weights == "bf16" else 210 / 256)
        read = block_weights(s) * s.layers * each + head + 2 * 2 * s.layers * s.k * s.d * 1024
        launches = s.layers * (small + products) + 8
        memory = read / BANDWIDTH
        device = memory / 0.9 + (s.layers * small + 8) * SHORTEST
        host = launches * LAUNCH
        graph = memory / 0.9 + (s.layers * small + 8) * 1.3e-6  # replayed: no host, closer together
        rows.append((s.name, weights, f"{read / 1e9:.2f}", launches, f"{1e3 * memory:.2f}", f"{1e3 * device:.2f}",
                     f"{1e3 * host:.2f}", f"{100 * memory / max(device, host):.0f} %", f"{100 * memory / graph:.0f} %"))
    table(["shape", "weights", "GB read", "launches", "reading, ms", "device, ms", "host, ms", "of the bandwidth",
           "with a CUDA graph"], rows)


def memory():
    s, gib = LARGE, 2.0**30
    q, kv = s.h * s.d, s.k * s.d
    adapter = s.layers * sum(RANK * (o + i) for o, i in linears(s))
    saved = 4 * (5 * s.c + 4 * q + 5 * kv + 3 * s.f)   # of the block that is computed again
    largest = max(o * i for o, i in linears(s))
    rows = [("blocks in NF4, double-quantised", block_weights(s) * s.layers * NF4),
            ("embedding and head in bf16", 2 * 2 * head_weights(s)),
            ("adapter in f32, its gradient, AdamW's moments in f32", 16 * adapter),
            (f"inputs of {s.layers} blocks, {ROW} tokens, f32", 4 * s.c * ROW * s.layers),
            ("one block's activations", saved * ROW),
            ("its gradients at their peak", 4 * (3 * s.f + 2 * s.c) * ROW),
            ("the largest matrix, decoded to bf16", 2 * largest),
            ("logits of a chunk, workspaces of products", 4 * CHUNK + 2**26),
            ("CUDA's own (context, modules)", 0.6e9)]
    total = sum(b for _, b in rows)
    rows += [("**sum**", total), ("the same with moments in 8 bits", total - 6 * adapter),
             ("the same, and parts of 1,024 tokens", total - 6 * adapter
              - (4 * s.c * s.layers + saved + 4 * (3 * s.f + 2 * s.c)) * ROW / 2)]
    table(["70B", "GiB"], [(name, f"{b / gib:.2f}") for name, b in rows])


def main():
    tables = {"kernels": kernels, "block": block, "train": train, "decode": decode, "memory": memory}
    wanted = sys.argv[1:] or list(tables)
    if not set(wanted) <= set(tables):
        sys.exit(__doc__)
    for name in wanted:
        tables[name]()


main()
