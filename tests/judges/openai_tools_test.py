# SPDX-License-Identifier: Apache-2.0
"""A model that has learnt to call a tool, served, and asked through OpenAI's own Python client: whole, streamed, with
the result sent back, and with a call asked for."""
import json
import subprocess

from support import BUILD, Checks, retort, skip, stage

try:
    import openai
except ImportError:
    skip("needs the Python package openai (scripts/judges)")

TEMPLATE = """{%- if tools -%}{{ '<s>tools ' }}{%- for tool in tools -%}{{ tool.function.name + ' ' }}{%- endfor -%}{{ '</s>' }}{%- endif -%}
{%- for m in messages -%}{{ '<s>' + m.role + '\\n' }}{%- if m.content -%}{{ m.content }}{%- endif -%}
{%- for c in m.tool_calls or [] -%}{{ '<tool_call>\\n{"name": "' + c.function.name + '", "arguments": ' + (c.function.arguments | tojson) + '}\\n</tool_call>' }}{%- endfor -%}
{{ '</s>' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<s>assistant\\n' }}{%- endif -%}"""
TOOLS = [{"type": "function", "function": {"name": name, "description": "d", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}} for name in ("get_weather", "get_time")]


def called(name, city):
    return {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}]}


def rows():
    for name, word in (("get_weather", "weather"), ("get_time", "time")):
        for city in ("Rome", "Oslo"):
            messages = [{"role": "user", "content": f"{word} in {city}"}, called(name, city),
                        {"role": "tool", "content": f"fine {word}", "tool_call_id": "call_1"},
                        {"role": "assistant", "content": f"The {word} in {city} is fine."}]
            yield {"messages": messages, "tools": TOOLS}
    yield {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hello."}], "tools": TOOLS}


def make_model(place):
    text = place / "text.txt"
    text.write_text("\n".join(json.dumps(row) for row in rows()) * 4)
    retort("tokenizer", "train", "--data", text, "--vocab", "384", "--kind", "sentencepiece", "--out", place / "tokenizer")
    retort("init", "--shape", "2,64,4,2,160,384", "--positions", "512", "--tokenizer", place / "tokenizer", "--out", place / "start", "--seed", "5")
    config = place / "start" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": TEMPLATE}))
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    (place / "recipe.json").write_text(json.dumps({
        "name": "tools", "model": {"path": str(place / "start"), "weights": "f32"}, "adapter": {"kind": "none"},
        "data": {"train": str(place / "rows.jsonl"), "max_tokens": 256, "audit": "warn"},
        "train": {"steps": 400, "batch_rows": 4, "lr": 5e-3, "warmup": 0.05, "checkpoint_every": 0}}))
    retort("train", place / "recipe.json", "--run", place / "run")
    return place / "run" / "model"


class Server:
    def __init__(self, model):
        self.process = subprocess.Popen([BUILD / "retort", "serve", model, "--port", "0", "--name", "caller"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.client = openai.OpenAI(base_url=line.split()[-1] + "/v1", api_key="none", max_retries=0)

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def main():
    place, checks = stage(), Checks()
    with Server(make_model(place)) as client:
        def ask(messages, **more):
            return client.chat.completions.create(model="caller", messages=messages, tools=TOOLS, temperature=0, max_tokens=80, **more)

        for word, name, city in (("weather", "get_weather", "Rome"), ("time", "get_time", "Oslo")):
            messages = [{"role": "user", "content": f"{word} in {city}"}]
            choice = ask(messages).choices[0]
            calls = choice.message.tool_calls or []
            checks.that(f"{word}: one call", [c.function.name for c in calls] == [name], choice)
            if not calls:
                continue
            checks.that(f"{word}: its arguments", json.loads(calls[0].function.arguments) == {"city": city}, calls)
            checks.that(f"{word}: finish_reason, content, type", (choice.finish_reason, choice.message.content, calls[0].type) == ("tool_calls", None, "function"))
            messages += [choice.message, {"role": "tool", "tool_call_id": calls[0].id, "content": f"fine {word}"}]
            answer = ask(messages).choices[0]
            checks.that(f"{word}: the answer to the result", answer.message.content == f"The {word} in {city} is fine." and answer.finish_reason == "stop", answer)

            with client.chat.completions.stream(model="caller", messages=messages[:1], tools=TOOLS, temperature=0, max_tokens=80) as stream:
                kinds = [event.type for event in stream]
                final = stream.get_final_completion().choices[0]
            streamed = final.message.tool_calls or []
            checks.that(f"{word}: the stream gathers to the same call",
                        [(c.function.name, json.loads(c.function.arguments)) for c in streamed] == [(name, {"city": city})] and final.finish_reason == "tool_calls", final)
            checks.that(f"{word}: arguments are streamed", kinds.count("tool_calls.function.arguments.delta") > 2, kinds)
        checks.that("no call where none is due", ask([{"role": "user", "content": "hello"}]).choices[0].message.content == "Hello.")
        named = ask([{"role": "user", "content": "weather in Rome"}], tool_choice={"type": "function", "function": {"name": "get_time"}}).choices[0]
        checks.that("the call that was asked for by name", [c.function.name for c in named.message.tool_calls or []] == ["get_time"], named)
        required = ask([{"role": "user", "content": "hello"}], tool_choice="required").choices[0]
        checks.that("a call is begun if one is required", bool(required.message.tool_calls) or required.message.content.startswith("<tool_call>"), required)
        none = ask([{"role": "user", "content": "weather in Rome"}], tool_choice="none").choices[0]
        checks.that("no calls with tool_choice none", not none.message.tool_calls and none.finish_reason in ("stop", "length"), none)
        strict = json.loads(json.dumps(TOOLS))
        for tool in strict:
            tool["function"]["strict"] = True
            tool["function"]["parameters"] |= {"required": ["city"], "additionalProperties": False}
        for choice in ("auto", "required"):
            answer = client.chat.completions.create(model="caller", messages=[{"role": "user", "content": "weather in Rome"}], tools=strict,
                                                    tool_choice=choice, temperature=0, max_tokens=80).choices[0]
            calls = [(c.function.name, json.loads(c.function.arguments)) for c in answer.message.tool_calls or []]
            checks.that(f"strict, {choice}: the call", calls == [("get_weather", {"city": "Rome"})], answer)
        strict[0]["function"]["parameters"]["properties"]["city"]["format"] = "regex"
        try:
            client.chat.completions.create(model="caller", messages=[{"role": "user", "content": "a"}], tools=strict)
            checks.that("a schema that cannot be kept is refused", False)
        except openai.BadRequestError as error:
            checks.that("a schema that cannot be kept is refused by its place", "#/properties/city" in error.message, error)
    checks.finish()


if __name__ == "__main__":
    main()
