# SPDX-License-Identifier: Apache-2.0
"""Renders the chat templates of published models with Jinja, set up as transformers sets it up, and compares Retort's
text: on six conversations each, and generated ones on the twenty most used."""
import datetime
import json
import random
import re
import subprocess
import sys

from support import BUILD, JUDGES, SHARED, Checks, stage
from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices

DATE = datetime.datetime(2024, 7, 26, 12)
MOST_USED = ["Qwen-Qwen2.5-7B", "Qwen-Qwen3-0.6B", "Qwen-QwQ", "Qwen3-Coder", "meta-llama-Llama-3.1", "meta-llama-Llama-3.2",
             "meta-llama-Llama-3.3", "mistralai-Mistral-Nemo", "mistralai-Ministral", "Mistral-Small", "google-gemma-2",
             "trl-gemma3", "microsoft-Phi-3.5", "test-phi-4", "deepseek-ai-DeepSeek-R1-Distill-Llama",
             "deepseek-ai-DeepSeek-V3.1", "CohereForAI-c4ai-command-r7b", "HuggingFaceTB-SmolLM3", "ibm-granite-granite-3.3",
             "openai-gpt-oss"]


# Models whose turns TRL marks from the end of the generation prompt to the token that ends them. Of others it also marks what
# the prompt has written already (an opened thought, a line break) or what stands behind that token, and turns that the template
# writes otherwise once another follows.
MARKED_ALIKE = {"cohere", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "lfm2_v2", "llama3",
                "llava_next", "qwen2_5_vl", "qwen3", "qwen3_instruct_2507", "qwen3_vl", "smolvlm"}


# Behind a tool's result its generation prompt is empty, so that the turn's beginning is the model's to write; and a call ends
# with the mark that opens the result, at which generation stops.
ASKED_OTHERWISE = {"diffusion_gemma"}


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
    for path in sorted(SHARED.glob("real/tokenizers/*/tokenizer_config.json")):
        text = json.loads(path.read_text()).get("chat_template")
        if text:
            yield "real-" + path.parent.name, text


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


def check_marks(checks, name, path, text):
    """What carries loss is what `generation` blocks mark, as TRL's assistant_only_loss has it."""
    compared, wrong = 0, []
    cases = [{**c, "add_generation_prompt": False} for c in SIX]
    ours = judged([{"template": str(path), "pieces": True, "variables": variables(c)} for c in cases])
    for conversation, own in zip(cases, ours):
        try:
            template = _compile_jinja_template(text)
            for names in (template.globals, template.environment.globals):
                names["strftime_now"] = DATE.strftime
                if re.search(r"strftime_now is (not )?defined", text):  # Retort has it write a date of its own
                    del names["strftime_now"]
            given = variables(conversation)
            rendered_text, spans = _render_with_assistant_indices(
                template, given.pop("messages"), given.pop("tools"), given.pop("documents"), given.pop("add_generation_prompt"), **given)
        except Exception:
            continue
        if "error" in own:
            continue  # a key that the template does not look at, which Retort refuses
        wanted = "".join("1" if any(a <= i < b for a, b in spans) else "0" for i in range(len(rendered_text)))
        mask = "0" * (3 if own["bos"] else 0) + "".join(("1" if loss else "0") * len(part) for part, loss in own["pieces"])
        compared += 1
        if mask != wanted:
            wrong.append(conversation)
    checks.that(f"{name}: loss as marked, {compared} conversations, first other: {wrong[:1]}", compared and not wrong)


def marked_by_trl(text, conversation):
    """The text and for each character whether TRL's assistant_only_loss has loss on it; None if the template refuses."""
    try:
        template = _compile_jinja_template(text)
        for names in (template.globals, template.environment.globals):
            names["strftime_now"] = DATE.strftime
            if re.search(r"strftime_now is (not )?defined", text):
                del names["strftime_now"]
        given = variables(conversation)
        whole, spans = _render_with_assistant_indices(
            template, given.pop("messages"), given.pop("tools"), given.pop("documents"), given.pop("add_generation_prompt"), **given)
    except Exception:
        return None
    return whole, "".join("1" if any(a <= i < b for a, b in spans) else "0" for i in range(len(whole)))


def check_pair(checks, name, path, marked):
    """TRL has a second text of many models' templates, with `generation` blocks. What carries loss in the first, where Retort
    finds it by rendering, is marked in the second, if both write the same. White space behind the token that ends a turn is
    left out of the comparison: nothing is generated there."""
    compared, wrong, fewer = 0, [], 0
    cases = [{**c, "add_generation_prompt": False} for c in SIX]
    plain = path.read_text()
    ours = judged([{"template": str(path), "pieces": True, "variables": variables(c)} for c in cases])
    for conversation, own in zip(cases, ours):
        theirs = marked_by_trl(marked, conversation)
        if theirs is None or "error" in own or rendered(plain, conversation) != theirs[0]:
            continue
        whole, wanted = theirs
        wanted = re.sub(r"1+", lambda run: "1" * len(whole[run.start():run.end()].rstrip()) +
                        "0" * (len(run.group()) - len(whole[run.start():run.end()].rstrip())), wanted)
        mask = "0" * (3 if own["bos"] else 0) + "".join(("1" if loss else "0") * len(part) for part, loss in own["pieces"])
        compared += 1
        runs = lambda text: [(m.start(), m.end()) for m in re.finditer("1+", text)]
        inside = all(b == "1" for a, b in zip(mask, wanted) if a == "1")
        if not inside or (name in MARKED_ALIKE and runs(mask) != runs(wanted)):
            wrong.append((conversation, runs(mask), runs(wanted)))
        fewer += runs(mask) != runs(wanted)
    checks.that(f"{name}: loss {'where' if name in MARKED_ALIKE else 'only where'} TRL's own text marks it, {compared} conversations, "
                f"{fewer} with less, first other: {wrong[:1]}", not wrong and compared)


def main():
    place, checks, refused = stage(), Checks(), 0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    for number, (name, text) in enumerate(templates()):
        path = place / f"{number}.jinja"
        path.write_text(text)
        more = list(generated(count, number)) if any(name.startswith(known) for known in MOST_USED) else []
        cases = SIX + more
        ours = [answer.get("text") for answer in judged([{"template": str(path), "variables": variables(c)} for c in cases])]
        wanted = [rendered(text, c) for c in cases]
        refused += wanted.count(None)
        wrong = [c for c, own, other in zip(cases, ours, wanted) if own != other]
        checks.that(f"{name}: {len(cases)} conversations, first other: {wrong[:1]}", not wrong and len(ours) == len(cases))
        if re.search(r"\{%-?\s*generation", text):
            check_marks(checks, name, path, text)
    folder = next(JUDGES.glob("python/lib/python3*/site-packages/trl/chat_templates"), None)
    for path in sorted(folder.glob("*_training.jinja")) if folder else []:
        first = path.with_name(path.name.replace("_training", ""))
        if first.exists() and first.stem not in ASKED_OTHERWISE:
            check_pair(checks, first.stem, first, path.read_text())
    checks.that("templates of llama.cpp are present", number > 60)
    print(f"{number + 1} templates; {refused} renderings refused by both", file=sys.stderr)
    checks.finish()


if __name__ == "__main__":
    main()
