#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what clients of `retort serve` notice of each other. Standard library only.

    bench/compare/neighbours.py streams  RETORT MODEL   a stream's gaps, alone and beside 1 MB prompts and 3.9 MB bodies
    bench/compare/neighbours.py overload RETORT MODEL   ten times as many requests as the server takes
    bench/compare/neighbours.py stop     RETORT MODEL   SIGTERM while 32 streams are under way
    bench/compare/neighbours.py slow     RETORT MODEL   300 slow clients of each kind beside a normal one

Prints JSON."""
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time


class Server:
    def __init__(self, retort, model, *options):
        self.process = subprocess.Popen([retort, "serve", model, "--port", "0", *options],
                                        stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found.group(1))
                return
        sys.exit(f"{retort} serve {model} did not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


class Exchange:
    """One request; `first` is the time from its last byte to the answer's head."""

    def __init__(self, port, body, path="/v1/completions", method="POST"):
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.connection.connect()
        begin = time.monotonic()
        self.connection.request(method, path, body, {"Content-Type": "application/json"})
        self.answer = self.connection.getresponse()
        self.first = time.monotonic() - begin
        self.status = self.answer.status

    def events(self):
        """The times at which a stream's events come, and their texts."""
        for line in self.answer:
            if line.startswith(b"data: "):
                yield time.monotonic(), line[6:].strip()

    def rest(self):
        try:
            return self.answer.read()
        finally:
            self.connection.close()


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def milliseconds(values):
    return {"p50_ms": round(1e3 * percentile(values, 0.5), 2), "p95_ms": round(1e3 * percentile(values, 0.95), 2),
            "max_ms": round(1e3 * max(values), 2), "count": len(values)}


def at_once(count, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    return threads


def gaps_of_stream(port):
    exchange = Exchange(port, {"prompt": "Once upon a time", "max_tokens": 200, "stream": True,
                               "temperature": 1.0, "seed": 1})
    times = [t for t, text in exchange.events() if text != b"[DONE]"]
    return [b - a for a, b in zip(times, times[1:])]


def streams(retort, model):
    """One stream of 200 tokens, again and again, beside four neighbours of each kind. The kinds alternate."""
    server = Server(retort, model, "--parallel", "4")
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 45_000
    bodies = {"1 MB prompts": [json.dumps({"prompt": "word " * 200_000, "max_tokens": 4})],
              "3.9 MB bodies": [json.dumps({"messages": turns + turns[:1]}),
                                json.dumps({"prompt": ["a"] * 640_000}),
                                json.dumps({"prompt": "[" * 3_890_000})]}
    gaps = {"alone": []} | {kind: [] for kind in bodies}
    answers = {kind: {} for kind in bodies}
    gaps_of_stream(server.port)
    for _ in range(5):
        for kind in gaps:
            done = threading.Event()

            def neighbour(number):
                count = number
                while not done.is_set():
                    try:
                        exchange = Exchange(server.port, bodies[kind][count % len(bodies[kind])])
                        exchange.rest()
                        outcome = str(exchange.status)
                    except OSError as error:
                        outcome = type(error).__name__
                    answers[kind][outcome] = answers[kind].get(outcome, 0) + 1
                    count += 1

            threads = at_once(4 if kind in bodies else 0, neighbour)
            gaps[kind] += gaps_of_stream(server.port)
            done.set()
            for thread in threads:
                thread.join()
    result = {kind: milliseconds(values) for kind, values in gaps.items()}
    for kind in bodies:
        result[kind] |= {"p95_ratio": round(result[kind]["p95_ms"] / result["alone"]["p95_ms"], 2),
                         "answers": answers[kind]}
    return result | {"exit": server.stop()}


def overload(retort, model):
    """40 requests at most run or wait. While they do, 400 more come from 8 clients."""
    server = Server(retort, model, "--parallel", "8", "--queue", "32")
    accepted, refused, other, lock = [], [], [], threading.Lock()

    def taken(number):
        stream = number % 2 == 0
        exchange = Exchange(server.port, {"prompt": f"Number {number}", "max_tokens": 200, "stream": stream})
        text = exchange.rest()
        whole = b"[DONE]" in text if stream else b'"finish_reason"' in text
        with lock:
            (accepted if exchange.status == 200 and whole else other).append(exchange.status)

    def turned_away(number):
        for _ in range(50):
            exchange = Exchange(server.port, {"prompt": "One more", "max_tokens": 200})
            exchange.rest()
            with lock:
                if exchange.status == 429 and exchange.answer.getheader("Retry-After"):
                    refused.append(exchange.first)
                else:
                    other.append(exchange.status)

    first = at_once(40, taken)
    while json.loads(Exchange(server.port, b"", "/health", "GET").rest())["queued"] != 32:
        time.sleep(0.01)
    for thread in at_once(8, turned_away) + first:
        thread.join()
    return {"accepted and ended": len(accepted), "refused": milliseconds(refused), "anything else": other,
            "exit": server.stop()}


def stop(retort, model):
    server = Server(retort, model, "--parallel", "32")
    ends, started = {}, threading.Barrier(33)

    def client(number):
        exchange = Exchange(server.port, {"prompt": f"Tale {number}", "max_tokens": 4000, "stream": True})
        last = b""
        for count, (_, text) in enumerate(exchange.events()):
            last = text
            if count == 1:
                started.wait()
        kind = "[DONE]" if last == b"[DONE]" else "an error's event" if b'"error"' in last else "cut off"
        ends[kind] = ends.get(kind, 0) + 1

    threads = at_once(32, client)
    started.wait()
    begin = time.monotonic()
    code = server.stop()
    seconds = time.monotonic() - begin
    for thread in threads:
        thread.join()
    return {"exit": code, "seconds": round(seconds, 2), "streams end with": ends}


def slow(retort, model):
    """300 clients of one kind at a time; a normal client asks twice a second for 20 seconds."""
    head = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n")
    read = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
    kinds = {"idle": lambda turn: b"",
             "a header by the byte": lambda turn: head[turn:turn + 1],
             "a body by the byte": lambda turn: head + b"\r\n" if turn == 0 else b" ",
             "answers never read": lambda turn: read}
    result = {}
    for kind, piece in kinds.items():
        server = Server(retort, model, "--parallel", "4")
        sockets = []
        for _ in range(300):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(("127.0.0.1", server.port))
            s.setblocking(False)
            sockets.append(s)
        outcomes, times = {}, []
        for turn in range(40):
            for s in sockets:
                try:
                    s.send(piece(turn))
                except OSError:
                    pass
            begin = time.monotonic()
            try:
                exchange = Exchange(server.port, {"prompt": "Hello", "max_tokens": 2})
                exchange.rest()
                outcome = str(exchange.status)
            except OSError as error:
                outcome = type(error).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            times.append(time.monotonic() - begin)
            time.sleep(max(0, 0.5 - times[-1]))
        result[kind] = {"answers to the normal client": outcomes} | milliseconds(times)
        for s in sockets:
            s.close()
        result[kind]["exit"] = server.stop()
    return result


WORKS = {"streams": streams, "overload": overload, "stop": stop, "slow": slow}

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in WORKS:
        sys.exit(__doc__)
    print(json.dumps(WORKS[sys.argv[1]](sys.argv[2], sys.argv[3]), indent=1))
