#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times answers that are held to something beside free ones, in turns: tokens, tokens per second, and how many are right.

    bench/compare/held.py labels URL --rows test.jsonl [--every 10]    the rows' answers as guided_choice; right: the row's
    bench/compare/held.py person URL                                   a person as JSON, a schema; right: its members

URL is that of a running server, such as http://127.0.0.1:8080.
"""
import argparse
import json
import time
import urllib.request

PERSON = {"type": "object", "additionalProperties": False,
          "properties": {"name": {"type": "string", "maxLength": 30}, "age": {"type": "integer", "minimum": 1, "maximum": 99},
                         "city": {"type": "string", "maxLength": 30},
                         "occupation": {"enum": ["teacher", "engineer", "doctor", "farmer", "artist"]},
                         "married": {"type": "boolean"}, "children": {"type": "integer", "minimum": 0, "maximum": 9}},
          "required": ["name", "age", "city", "occupation", "married", "children"]}
ASKED = ("Invent person number {}. Answer with a JSON object with the members name, age, city, occupation, married, "
         "children, and with nothing else.")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task", choices=["labels", "person"])
    p.add_argument("url")
    p.add_argument("--rows", help='of labels: JSONL rows {"prompt", "completion"}')
    p.add_argument("--every", type=int, default=10, help="of labels: take each such row")
    p.add_argument("--people", type=int, default=40)
    p.add_argument("--times", type=int, default=3)
    return p.parse_args()


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def labels(a):
    """(held, free) requests of each row, with what tells whether an answer is right."""
    with open(a.rows, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    choices = sorted({row["completion"] for row in rows})
    for row in rows[::a.every]:
        free = {"prompt": row["prompt"], "max_tokens": 32, "temperature": 0}
        right = lambda answer, row=row: answer["choices"][0]["text"].strip() == row["completion"].strip()
        yield "/v1/completions", {**free, "guided_choice": choices}, free, right


def is_person(answer):
    try:
        return json.loads(answer["choices"][0]["message"]["content"]).keys() == PERSON["properties"].keys()
    except (ValueError, AttributeError):
        return False


def people(a):
    form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    for i in range(a.people):
        free = {"messages": [{"role": "user", "content": ASKED.format(i)}], "max_tokens": 120, "temperature": 0}
        yield "/v1/chat/completions", {**free, "response_format": form}, free, is_person


def main():
    a = arguments()
    asked = list((labels if a.task == "labels" else people)(a))
    for turn in range(a.times + 1):  # the first warms up
        for what in ("held", "free"):
            begin, tokens, right = time.perf_counter(), 0, 0
            for path, held, free, is_right in asked:
                answer = post(a.url + path, held if what == "held" else free)
                tokens += answer["usage"]["completion_tokens"]
                right += is_right(answer)
            seconds = time.perf_counter() - begin
            if turn:
                print(f"{what}: {seconds:.2f} s, {tokens} tokens, {tokens / seconds:.1f} tokens/s, {right} of {len(asked)} right")


if __name__ == "__main__":
    main()
