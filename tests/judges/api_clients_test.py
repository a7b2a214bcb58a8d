# SPDX-License-Identifier: Apache-2.0
"""One server, asked through the official Python clients of the APIs that it speaks: openai (chats, completions, responses,
embeddings), anthropic and ollama, whole and streamed. All must get the same answer, and the server's counters must be the
sums of what they were told. Embeddings and log-probabilities are compared with transformers."""
import base64
import json
import struct
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
from support import BUILD, Checks, retort, skip, stage

PROMPT = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": PROMPT}]
TOKENS = 24
missing = []  # clients' packages


class Server:
    def __init__(self, model, *more):
        self.process = subprocess.Popen([BUILD / "retort", "serve", model, "--port", "0", "--name", "one", "--template", "llama2",
                                         *more], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.told = {"requests": 0, "prompt": 0, "generation": 0}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def count(self, prompt, generation=0):
        self.told["requests"] += 1
        self.told["prompt"] += prompt
        self.told["generation"] += generation

    def get(self, path, body=None):
        request = urllib.request.Request(self.url + path, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        return urllib.request.urlopen(request).read().decode()


def imported(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"note: the Python package {name} is not there (scripts/judges); its API is not asked")
        missing.append(name)
        return None


def ask_openai(openai, server, checks):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    whole = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=TOKENS, logprobs=True, top_logprobs=2)
    text = whole.choices[0].message.content
    server.count(whole.usage.prompt_tokens, whole.usage.completion_tokens)
    checks.that("openai: request id", bool(whole._request_id))
    checks.that("openai: a log-probability for each token", len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens)
    streamed, usage = "", None
    for chunk in client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=TOKENS, stream=True,
                                                stream_options={"include_usage": True}):
        streamed += chunk.choices[0].delta.content or "" if chunk.choices else ""
        usage = chunk.usage or usage
    server.count(usage.prompt_tokens, usage.completion_tokens)
    checks.that("openai: chat streamed as whole", streamed == text)

    response = client.responses.create(model="one", input=PROMPT, max_output_tokens=TOKENS)
    server.count(response.usage.input_tokens, response.usage.output_tokens)
    checks.that("openai: response", response.output_text == text)
    with client.responses.stream(model="one", input=PROMPT, max_output_tokens=TOKENS) as stream:
        events = list(stream)
    said, final = "".join(e.delta for e in events if e.type == "response.output_text.delta"), events[-1].response
    server.count(final.usage.input_tokens, final.usage.output_tokens)
    checks.that("openai: response streamed", said == text and final.output_text == text)

    several = client.completions.create(model="one", prompt=["Once", "upon"], max_tokens=4, n=2, temperature=1, logprobs=1)
    server.count(several.usage.prompt_tokens, several.usage.completion_tokens)
    checks.that("openai: two prompts, two answers each", [c.index for c in several.choices] == [0, 1, 2, 3])
    begun = client.chat.completions.create(model="one", messages=[*MESSAGES, {"role": "assistant", "content": text[:5]}],
                                           max_tokens=2)
    server.count(begun.usage.prompt_tokens, begun.usage.completion_tokens)
    try:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        checks.that("openai: unknown model", False)
    except openai.NotFoundError as e:
        checks.that("openai: unknown model", e.code == "model_not_found")
    return text


def ask_anthropic(anthropic, server, checks, text):
    client = anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)
    whole = client.messages.create(model="one", max_tokens=TOKENS, messages=MESSAGES)
    server.count(whole.usage.input_tokens + whole.usage.cache_read_input_tokens, whole.usage.output_tokens)
    checks.that("anthropic: message", whole.content[0].text == text)
    with client.messages.stream(model="one", max_tokens=TOKENS, messages=MESSAGES) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    server.count(final.usage.input_tokens + final.usage.cache_read_input_tokens, final.usage.output_tokens)
    checks.that("anthropic: message streamed", streamed == text and final.stop_reason == whole.stop_reason)
    counted = client.messages.count_tokens(model="one", messages=MESSAGES).input_tokens
    checks.that("anthropic: counted tokens", counted == whole.usage.input_tokens + whole.usage.cache_read_input_tokens)
    stopped = client.messages.create(model="one", max_tokens=TOKENS, messages=MESSAGES, stop_sequences=[text[4:7]])
    server.count(stopped.usage.input_tokens + stopped.usage.cache_read_input_tokens, stopped.usage.output_tokens)
    checks.that("anthropic: stop sequence", stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == text[4:7])
    try:
        client.messages.create(model="claude", max_tokens=1, messages=MESSAGES)
        checks.that("anthropic: unknown model", False)
    except anthropic.NotFoundError as e:
        checks.that("anthropic: unknown model", e.body["error"]["type"] == "not_found_error")


