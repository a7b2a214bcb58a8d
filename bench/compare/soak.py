#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py RETORT MODEL [--requests N] [--clients N]: many short requests of mixed kinds to one `retort serve`. Prints the
server's resident memory and open descriptors along the way, idle, and whether its counters are what the clients counted.
Fails unless memory stays within 2 % after a tenth of the requests, descriptors are constant, and all counters are equal."""
import argparse
import collections
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
BROKEN_TOKENS = 200  # of an answer whose client leaves; its prompt has fewer
WORDS = "once upon a time there was a little girl who liked to play in the park with her dog".split()


def text(draw):
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 30)))


# Each makes (endpoint's name, path, body).
def chat(draw):
    more = draw.choice([{}, {"stream": True, "stream_options": {"include_usage": True}}, {"n": 2}, {"logprobs": True, "top_logprobs": 2},
                        {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}}])
    return "chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": text(draw)}], "max_tokens": draw.randint(1, 12),
                                            "temperature": draw.choice([0, 1]), **more}


def completion(draw):
    more = draw.choice([{}, {"stream": True, "stream_options": {"include_usage": True}}, {"echo": True}, {"stop": ["e"]}, {"best_of": 2}])
    return "completions", "/v1/completions", {"prompt": text(draw), "max_tokens": draw.randint(1, 12), **more}


def embeddings(draw):
    return "embeddings", "/v1/embeddings", {"input": [text(draw), text(draw)]}


def tokens(draw):
    return "tokenize", "/tokenize", {"content": text(draw)}


def refused(draw):
    return "chat", "/v1/chat/completions", draw.choice([{"messages": []}, {"messages": [{"role": "user", "content": "a"}], "colour": 1}])


def models(_):
    return "models", "/v1/models", None


def broken_off(draw):
    body = {"prompt": text(draw), "max_tokens": BROKEN_TOKENS, "stream": True, "ignore_eos": True}
    return "broken off", "/v1/completions", body


def llama_cpp(draw):
    more = draw.choice([{}, {"stream": True}, {"n_probs": 2}, {"response_fields": ["content", "tokens_evaluated", "tokens_predicted"]}])
    return "completion", "/completion", {"prompt": text(draw), "n_predict": draw.randint(1, 12), **more}


def messages(draw):
    return "messages", "/v1/messages", {"messages": [{"role": "user", "content": text(draw)}], "max_tokens": draw.randint(1, 12)}


def responses(draw):
    return "responses", "/v1/responses", {"input": text(draw), "max_output_tokens": draw.randint(1, 12)}


def slots(_):
    return "slots", "/slots", None


KINDS = [chat] * 6 + [completion] * 5 + [llama_cpp] * 2 + [messages, responses, slots, embeddings, tokens, refused, models, broken_off]


def usage_of(name, reply, streamed):
    """Tokens of the prompt and of the answer."""
    if streamed:
        told = [json.loads(line[6:]) for line in reply.decode().splitlines() if line.startswith("data: {")][-1]
    else:
        told = json.loads(reply)
    if name == "completion":
        return told["tokens_evaluated"], told["tokens_predicted"]
    usage = (told.get("usage") if isinstance(told, dict) else None) or {}
    if name == "messages":
        return usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"]
    prompt, answer = ("input_tokens", "output_tokens") if name == "responses" else ("prompt_tokens", "completion_tokens")
    return usage.get(prompt, 0), usage.get(answer, 0)


class Client(threading.Thread):
    def __init__(self, port, numbers, seed):
        super().__init__()
        self.port, self.numbers, self.draw = port, numbers, random.Random(seed)
        self.told, self.broken, self.faults = collections.Counter(), 0, []
        self.connection = None

    def run(self):
        for _ in self.numbers:
            try:
                self.ask(*self.draw.choice(KINDS)(self.draw))
            except Exception as fault:
                self.faults.append(f"{type(fault).__name__}: {fault}")
                self.connection = None
        self.close()

    def ask(self, name, path, body):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        data = None if body is None else json.dumps(body)
        self.connection.request("GET" if body is None else "POST", path, data, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        if name == "broken off":
            answer.read(1)
            answer.close()
            self.close()
            self.broken += 1
            return
        reply = answer.read()
        self.told[name, answer.status] += 1
        if answer.status == 200:
            prompt, answer = usage_of(name, reply, bool(body and body.get("stream")))
            self.told["prompt"] += prompt
            self.told["generation"] += answer
        if self.draw.random() < 0.05:
            self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Watched:
    """The server, seen from outside."""

    def __init__(self, retort, model):
        self.process = subprocess.Popen([retort, "serve", model, "--port", "0", "--template", "llama2", "--parallel", "8"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("GET", path)
        reply = connection.getresponse().read().decode()
        connection.close()
        return reply

    def idle(self):
        """Resident KiB and descriptors when nothing is asked."""
        while any(json.loads(self.get("/health"))[what] for what in ("running", "queued")):
            time.sleep(0.05)
        descriptors = []
        for _ in range(5):  # a connection that has ended may not have been closed yet
            time.sleep(0.2)
            descriptors.append(len(os.listdir(f"/proc/{self.process.pid}/fd")))
        with open(f"/proc/{self.process.pid}/status") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return rss, min(descriptors)

    def counters(self):
        lines = (line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}


def differences(told, broken, counters):
    """What the server counted otherwise."""
    def request(name, status):
        return counters.get(f'retort_requests_total{{endpoint="{name}",status="{status}"}}', 0)
    expected = {key: value for key, value in told.items() if isinstance(key, tuple)}
    out = [f"{name} {status}: {request(name, status):g}, clients {value}" for (name, status), value in expected.items()
           if (name, status) != ("completions", 200) and request(name, status) != value]
    # A stream may have ended before its client left.
    streams = request("completions", 200) + request("completions", 499)
    if streams != expected[("completions", 200)] + broken:
        out.append(f"completions 200 and 499: {streams:g}, clients {expected[('completions', 200)]} and {broken} broken off")
    ended = request("completions", 200) - expected[("completions", 200)]
    if ended:
        print(f"{ended:g} streams had ended before they were broken off: their tokens are the server's alone")
    for what in ("prompt", "generation"):
        if not 0 <= counters[f"retort_{what}_tokens_total"] - told[what] <= ended * BROKEN_TOKENS:
            out.append(f"{what} tokens: {counters[f'retort_{what}_tokens_total']:g}, clients {told[what]}")
    return out


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("retort")
    flags.add_argument("model")
    flags.add_argument("--requests", type=int, default=50000)
    flags.add_argument("--clients", type=int, default=8)
    flags.add_argument("--seconds", type=float, default=1e9, help="end early, after so many")
    flags = flags.parse_args()
    server = Watched(flags.retort, flags.model)
    try:
        told, broken, faults, seen, done = collections.Counter(), 0, [], [], 0
        begun = time.monotonic()
        for part in range(10):
            numbers = iter(range(flags.requests // 10))
            clients = [Client(server.port, numbers, f"{part} {i}") for i in range(flags.clients)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
                told.update(client.told)
                broken += client.broken
                faults += client.faults
            done += flags.requests // 10
            seen.append(server.idle())
            print(f"{done} requests, {time.monotonic() - begun:.0f} s: {seen[-1][0]} KiB, {seen[-1][1]} descriptors", flush=True)
            if time.monotonic() - begun > flags.seconds:
                break
        different = differences(told, broken, server.counters())
    finally:
        server.process.terminate()
        server.process.wait()
    growth = max(rss for rss, _ in seen) / seen[0][0] - 1
    descriptors = len({fds for _, fds in seen}) == 1
    print(f"memory after the first tenth: at most {growth:+.2%}; descriptors {'constant' if descriptors else 'differ'}; "
          f"{broken} broken off; counters {'equal' if not different else different}; faults {len(faults)} {faults[:3]}")
    sys.exit(bool(growth > 0.02 or not descriptors or different or faults))


main()
