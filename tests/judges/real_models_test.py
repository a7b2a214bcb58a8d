# SPDX-License-Identifier: Apache-2.0
"""Trained models, in the folder that RETORT_REAL_MODELS names (docs/lab/2026-11-real-models.md says how they are had):
perplexity beside llama.cpp's from the same file, greedy tokens beside llama.cpp's and transformers', tool calls.

RETORT_REAL_LONG=1 takes 20,000 tokens and ten prompts of each model instead of 4,096 and three of the smallest;
RETORT_REAL_ONLY names those of the models that are taken."""
import json
import math
import os
import subprocess
import unicodedata
import urllib.request
from pathlib import Path

from greedy import llama_choices, llama_program, load_transformers, same_choices, transformers_choices
from support import BUILD, Checks, need, our_ids, retort, skip, stage

WINDOW = 512
TOKENS = 64
LONG = os.environ.get("RETORT_REAL_LONG") == "1"
MODELS = ("smollm2-135m-instruct", "gemma-3-270m", "qwen2.5-coder-0.5b-instruct")
PROMPTS = ["The capital of France is", "Once upon a time, in a small village,", "def fibonacci(n):\n    ",
           "Water boils at a temperature of", "The three primary colours are", "In 1969, astronauts",
           "To make a good cup of tea, first", "SELECT name FROM users WHERE", "La Révolution française a commencé en",
           "Question: What is 12 * 7?\nAnswer:"]
CALLERS = ("qwen2.5-coder-0.5b-instruct",)
# Without it, this model answers a result with another call.
SYSTEM = "You are a helpful assistant. After a tool has answered, tell the user its result in one sentence."
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The current weather of a city", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "The city's name"}}, "required": ["city"]}}}]


def check_ids(name, gguf, llama, checks):
    """llama.cpp never brings a text into the form NFC; these are."""
    texts = [line for source in ("wikitext-2/test.txt", "gsm8k/test.jsonl", "banking77/test.jsonl")
             for line in need(f"real/datasets/{source}").read_text(encoding="utf-8").split("\n")[:400] if line]
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    theirs = [[int(i) for i in line.split()] for line in llama("ids", gguf, texts)]
    differing = [text for text, a, b in zip(texts, our_ids(gguf, texts), theirs, strict=True) if a != b]
    checks.that(f"{name}: ids of {len(texts)} texts, llama.cpp", not differing, differing[:2])


def check_perplexity(name, gguf, llama, place, checks):
    count = 20_000 if LONG else 4096
    text = need("real/datasets/wikitext-2/test.txt").read_text(encoding="utf-8")[:count * 8]
    ids = our_ids(gguf, [text])[0][:count]
    bos = first_id(gguf)
    windows = [ids[i:i + WINDOW] for i in range(0, count - WINDOW + 1, WINDOW)]
    if bos is not None:
        windows = [[bos, *w[1:]] for w in windows]
    half = WINDOW // 2
    rows = place / "rows.jsonl"
    rows.write_text("".join(json.dumps({"input_ids": w, "labels": [-100] * (half + 1) + w[half + 1:]}) + "\n" for w in windows))
    ours = json.loads(retort("eval", gguf, "--data", rows, "--format", "tokens", "--metric", "loss", "--max-tokens", WINDOW,
                             "--compute", "f32", "--json"))
    total, scored = map(float, llama("loss", gguf, windows)[0].split())
    mine, theirs = math.exp(ours["value"]), math.exp(total / scored)
    checks.that(f"{name}: as many tokens are scored", ours["tokens"] == scored, (ours, scored))
    print(f"       {name}: perplexity {mine:.5f}, llama.cpp {theirs:.5f}, of {int(scored)} tokens", flush=True)
    checks.below(f"{name}: perplexity against llama.cpp, relative", abs(mine / theirs - 1), 5e-3)


