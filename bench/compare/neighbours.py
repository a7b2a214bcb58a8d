#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what clients of `retort serve` notice of each other. Needs no packages.

    bench/compare/neighbours.py streams  RETORT MODEL    a stream's gaps, alone and beside 1 MB prompts and 3.9 MB bodies
    bench/compare/neighbours.py overload RETORT MODEL    10 x as many requests as the server takes
    bench/compare/neighbours.py stop     RETORT MODEL    SIGTERM with 32 streams under way
    bench/compare/neighbours.py slow     RETORT MODEL    300 slow clients of each kind beside normal ones

Prints one line of JSON."""
import http.client, json, os, re, signal, socket, statistics, subprocess, sys, threading, time


class Server:
    def __init__(self, retort, model, *options):
        self.process = subprocess.Popen([retort, "serve", model, "--port", "0", *options],
                                        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stderr:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        if not self.port:
            sys.exit("the server did not start")
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def post(port, body, path="/v1/completions", timeout=600):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    begin = time.monotonic()
    connection.request("POST", path, body if isinstance(body, (bytes, str)) else json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    first = time.monotonic() - begin
    return answer, first, connection


def events(answer):
    """The times at which a stream's events come, and the texts."""
    for line in answer:
        if line.startswith(b"data: "):
            yield time.monotonic(), line[6:].strip()


def gaps_of_stream(port, tokens):
    answer, first, _ = post(port, {"model": "m", "prompt": "Once upon a time", "max_tokens": tokens, "stream": True,
                                   "temperature": 1.0, "seed": 1})
    times = [t for t, text in events(answer) if text != b"[DONE]"]
    return [b - a for a, b in zip(times, times[1:])]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def streams(retort, model):
    """One stream of 200 tokens, again and again: alone, beside clients that send prompts of 1 MB, and beside clients that
    send bodies of 3.9 MB. The kinds alternate."""
    server = Server(retort, model, "--parallel", "4")
    bodies = {"prompts of 1 MB": [json.dumps({"model": "m", "prompt": "word " * 200_000, "max_tokens": 4})],
              "bodies of 3.9 MB": [json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}] * 100_000})[:3_900_000],
                                   json.dumps({"model": "m", "prompt": ["a"] * 780_000})[:3_900_000],
                                   json.dumps({"model": "m", "prompt": "[" * 3_890_000})[:3_900_000]]}
    gaps = {"alone": []} | {kind: [] for kind in bodies}
    answers = {}
    gaps_of_stream(server.port, 50)
    for _ in range(5):
        for kind in gaps:
            done = threading.Event()

            def neighbour(number):
                count = number
                while not done.is_set():
                    try:
                        answer, _, connection = post(server.port, bodies[kind][count % len(bodies[kind])])
                        answer.read()
                        answers[answer.status] = answers.get(answer.status, 0) + 1
                        connection.close()
                    except OSError:
                        answers["error"] = answers.get("error", 0) + 1
                    count += 1

            threads = [threading.Thread(target=neighbour, args=(i,)) for i in range(4 if kind != "alone" else 0)]
            for thread in threads:
                thread.start()
            gaps[kind] += gaps_of_stream(server.port, 200)
            done.set()
            for thread in threads:
                thread.join()
    result = {kind: {"p50_ms": 1e3 * percentile(g, 0.5), "p95_ms": 1e3 * percentile(g, 0.95), "max_ms": 1e3 * max(g), "gaps": len(g)}
              for kind, g in gaps.items()}
    for kind in bodies:
        result[kind]["p95_ratio"] = result[kind]["p95_ms"] / result["alone"]["p95_ms"]
    result["answers to neighbours"] = answers
    result["exit"] = server.stop()
    return result


def overload(retort, model):
    """40 requests run or wait at most; 400 come at once, some of them as streams."""
    server = Server(retort, model, "--parallel", "8", "--queue", "32")
    refused, accepted, lost, lock = [], 0, 0, threading.Lock()
    barrier = threading.Barrier(400)

    def client(number):
        nonlocal accepted, lost
        stream = number % 2 == 0
        body = json.dumps({"model": "m", "prompt": f"Number {number}", "max_tokens": 16, "ignore_eos": False, "stream": stream})
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        connection.connect()
        barrier.wait()
        begin = time.monotonic()
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        first = time.monotonic() - begin
        text = answer.read()
        with lock:
            if answer.status == 429:
                refused.append((first, answer.getheader("Retry-After")))
            elif answer.status == 200 and (b"[DONE]" in text if stream else json.loads(text)["choices"]):
                accepted += 1
            else:
                lost += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [t for t, _ in refused]
    return {"accepted": accepted, "refused": len(refused), "lost": lost,
            "all with Retry-After": all(after for _, after in refused),
            "429_p50_ms": 1e3 * statistics.median(times), "429_p95_ms": 1e3 * percentile(times, 0.95),
            "429_max_ms": 1e3 * max(times), "exit": server.stop()}


def stop(retort, model):
    server = Server(retort, model, "--parallel", "32")
    ends = []
    started = threading.Barrier(33)

    def client(number):
        answer, _, _ = post(server.port, {"model": "m", "prompt": f"Tale {number}", "max_tokens": 4000, "stream": True})
        last = b""
        for count, (_, text) in enumerate(events(answer)):
            last = text
            if count == 1:
                started.wait()
        ends.append(last)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    started.wait()
    begin = time.monotonic()
    code = server.stop()
    seconds = time.monotonic() - begin
    for thread in threads:
        thread.join()
    kinds = {}
    for end in ends:
        kind = "[DONE]" if end == b"[DONE]" else "error event" if b'"error"' in end else "cut"
        kinds[kind] = kinds.get(kind, 0) + 1
    return {"exit": code, "seconds": seconds, "ends": kinds}


def slow(retort, model):
    server = Server(retort, model, "--parallel", "4")
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    kinds = {"says nothing": lambda s, i: None,
             "header by the byte": lambda s, i: s.send(head[i % len(head):i % len(head) + 1]),
             "body by the byte": lambda s, i: s.send(head + b"\r\n" if i == 0 else b" "),
             "reads nothing": lambda s, i: i == 0 and s.send(
                 b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 69\r\n\r\n"
                 b'{"model":"m","prompt":"A tale of","max_tokens":2000,"stream":true}   ')}
    result = {}
    for kind, act in kinds.items():
        sockets = []
        for _ in range(300):
            s = socket.create_connection(("127.0.0.1", server.port))
            s.setblocking(True)
            if kind == "reads nothing":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sockets.append(s)
        served = asked = 0
        times = []
        for turn in range(20):
            for s in sockets:
                try:
                    act(s, turn)
                except OSError:
                    pass
            begin = time.monotonic()
            asked += 1
            try:
                answer, _, connection = post(server.port, {"model": "m", "prompt": "Hello", "max_tokens": 2}, timeout=120)
                answer.read()
                served += answer.status == 200 or (kind == "reads nothing" and answer.status == 429)
                connection.close()
            except OSError:
                pass
            times.append(time.monotonic() - begin)
        result[kind] = {"asked": asked, "served": served, "p95_ms": 1e3 * percentile(times, 0.95)}
        for s in sockets:
            s.close()
    result["exit"] = server.stop()
    return result


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("streams", "overload", "stop", "slow"):
        sys.exit(__doc__)
    print(json.dumps(globals()[sys.argv[1]](os.path.abspath(sys.argv[2]), sys.argv[3]), indent=1))
