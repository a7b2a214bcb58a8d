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
    """Bytes and operations per value, and the time at the limits."""
    f64 = F32 / 2  # also the rate of 32-bit integer operations
    rows = [  # name, values, bytes a value, operations a value, their rate, launches
        ("Fill", "T C", 4, 0, F32, 1), ("Add, Accumulate", "T C", 12, 1, F32, 1),
        ("Scale, AddBias, SoftCap", "T C", 8, 20, F32, 1), ("BiasGrad", "T C", 4, 1, F32, 2),
        ("Dropout", "T C", 8, 55, f64, 1), ("GatedActivation", "T F", 12, 15, F32, 1),
        ("GatedActivationGrad", "T F", 20, 20, F32, 1), ("GatherRows, PutRows, CopyColumns", "T C", 8, 0, F32, 1),
        ("ScatterAddRows, AddWeightedRows, AddColumns", "T C", 12, 2, F32, 1),
        ("StoreRows (bf16)", "T KD", 6, 0, F32, 1),
        ("WeightedRowsGrad", "T C", 12, 3, F32, 2), ("Route", "T E", 8, 60, F32, 1),
        ("RmsNorm", "T C", 8, 4, F32, 1), ("RmsNormGrad (gain frozen)", "T C", 16, 9, F32, 1),
        ("CenterRows, ResizeColumns", "T C", 8, 2, F32, 1), ("Rotary", "T HD", 8, 3, F32, 1),
        ("RotaryTable", "T D/2", 8, 120, f64, 1), ("CrossEntropy with gradient", "T V", 12, 30, F32, 1),
        ("Distill with gradient", "T V", 24, 90, F32, 1), ("DistillTop with gradient", "T V", 12, 30, F32, 1),
        ("Distill, sorted, with gradient", "T V", 150, 200, f64, 1), ("HiddenDistance", "T C", 12, 6, f64, 1),
        ("EmbedRows (bf16)", "T C", 6, 0, F32, 1), ("decoding of NF4 to bf16", "F C", 2 + NF4, 8, f64, 1),
        ("product, 2,048 tokens, bf16", "F C", NF4, 2 * ROW, BF16, 8),
        ("product, 2,048 tokens, f32", "F C", 4, 2 * ROW, F32, 1),
        ("product, 1 token, NF4", "F C", NF4, 10, f64, 1), ("Attention in f32", "pairs H", 0, 4 * 128, F32, 1),
        ("Attention on tensor cores", "pairs H", 0, 4 * 128, BF16, 4),
        ("AttentionGrad in f32", "pairs H", 0, 14 * 128, F32, 3),
        ("AttentionGrad on tensor cores", "pairs H", 0, 14 * 128, BF16, 8),
        ("SumSquares", "P", 4, 2, f64, 2), ("AdamW", "P", 28, 15, F32, 1), ("AdamWBytes", "P", 16, 90, F32, 1),
        ("Lion, Sgd", "P", 20, 6, F32, 1), ("Adafactor", "P", 24, 12, F32, 10)]
    s = SHAPES[3]
    adapter = s.layers * sum(RANK * (o + i) for o, i in linears(s))
    count = {"T C": ROW * s.c, "T F": ROW * s.f, "T HD": ROW * s.h * s.d, "T KD": ROW * s.k * s.d,
             "T D/2": ROW * s.d // 2, "T V": CHUNK, "T E": ROW * 128, "P": adapter, "F C": s.f * s.c,
             "pairs H": ROW * (ROW + 1) // 2 * s.h}
    out = []
    for name, values, bytes_each, work, rate, launches in rows:
        n = count[values]
        memory, arithmetic = n * bytes_each / BANDWIDTH, n * work / rate
        bound = "launch" if max(memory, arithmetic) < launches * SHORTEST else \
            "memory" if memory >= arithmetic else "arithmetic"
        out.append((name, values, f"{bytes_each:.3g}", work, launches,
                    f"{1e6 * max(memory, arithmetic, launches * SHORTEST):.1f}", bound))
    table(["kernel", "values", "bytes a value", "operations a value", "launches", "µs", "bound"], out)


def panels(s, out, inputs):
    """Of a weight that is decoded: 32 MiB of bf16 each (tensor/cuda/products.cu)."""
    return -(-out // max(1, 2**25 // (2 * inputs)))


def calls(s):
    """(forward, backward): a block's calls by kind, with their launches and bytes of activations per
    token. Activations are f32. Operands of products are rounded to bf16 first; adapters are products
    in f32 that add to y and dx; gradients that are added to are filled with zeros first."""
    c, q, kv, f, w = s.c, s.h * s.d, s.k * s.d, s.f, linears(s)
    cut = [panels(s, o, i) for o, i in w]
    forward = [("norms", 2, 16 * c), ("rounding of x", 4, 6 * (2 * c + q + f)),
               ("products, decoding", 2 * sum(cut), sum(4 * o + 2 * i * n for (o, i), n in zip(w, cut))),
               ("adapters", 14, sum(8 * o + 4 * i for o, i in w)), ("norms of heads", 2, 8 * (q + kv)),
               ("rotary", 2, 8 * (q + kv)), ("attention", 4, 12 * q + 16 * kv), ("activation", 1, 12 * f),
               ("residual sums", 2, 24 * c)]
    backward = [("residual sums", 4, 32 * c), ("zeros for dx", 4, 4 * (2 * c + q + f)),
                ("rounding of dy", 7, sum(6 * o for o, _ in w)),
                ("products, decoding", 2 * sum(cut), sum(2 * o + 8 * i * n for (o, i), n in zip(w, cut))),
                ("adapters", 28, sum(8 * o + 12 * i for o, i in w)), ("activation", 1, 20 * f),
                ("attention", 11, 44 * q + 44 * kv), ("rotary", 2, 8 * (q + kv)),
                ("norms of heads", 4, 20 * (q + kv)), ("norms", 2, 32 * c)]
    return forward, backward


def block_bytes(s, kind):
    """Of the products, of the adapters, or of all other calls ("")."""
    of = {"products, decoding": "products", "adapters": "adapters"}
    return sum(call[2] for part in calls(s) for call in part if of.get(call[0], "") == kind)


def block_launches(s):
    return sum(call[1] for part in calls(s) for call in part)


def block():
    for i, name in enumerate(["forward", "backward"]):
        rows = []
        for small, large in zip(calls(SHAPES[0])[i], calls(SHAPES[3])[i]):
            rows.append((small[0], small[1], f"{small[2] / 1e3:.0f}", large[1], f"{large[2] / 1e3:.0f}"))
        sums = [[sum(call[k] for call in calls(s)[i]) for k in (1, 2)] for s in (SHAPES[0], SHAPES[3])]
        rows.append(("**sum**", sums[0][0], f"{sums[0][1] / 1e3:.0f}", sums[1][0], f"{sums[1][1] / 1e3:.0f}"))
        table([name, "0.6b: launches", "KB a token", "8b: launches", "KB a token"], rows)


# Rates of attention and of adapters, in operations a second; a share of the bytes; adapters inside
# the products read and write nothing of their own.
Design = namedtuple("Design", "text tokens attention adapters inside activation_bytes chunk")
SIMT, MMA, WGMMA = 0.4 * F32, 0.2 * BF16, 0.35 * BF16
DESIGNS = [Design("As written, but attention in f32, `train.part_tokens` 2048", ROW, SIMT, 0.3 * F32, False, 1, CHUNK),
           Design("As written, `train.part_tokens` 2048", ROW, MMA, 0.3 * F32, False, 1, CHUNK),
           Design("As written, `train.part_tokens` 8192", 4 * ROW, MMA, 0.3 * F32, False, 1, CHUNK),
           Design("And adapters on tensor cores inside the products, activations in bf16 and fewer passes over "
                  "them (0.4 of the bytes), attention at 0.35 of the peak, chunks of the head 16 times as large",
                  4 * ROW, WGMMA, 0.3 * BF16, True, 0.4, 16 * CHUNK)]


def train_parts(s, design):
    """Seconds per token of each part of a step of rows of ROW tokens, one example each."""
    pairs = (ROW + 1) / 2
    n = block_weights(s) * s.layers
    rate = BF16 * PRODUCTS[s.c]
    adapters = 6 * RANK * sum(o + i for o, i in linears(s)) * s.layers
    chunk = max(16, min(4096, design.chunk // s.vocab))
    def streamed(kind):
        return block_bytes(s, kind) * s.layers * design.activation_bytes / BANDWIDTH / STREAMED
    return {
        # A product reads and writes while it computes.
        "products of blocks": max(4 * n / rate, streamed("products")),
        "adapters": max(adapters / design.adapters, 0 if design.inside else streamed("adapters")),
        # Scores and sums, 4; the gradient in two kernels, which both compute scores and dP, 14.
        "attention": 18 * s.h * s.d * pairs * s.layers / design.attention,
        "other activations": streamed(""),
        # Panels stay in the L2 cache.
        "reading weights": 2 * n * NF4 / design.tokens / BANDWIDTH / STREAMED,
        # Each chunk reads the head twice; logits are written, read twice and written by the loss,
        # rounded and read.
        "head and loss": max(4 * head_weights(s) / rate, 2 * 2 * head_weights(s) / chunk / BANDWIDTH / STREAMED)
                         + 24 * s.vocab / BANDWIDTH / STREAMED,
    }


def train():
    names = list(train_parts(SHAPES[0], DESIGNS[0]))
    for design in DESIGNS:
        print(design.text + ":\n")
        rows = []
        for s in SHAPES:
            parts = train_parts(s, design)
            device = sum(parts.values())
            launches = block_launches(s) * s.layers / design.tokens + 10 / max(16, design.chunk // s.vocab)
            host = launches * LAUNCH
            rate = 1 / max(device, host)
            rows.append([s.name] + [f"{1e6 * parts[n]:.2f}" for n in names] +
                        [f"{1e6 * device:.1f}", f"{1e6 * host:.1f}", f"{rate / 1e3:.0f} k", f"{s.goal / 1e3:.0f} k",
                         "yes" if rate >= s.goal else "no"])
        table(["shape, µs a token"] + names + ["device, sum", "host, launches", "tokens/s", "goal", "reached"], rows)


def decode():
    rows = []
    small, products = 13, 7  # launches of a block: of one row's worth of work, and of products
    for s, weights, each in [(SHAPES[0], "bf16", 2), (SHAPES[3], "bf16", 2), (SHAPES[3], "q4_k", 144 / 256),
                             (LARGE, "q4_k", 144 / 256)]:
        # A head in four bits is q6_k.
        head = head_weights(s) * (2 if weights == "bf16" else 210 / 256)
        read = block_weights(s) * s.layers * each + head + 2 * 2 * s.layers * s.k * s.d * 1024
        launches = s.layers * (small + products) + 8
        memory = read / BANDWIDTH
        # Instructions to decode and multiply a value (bf16: 3, q4_k: 8), beside reading it.
        values = block_weights(s) * s.layers + head_weights(s)
        reading = max(memory / 0.9, values * (3 if weights == "bf16" else 8) / (F32 / 2) / 0.8)
        device = reading + (s.layers * small + 8) * SHORTEST
        host = launches * LAUNCH
        graph = reading + (s.layers * small + 8) * 1.3e-6  # replayed: no host, closer together
        rows.append((s.name, weights, f"{read / 1e9:.2f}", launches, f"{1e3 * memory:.2f}", f"{1e3 * reading:.2f}",
                     f"{1e3 * device:.2f}",
                     f"{1e3 * host:.2f}", f"{100 * memory / max(device, host):.0f} %", f"{100 * memory / graph:.0f} %"))
    table(["shape", "weights", "GB read", "launches", "reading, ms", "products, ms", "device, ms", "host, ms",
           "of the bandwidth", "with a CUDA graph"], rows)


def memory():
    s, gib = LARGE, 2.0**30
    q, kv = s.h * s.d, s.k * s.d
    adapter = s.layers * sum(RANK * (o + i) for o, i in linears(s))
    saved = 4 * (5 * s.c + 4 * q + 5 * kv + 3 * s.f)   # of the block that is computed again
    rows = [("blocks in NF4, double-quantised", block_weights(s) * s.layers * NF4),
            ("embedding and head in bf16", 2 * 2 * head_weights(s)),
            ("adapter in f32, its gradient, AdamW's moments in f32", 16 * adapter),
            (f"inputs of {s.layers} blocks, {ROW} tokens, f32", 4 * s.c * ROW * s.layers),
            ("one block's activations", saved * ROW),
            ("its gradients at their peak", 4 * (3 * s.f + 2 * s.c) * ROW),
            ("logits of a chunk, a panel, workspaces of products", 6 * CHUNK + 2**25 + 2**26),
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
