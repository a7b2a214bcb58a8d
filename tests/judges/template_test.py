# SPDX-License-Identifier: Apache-2.0
"""Renders the chat templates of published models with Jinja, as transformers does, and compares Retort's text for those
that it takes as known."""
import json
import subprocess
import sys
from pathlib import Path

from support import BUILD, JUDGES, SHARED, Checks, stage
from transformers.utils.chat_template_utils import _compile_jinja_template

# Must be known, by the beginnings of file names.
WANTED = ["Qwen-Qwen2.5-7B-Instruct", "Qwen3-Coder", "meta-llama-Llama-3.1-8B-Instruct",
          "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct", "real-qwen2_5", "real-llama3_2"]


def turns(*parts):
    """Each part is a role's letter and the content."""
    role = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": role[part[0]], "content": part[1:]} for part in parts]


ALTERNATING = [
    turns("uHello"), turns("sBe brief.", "u Hello \n"), turns("s S ", "ua ", "a  Hi \n", "ub\t"),
    turns("ua", "ab", "u c ", "a\nd."), turns("ux", "a"), turns("s", "ux", "ay"),
    turns("ua", "a<think>\nx\n</think>\n\ny", "ub", "a<think>\nz\n</think>\n\nw"),
    turns("ua", "a</think>b", "uc", "ad"), turns("u/no_think hi", "a<think></think>y", "uq"),
    turns("u<tool_response>\nq\n</tool_response>", "ay"), turns("ss", "ux", "ay", "u<tool_call>z", 'a{"a": 1}'),
]
FREE = [
    turns("ua", "ub", "ac"), turns("ua", "ab", "ac"), turns("aa", "ub"), turns("ua", "smid", "ab"),
    turns("sa", "sb", "uc"), turns("sonly"), turns("ua", "smid", "ux", "ab"),
]


def templates():
    """Name and text of each."""
    for folder in [JUDGES / "llama.cpp/models/templates", *JUDGES.glob("python/lib/python3*/site-packages/trl/chat_templates")]:
        for path in sorted(folder.glob("*.jinja")):
            yield path.stem, path.read_text()
    for path in sorted(SHARED.glob("real/tokenizers/*/tokenizer_config.json")):
        text = json.loads(path.read_text()).get("chat_template")
        if text:
            yield "real-" + path.parent.name, text


def rendered(text, conversation):
    template = _compile_jinja_template(text)
    # Without strftime_now, a text with a date has its own, which Retort uses.
    template.globals.pop("strftime_now", None)
    template.environment.globals.pop("strftime_now", None)
    return template.render(messages=conversation["messages"], bos_token="<s>", eos_token="</s>", tools=None,
                           add_generation_prompt=conversation["generation_prompt"])


def main():
    place, checks, known = stage(), Checks(), []
    for name, text in templates():
        path = place / "template.jinja"
        path.write_text(text)
        free = FREE if "[INST]" not in text else []
        conversations = [{"messages": m, "generation_prompt": g} for m in ALTERNATING + free for g in (False, True)]
        done = subprocess.run([BUILD / "retort_judge_chat", path], input="\n".join(map(json.dumps, conversations)),
                              capture_output=True, text=True, check=True)
        if done.stdout == "unknown\n":
            continue
        known.append(name)
        ours = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = [c for c, text_of in zip(conversations, ours) if text_of != rendered(text, c)]
        checks.that(f"{name}: {len(conversations)} conversations, first other: {wrong[:1]}", not wrong)
    for name in WANTED:
        checks.that(f"{name} is known", name in known)
    print("known:", ", ".join(known), file=sys.stderr)
    checks.finish()


main()
