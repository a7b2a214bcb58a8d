# SPDX-License-Identifier: Apache-2.0
"""Compares Mistral's sliding window with a forward pass in double."""
import numpy as np
import torch

from double_model import DoubleModel
from support import Checks, make_folder, need, our_logits, retort, stage


def forward(folder, ids, window):
    """Logits [T,V]; a token sees itself and the window - 1 tokens before it."""
    model = DoubleModel(folder)
    model.window = window
    with torch.no_grad():
        return model.logits(ids).numpy()


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
