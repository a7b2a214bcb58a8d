#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares decoding with and without guesses, alternating, on servers of the same model.

    bench/compare/drafts.py MODEL --draft ngram [--draft SMALLER_MODEL] [--temperature 0,0.8]

The tasks range from a text that is to be repeated to a story that is to be made up. Prints, for each
way to guess and each task, the ratio of tokens/s, median (least..most), and that of the processor
time of a whole request, which other programs disturb less; how many guesses came true; and whether
the answers were the same. The first pair of requests is not counted.
"""
import argparse
import json
import os
import subprocess
import urllib.request

import pairs

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT = """On 14 March 2019 the harbour board of Lindholm approved the plan of the engineer Maria Ostrander to widen \
the northern channel by twelve metres. The works began on 2 May 2020 and cost 4,310,000 crowns, of which the county of \
Vastmark paid a third. Captain Elias Brandt of the pilot station wrote that ships of 180 metres could now pass in any \
wind below force seven. The channel was opened again on 30 September 2021, eleven days before the date that had been \
agreed upon."""
CODE = """def f(items, tax_rate, discount):
    subtotal = 0
    for item in items:
        subtotal += item.price * item.quantity
    subtotal -= subtotal * discount
    return subtotal + subtotal * tax_rate
"""
TASKS = {
    "repeat": f"Repeat the following text word for word:\n\n{REPORT}",
    "extract": f"List every date in this text, and quote the sentence that it stands in:\n\n{REPORT}",
    "edit": f"Rewrite this function with the name total_price instead of f, and say nothing else:\n\n{CODE}",
    "story": "Write a short story about a lighthouse keeper who finds a letter.",
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--draft", action="append", required=True, help="as retort serve takes it")
    p.add_argument("--retort", default=os.path.join(REPOSITORY, "build/release/retort"))
    p.add_argument("--temperature", default="0", help="one or more, with commas between them")
    p.add_argument("--tasks", default=",".join(TASKS))
    p.add_argument("--gen", type=int, default=120, help="tokens of an answer")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--flags", default="", help="more flags of retort serve, for all servers")
    return p.parse_args()


class Server:
    def __init__(self, a, draft):
        flags = a.flags.split() + (["--draft", draft] if draft else [])
        self.process = subprocess.Popen([a.retort, "serve", a.model, "--port", "0"] + flags,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ready = self.process.stdout.readline().split()
        if not ready:
            raise pairs.Failed(f"retort serve {a.model} {' '.join(flags)}: did not start")
        self.url = ready[-1] + "/v1/chat/completions"

    def ask(self, task, temperature, gen):
        body = {"messages": [{"role": "user", "content": TASKS[task]}], "max_tokens": gen,
                "temperature": temperature, "seed": 7}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        before = self.processor_time()
        with urllib.request.urlopen(request) as answer:
            told = json.load(answer)
        return told, told["timings"]["predicted_per_second"], self.processor_time() - before

    def processor_time(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))


def compare(plain, guessing, task, temperature, a):
    rates, times = [], []
    for pair in range(a.pairs + 1):
        got = {server: server.ask(task, temperature, a.gen)
               for server in ([plain, guessing] if pair % 2 else [guessing, plain])}
        (without, rate, time), (told, guessed_rate, guessed_time) = got[plain], got[guessing]
        if pair > 0:
            rates.append(guessed_rate / rate)
            times.append(time / guessed_time)
    timings, same = told["timings"], told["choices"] == without["choices"]
    return (f"{pairs.Spread(rates).text(2)} | {pairs.Spread(times).text(2)} | {timings.get('draft_n_accepted', 0)} of "
            f"{timings.get('draft_n', 0)} | {timings['predicted_n']} | {'yes' if same else 'no'}")


def body():
    a = arguments()
    servers = [Server(a, "")]
    try:
        print("| guesses by | temperature | task | ratio of tokens/s | of requests per processor time | came true | tokens | same answer |")
        print("|---|---|---|---|---|---|---|---|")
        for draft in a.draft:
            servers.append(Server(a, draft))
            for temperature in map(float, a.temperature.split(",")):
                for task in a.tasks.split(","):
                    result = compare(servers[0], servers[-1], task, temperature, a)
                    print(f"| {os.path.basename(draft)} | {temperature} | {task} | {result} |", flush=True)
    finally:
        for server in servers:
            server.process.terminate()
            server.process.wait()


pairs.main(body)