def ask_ollama(ollama, server, checks, text):
    client = ollama.Client(host=server.url)
    options = {"num_predict": TOKENS, "temperature": 0}
    whole = client.chat(model="one", messages=MESSAGES, options=options)
    server.count(whole.prompt_eval_count, whole.eval_count)
    checks.that("ollama: chat", whole.message.content == text and whole.done_reason in ("stop", "length"))
    parts = list(client.chat(model="one:latest", messages=MESSAGES, options=options, stream=True))
    server.count(parts[-1].prompt_eval_count, parts[-1].eval_count)
    checks.that("ollama: chat streamed", "".join(p.message.content for p in parts) == text and parts[-1].done)
    generated = client.generate(model="one", prompt=PROMPT, options=options)
    server.count(generated.prompt_eval_count, generated.eval_count)
    checks.that("ollama: generate", generated.response == text)
    raw = list(client.generate(model="one", prompt="Once", raw=True, options=options, stream=True))
    server.count(raw[-1].prompt_eval_count, raw[-1].eval_count)
    checks.that("ollama: list and show", client.list().models[0].model == "one" and "completion" in client.show("one").capabilities)
    try:
        client.chat(model="none", messages=MESSAGES)
        checks.that("ollama: unknown model", False)
    except ollama.ResponseError as e:
        checks.that("ollama: unknown model", e.status_code == 404)


def compare_with_transformers(server, folder, checks):
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    texts = ["Once upon a time", "a"]
    for pooling in ("mean", "last"):
        answer = json.loads(server.get("/v1/embeddings", {"input": texts, "pooling": pooling, "encoding_format": "base64"}))
        server.count(answer["usage"]["prompt_tokens"])
        for text, one in zip(texts, answer["data"]):
            got = np.array(struct.unpack(f"<{model.config.hidden_size}f", base64.b64decode(one["embedding"])))
            ids = json.loads(server.get("/tokenize", {"prompt": text}))["tokens"]
            with torch.no_grad():
                hidden = model.model(torch.tensor([ids])).last_hidden_state[0].numpy()
            expected = hidden.mean(0) if pooling == "mean" else hidden[-1]
            error = np.abs(got - expected / np.linalg.norm(expected)).max()
            checks.that(f"embedding of {text!r}, {pooling}", error < 1e-5, f"{error:.1e}")
    scored = json.loads(server.get("/v1/completions", {"prompt": texts[0], "max_tokens": 0, "echo": True, "logprobs": 1}))
    server.count(scored["usage"]["prompt_tokens"])
    ids = json.loads(server.get("/tokenize", {"prompt": texts[0]}))["tokens"]
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
    expected = [logprobs[i, ids[i + 1]].item() for i in range(len(ids) - 1)]
    error = np.abs(np.array(scored["choices"][0]["logprobs"]["token_logprobs"][1:]) - expected).max()
    checks.that("log-probabilities of a prompt", error < 1e-4, f"{error:.1e}")


def counters(text):
    totals = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        totals[name] = float(value)
    return totals


place, checks = stage(), Checks()
retort("tokenizer", "train", "--data", Path(__file__).parents[2] / "LICENSE", "--vocab", "512", "--kind", "sentencepiece", "--out", place / "tokenizer")
retort("init", "--shape", "2,64,4,2,160,512", "--positions", "512", "--tokenizer", place / "tokenizer", "--out", place / "model", "--seed", "3")
with Server(place / "model", "--compute", "f32") as server:
    openai, anthropic, ollama = map(imported, ("openai", "anthropic", "ollama"))
    answer = json.loads(server.get("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": TOKENS}))
    server.count(answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"])
    text = answer["choices"][0]["message"]["content"]
    if openai:
        checks.that("openai: the same answer", ask_openai(openai, server, checks) == text)
    if anthropic:
        ask_anthropic(anthropic, server, checks, text)
    if ollama:
        ask_ollama(ollama, server, checks, text)
    compare_with_transformers(server, place / "model", checks)
    totals = counters(server.get("/metrics"))
    engine = ("chat", "completions", "responses", "embeddings", "messages", "generate", "ollama_chat")
    answered = sum(totals.get(f'retort_requests_total{{endpoint="{name}",status="200"}}', 0) for name in engine)
    for what, got in (("requests", answered), ("prompt", totals["retort_prompt_tokens_total"]),
                      ("generation", totals["retort_generation_tokens_total"])):
        checks.that(f"metrics: {what}", got == server.told[what], f"{got:g} and {server.told[what]}")
if missing and not checks.failed:
    skip(f"all else passed, but the packages {', '.join(missing)} are not there (scripts/judges)")
checks.finish()