def first_id(gguf):
    """BOS, if the model's files want it before a text."""
    begun = json.loads(retort("tokenize", gguf, "--text", "a", "--json"))
    plain = our_ids(gguf, ["a"])[0]
    return begun["ids"][0] if len(begun["ids"]) > len(plain) else None


def check_greedy(name, folder, gguf, llama, checks):
    bos, model = first_id(gguf), load_transformers(folder)
    for prompt in PROMPTS if LONG else PROMPTS[:3]:
        ids = ([bos] if bos is not None else []) + our_ids(gguf, [prompt])[0]
        ours = json.loads(retort("run", gguf, "--prompt", prompt, "--max-tokens", TOKENS, "--compute", "f32", "--kv", "f32",
                                 "--json", "--quiet"))
        if ours["finish_reason"] not in ("length", "stop"):
            checks.that(f"{name}, {prompt!r}: finishes", False, ours["finish_reason"])
        choices, largest = transformers_choices(model, ids, ours["ids"])
        same_choices(f"{name}, {prompt!r}, transformers", ours["ids"], choices, largest, checks)
        same_choices(f"{name}, {prompt!r}, llama.cpp", ours["ids"], llama_choices(llama, gguf, ids, ours["ids"]), largest, checks)


class Server:
    def __init__(self, model):
        self.process = subprocess.Popen([BUILD / "retort", "serve", model, "--port", "0"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1] + "/v1/chat/completions"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def ask(self, messages, **more):
        body = json.dumps({"messages": messages, "temperature": 0, "max_tokens": 100, **more}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["choices"][0]


def check_tools(name, gguf, checks):
    """A call, its result, an answer that uses it."""
    with Server(gguf) as server:
        for city, degrees, sky in (("Paris", "18", "light rain"), ("Oslo", "-3", "heavy snow")):
            messages = [{"role": "system", "content": SYSTEM},
                        {"role": "user", "content": f"What is the weather like in {city} right now?"}]
            # Left to choose, this model writes the call without the marks that its template tells it to write: text.
            first = server.ask(messages, tools=TOOLS, tool_choice="required")
            calls = first["message"].get("tool_calls") or []
            good = (first["finish_reason"] == "tool_calls" and len(calls) == 1 and
                    calls[0]["function"]["name"] == "get_weather" and
                    city in json.loads(calls[0]["function"]["arguments"]).get("city", ""))
            checks.that(f"{name}: asked for {city}'s weather, it calls the tool", good, first)
            if not good:
                continue
            messages += [{"role": "assistant", "content": None, "tool_calls": calls},
                         {"role": "tool", "tool_call_id": calls[0]["id"], "content": f"{degrees} degrees, {sky}"}]
            last = server.ask(messages, tools=TOOLS, tool_choice="none")  # else it calls once more, whatever was told
            print(f"       {name}: {last['message']['content']!r}")
            said = last["message"]["content"] or ""
            checks.that(f"{name}: it tells of the result", degrees in said and sky in said, last)


def main():
    given = os.environ.get("RETORT_REAL_MODELS")
    if not given:
        skip("needs RETORT_REAL_MODELS, a folder with real models (docs/lab/2026-11-real-models.md)")
    wanted = os.environ.get("RETORT_REAL_ONLY", " ".join(MODELS)).split()
    chosen = [m for m in wanted if (Path(given) / m).exists()]
    if not chosen:
        skip(f"none of {', '.join(wanted)} is in {given}")
    place, checks = stage(), Checks()
    llama = llama_program(place)
    for name in chosen if LONG else chosen[:1]:
        folder = Path(given) / name
        whole, small = place / "f32.gguf", place / "q8_0.gguf"
        retort("export", folder, "--out", small, "--type", "q8_0")
        check_ids(name, small, llama, checks)
        check_perplexity(f"{name}, q8_0", small, llama, place, checks)
        retort("export", folder, "--out", whole, "--type", "f32")
        check_greedy(name, folder, whole, llama, checks)
        if name in CALLERS:
            check_tools(name, small, checks)
    checks.finish()


main()
