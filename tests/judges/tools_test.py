# SPDX-License-Identifier: Apache-2.0
"""What published chat templates write as calls of tools, rendered with Jinja as transformers sets it up, is read back by
Retort, which finds the format in the template's text alone; and of such conversations the calls carry loss, the results
do not."""
import json
import random
import subprocess
import sys

from support import BUILD, Checks, stage
from templates import MOST_USED, call, judged, rendered, says, templates, variables

NAMES = ["get_weather", "add"]
TOOLS = [{"type": "function", "function": {
    "name": name, "description": "d", "parameters": {"type": "object", "required": [], "properties": {
        key: {"type": "string", "description": "d"} for key in ("city", "note", "a", "b")}}}} for name in NAMES]
ANSWER = "Qzanswerszq"
# Of templates that write calls, these are in a form that is not read.
NOT_READ = {
    "google-gemma-4": "values between marks of their own, keys without any", "trl-gemma4": "as Gemma 4",
    "trl-diffusion_gemma": "as Gemma 4", "LFM2": "Python", "trl-lfm2": "Python", "Kimi-K3": "an argument's type beside its name",
    "MiniMax-M3": "an argument's name is its mark", "muse-glimmer": "the name stands twice", "trl-muse_glimmer": "as muse-glimmer",
    "openbmb-MiniCPM5": "CDATA around some values", "meetkai-functionary-medium-v3.2": "the prompt opens the first call",
}


# What carries loss of a question, a call, its result and an answer: read off the templates by hand. Of the most used
# templates the others write no calls, or no answer without a thought (None), and refuse such a row by name.
HERMES = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>'
LLAMA = ['{"name": "get_weather", "parameters": {"city": "Rome"}}<|eot_id|>', "It is 20.<|eot_id|>"]
LOSS = {
    "Qwen-Qwen2.5-7B": [HERMES, "It is 20.<|im_end|>"],
    "Qwen-Qwen3-0.6B": [HERMES, "<think>\n\n</think>\n\nIt is 20.<|im_end|>"],
    "Qwen3-Coder": ["<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call><|im_end|>",
                    "It is 20.<|im_end|>"],
    "meta-llama-Llama-3.1": LLAMA, "meta-llama-Llama-3.2": LLAMA, "meta-llama-Llama-3.3": LLAMA,
    "mistralai-Mistral-Nemo": ['[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Rome"}, "id": "a23456789"}]</s>', "It is 20.</s>"],
    "mistralai-Ministral": ['[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}</s>', "It is 20.</s>"],
    "Mistral-Small": ['[TOOL_CALLS]get_weather[CALL_ID]a23456789[ARGS]{"city": "Rome"}</s>', "It is 20.</s>"],
    "CohereForAI-c4ai-command-r7b": [
        '<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", '
        '"parameters": {"city": "Rome"}}\n]<|END_ACTION|><|END_OF_TURN_TOKEN|>',
        "<|START_RESPONSE|>It is 20.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"],
    "ibm-granite-granite-3.3": ['<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Rome"}}]<|end_of_text|>', "It is 20.<|end_of_text|>"],
    "openai-gpt-oss": [' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Rome"}<|call|>',
                       "<|channel|>final<|message|>It is 20.<|return|>"],
}


def check_loss(checks, name, path):
    wanted = next((loss for known, loss in LOSS.items() if name.startswith(known)), None)
    messages = [says("user", "Weather?"), says("assistant", None, tool_calls=[call("a23456789", "get_weather", {"city": "Rome"})]),
                says("tool", "It rains.", name="get_weather", tool_call_id="a23456789"), says("assistant", "It is 20.")]
    more, case = {}, {"template": str(path), "pieces": True, "tokens": ["<|tool_call|>"]}
    if "command-r7b" in name:  # without it, the prompt has an empty thought
        more, case["eos"] = {"enable_thinking": True}, "<|END_OF_TURN_TOKEN|>"
        messages[1]["reasoning_content"] = "I look."
    (own,) = judged([{**case, "variables": variables({"messages": messages, "tools": TOOLS[:1], **more})}])
    if wanted is None:
        checks.that(f"{name}: refuses a row with calls", "error" in own, own)
    else:
        checks.that(f"{name}: the calls carry loss, results do not", [p for p, loss in own.get("pieces", []) if loss] == wanted, own)


