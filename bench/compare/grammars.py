#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles MaskBench's schemas with Retort, llguidance and XGrammar, and follows each instance token by token.
Prints for each how many schemas it takes, what it accepts, and its times to compile and for each mask.

    bench/compare/grammars.py --schemas maskbench/ --tokenizer llama3_2/ [--sample 2000] [--engines retort,llguidance]

Needs the Python packages llguidance, and xgrammar with transformers. Each engine has a process of its own and one
thread; one that takes longer than --limit seconds for a schema is ended, and goes on with the next.
"""
import argparse
import collections
import json
import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--schemas", type=Path, required=True, help="folder of MaskBench's files")
    p.add_argument("--tokenizer", type=Path, required=True, help="folder with a tokenizer.json")
    p.add_argument("--sample", type=int, default=2000, help="of the files; 0 for all")
    p.add_argument("--engines", default="retort,llguidance,xgrammar")
    p.add_argument("--limit", type=float, default=60, help="seconds for a schema")
    p.add_argument("--judge", default=REPOSITORY / "build/release/retort_judge_grammar")
    p.add_argument("--worker", choices=["llguidance", "xgrammar"], help=argparse.SUPPRESS)
    return p.parse_args()


class LlGuidance:
    def __init__(self, tokenizer):
        import llguidance
        self.llguidance = llguidance
        self.tokens = llguidance.LLTokenizer(str(tokenizer / "tokenizer.json"))
        self.compiler = llguidance.JsonCompiler(whitespace_flexible=True)

    def compile(self, schema):
        matcher = self.llguidance.LLMatcher(self.tokens, self.compiler.compile(schema))
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def encode(self, text):
        return self.tokens.tokenize_str(text)

    def matcher(self, compiled):
        compiled.reset()
        return compiled

    def mask(self, matcher):
        return matcher.compute_bitmask()

    def accept(self, matcher, token):
        return matcher.consume_token(token)

    def may_end(self, matcher):
        return matcher.is_accepting()

    def token_bytes(self):
        """Of each token; b"" for marks, which are no text."""
        return [b"" if self.tokens.is_special_token(i) else self.tokens.decode_bytes([i]) for i in range(self.tokens.vocab_size)]


class XGrammar:
    def __init__(self, tokenizer):
        import transformers
        import xgrammar
        self.xgrammar = xgrammar
        self.tokens = transformers.AutoTokenizer.from_pretrained(tokenizer)
        self.info = xgrammar.TokenizerInfo.from_huggingface(self.tokens)
        self.compiler = xgrammar.GrammarCompiler(self.info, max_threads=1, cache_enabled=False)
        self.bits = xgrammar.allocate_token_bitmask(1, self.info.vocab_size)

    def compile(self, schema):
        return self.compiler.compile_json_schema(schema, any_whitespace=True, strict_mode=False)

    def encode(self, text):
        return self.tokens.encode(text, add_special_tokens=False)

    def matcher(self, compiled):
        return self.xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)

    def mask(self, matcher):
        matcher.fill_next_token_bitmask(self.bits)
        return self.bits.numpy().tobytes()

    def accept(self, matcher, token):
        return matcher.accept_token(token)

    def may_end(self, matcher):
        return matcher.is_terminated() or matcher.is_completed()

    def token_bytes(self):
        marks = self.tokens.added_tokens_decoder
        return [b"" if i in marks else token for i, token in enumerate(self.info.decoded_vocab)]


def follow(engine, compiled, tokens, times):
    """Whether every token is accepted, and the text may end there. times: of each mask, in microseconds."""
    matcher = engine.matcher(compiled)
    for i in range(len(tokens) + 1):
        begin = time.perf_counter()
        engine.mask(matcher)
        times.append((time.perf_counter() - begin) * 1e6)
        if i < len(tokens) and not engine.accept(matcher, tokens[i]):
            return False
    return engine.may_end(matcher)


def work(engine):
    """Answers the lines of retort_judge_grammar in its form."""
    for line in sys.stdin:
        line, times, answer = json.loads(line), [], {}
        begin = time.perf_counter()
        try:
            compiled = engine.compile(line["text"])
            answer["compile_us"] = (time.perf_counter() - begin) * 1e6
            answer["masked"] = [follow(engine, compiled, engine.encode(text), times) for text in line["texts"]]
            answer["mask_us"] = times
        except Exception as e:  # what a schema may be refused with differs between the libraries
            answer = {"error": str(e), "compile_us": (time.perf_counter() - begin) * 1e6}
        print(json.dumps(answer), flush=True)


class Worker:
    """A process that answers a line with a line."""

    def __init__(self, command):
        self.command, self.process = command, None

    def ask(self, line, limit):
        """None if it took too long, or ended."""
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.ask('{"text": "{}", "space": "flexible", "texts": []}', 600)  # reads its vocabulary
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self.end()
        ready = select.select([self.process.stdout], [], [], limit)[0]
        answer = self.process.stdout.readline() if ready else b""
        return json.loads(answer) if answer else self.end()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process = None


def quantiles(values):
    values = sorted(values) or [0]
    return [values[min(len(values) - 1, int(len(values) * q))] for q in (.5, .99, 1)]


def judge(name, worker, cases, limit):
    counts, compiling, masks = collections.Counter(), [], []
    for case in cases:
        texts = [json.dumps(test["data"], ensure_ascii=False) for test in case["tests"]]
        line = {"text": json.dumps(case["schema"], ensure_ascii=False), "space": "flexible", "texts": texts}
        answer = worker.ask(json.dumps(line, ensure_ascii=False), limit)
        if answer is None:
            counts["ended"] += 1
            continue
        if "error" in answer:
            counts["refused"] += 1
            continue
        compiling.append(answer["compile_us"] / 1000)
        masks += answer.get("mask_us", [])
        verdicts = [(test["valid"], accepted) for test, accepted in zip(case["tests"], answer.get("masked", []))]
        counts["wrong"] += sum(accepted and not valid for valid, accepted in verdicts)
        counts["whole"] += all(accepted or not valid for valid, accepted in verdicts)
    worker.end()
    compile_ms, mask_us = quantiles(compiling), quantiles(masks)
    print(f"{name}: {len(compiling)} of {len(cases)} compile, {counts['refused']} refused, {counts['ended']} ended; "
          f"{counts['whole']} pass all valid instances, {counts['wrong']} invalid instances accepted\n"
          f"  to compile, ms: p50 {compile_ms[0]:.2f}, p99 {compile_ms[1]:.1f}, longest {compile_ms[2]:.0f}\n"
          f"  {len(masks)} masks, µs: p50 {mask_us[0]:.1f}, p99 {mask_us[1]:.0f}, longest {mask_us[2]:.0f}", flush=True)


def main():
    a = arguments()
    if a.worker:
        return work({"llguidance": LlGuidance, "xgrammar": XGrammar}[a.worker](a.tokenizer))
    files = sorted(a.schemas.glob("*.json"))
    if a.sample:
        files = random.Random(5).sample(files, min(a.sample, len(files)))
    cases = [json.loads(path.read_text()) for path in files]
    for name in a.engines.split(","):
        command = ([a.judge, "--masks", a.tokenizer] if name == "retort" else
                   [sys.executable, __file__, "--schemas", a.schemas, "--tokenizer", a.tokenizer, "--worker", name])
        judge(name, Worker([os.fspath(part) for part in command]), cases, a.limit)


if __name__ == "__main__":
    main()