def forms(content, calls):
    """A turn with calls as users of transformers write it; templates differ in what they take."""
    for text in (False, True):
        given = [{**c, "function": {**c["function"], "arguments": json.dumps(c["function"]["arguments"], ensure_ascii=False)}}
                 for c in calls] if text else calls
        for none in ((None, "") if not content else (content,)):
            yield says("assistant", none, tool_calls=given)


def answer(text, content, calls):
    """What the template writes as this answer, without the generation prompt and the end of the turn. None if it writes
    no calls."""
    user = says("user", "Qzuserszq")
    prompt = rendered(text, {"messages": [user], "tools": TOOLS, "add_generation_prompt": True})
    plain = rendered(text, {"messages": [user, says("assistant", ANSWER)], "tools": TOOLS})
    if prompt is None or plain is None or ANSWER not in plain:
        return None
    end = plain[plain.rindex(ANSWER) + len(ANSWER):]
    for turn in forms(content, calls):
        whole = rendered(text, {"messages": [user, turn], "tools": TOOLS})
        if whole is None or "Qzuserszq" not in whole or sum(map(whole[whole.rindex("Qzuserszq"):].count, NAMES)) != len(calls):
            continue
        at = whole.rindex("Qzuserszq")
        said, asked = whole[at:], prompt[prompt.rindex("Qzuserszq"):]
        common = next((i for i, (a, b) in enumerate(zip(said, asked)) if a != b), min(len(said), len(asked)))
        if common < len(asked):  # back to the beginning of a mark
            common = max(said.rfind("<", 0, common), said.rfind("[", 0, common)) if said[:common].rfind("<") > said[:common].rfind(">") else common
        said = said[common:]
        return said[:-len(end)] if end.strip() and said.endswith(end) else said
    return None


def some_calls(rng, one):
    def value():
        return rng.choice(["Rome", "", "Róma \"x\"", "a\nb", "</x> <y>", "日本", "it's {braces} [here]", "\\n"])

    return [call("%09d" % rng.randrange(10**9), rng.choice(NAMES), {key: value() for key in rng.sample(["city", "note", "a", "b"], rng.randrange(1, 4))})
            for _ in range(1 if one else rng.randrange(1, 4))]


def read(path, texts):
    line = json.dumps({"template": str(path), "tools": NAMES, "texts": texts})
    done = subprocess.run([BUILD / "retort_judge_answers"], input=line + "\n", capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check_read_back(checks, name, path, text, number):
    rng = random.Random(number)
    if answer(text, "", some_calls(rng, True)) is None:
        return None
    one = answer(text, "", some_calls(rng, False) + some_calls(rng, False)) is None
    cases = []
    for i in range(40):
        calls = some_calls(rng, one)
        said = answer(text, "", calls)
        if said is not None:
            cases.append((calls, said))
    result = read(path, [said for _, said in cases])
    if any(name.startswith(other) for other in NOT_READ):
        return False
    if "error" in result:
        checks.that(f"{name}: read back", False, result["error"])
        return False
    wrong = []
    for (calls, said), got in zip(cases, result["answers"]):
        wanted = [(c["function"]["name"], c["function"]["arguments"]) for c in calls]
        own = [(n, json.loads(a)) for n, a in got["calls"]]
        if own != wanted:
            wrong.append((said, got))
    checks.that(f"{name}: {len(cases)} answers with calls read back", not wrong and len(cases) > 10, wrong[:1])
    return not wrong


def main():
    place, checks = stage(), Checks()
    written = back = 0
    only = sys.argv[2:]
    for number, (name, text) in enumerate(templates()):
        if only and not any(name.startswith(o) for o in only):
            continue
        path = place / f"{number}.jinja"
        path.write_text(text)
        if any(name.startswith(known) for known in MOST_USED):
            check_loss(checks, name, path)
        result = check_read_back(checks, name, path, text, number)
        written += result is not None
        back += result is True
    print(f"{written} templates write calls; {back} are read back", file=sys.stderr)
    checks.finish()


main()
