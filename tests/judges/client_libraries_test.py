# SPDX-License-Identifier: Apache-2.0
"""LangChain's and LiteLLM's clients and the AI SDK against one server: chats whole, streamed and at once, tools, structured
output, embeddings, errors. All must tell what the server told an HTTP client, without an exception."""
import asyncio
import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path

from openai_tools_test import make_model
from support import BUILD, JUDGES, Checks, skip, stage

os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LANGCHAIN_TRACING_V2="false", LITELLM_TELEMETRY="False")
ROUNDS = 6
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
TIME = json.loads(json.dumps(WEATHER).replace("get_weather", "get_time"))
TOOLS = [WEATHER, TIME]
SCHEMA = {"title": "Place", "description": "d", "type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}, "inhabitants": {"type": "integer", "minimum": 0, "maximum": 9}},
          "required": ["city", "inhabitants"], "additionalProperties": False}
ASKED = [("weather in Rome", "get_weather", "Rome"), ("time in Oslo", "get_time", "Oslo")]


LOOP = asyncio.new_event_loop()  # clients keep their connections to one


class Calls:
    """Counts what is asked, and the exceptions of it."""

    def __init__(self, name, checks):
        self.name, self.checks, self.made = name, checks, 0

    def that(self, what, call):
        self.made += 1
        try:
            self.checks.that(f"{self.name}: {what}", call())
        except Exception as fault:  # of whatever kind the library has
            self.checks.that(f"{self.name}: {what}", False, f"{type(fault).__name__}: {fault}"[:400])


def whole(url, **body):
    request = urllib.request.Request(url + "/chat/completions", data=json.dumps({"max_tokens": 40, **body}).encode(),
                                     headers={"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]


def ask_langchain(url, checks):
    import langchain_openai
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    calls = Calls("langchain", checks)
    chat = langchain_openai.ChatOpenAI(base_url=url, api_key="none", model="caller", temperature=0, max_tokens=40, max_retries=0)
    for i in range(ROUNDS):
        question = f"hello {i}"
        expected = whole(url, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}])
        messages = [SystemMessage("Be brief."), HumanMessage(question)]
        calls.that("invoke", lambda: chat.invoke(messages).content == expected)
        calls.that("stream", lambda: "".join(c.content for c in chat.stream(messages)) == expected)
        calls.that("batch", lambda: [a.content for a in chat.batch([messages] * 3)] == [expected] * 3)
        calls.that("async", lambda: LOOP.run_until_complete(chat.ainvoke(messages)).content == expected)
        calls.that("usage of a stream", lambda: sum((c.usage_metadata or {}).get("output_tokens", 0) for c in chat.stream(messages, stream_usage=True)) > 0)
        for ask, name, city in ASKED:
            tooled = chat.bind_tools(TOOLS)
            calls.that("tool", lambda: [(c["name"], c["args"]) for c in tooled.invoke(ask).tool_calls] == [(name, {"city": city})])
            calls.that("tool in a stream", lambda: [(c["name"], c["args"]) for c in sum_of(tooled.stream(ask)).tool_calls] == [(name, {"city": city})])
        said = AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Rome"}, "id": "call_1"}])
        calls.that("result of a tool", lambda: "Rome" in chat.bind_tools(TOOLS).invoke(
            [HumanMessage("weather in Rome"), said, ToolMessage("fine weather", tool_call_id="call_1")]).content)
        calls.that("structured output", lambda: set(chat.with_structured_output(SCHEMA, method="json_schema").invoke("a place")) == {"city", "inhabitants"})
        calls.that("JSON", lambda: isinstance(chat.bind(response_format={"type": "json_object"}, max_tokens=200).invoke("a place").content, str))
        calls.that("log-probabilities", lambda: len(chat.bind(logprobs=True, top_logprobs=2).invoke("hello").response_metadata["logprobs"]["content"]) > 0)
    texts = langchain_openai.OpenAIEmbeddings(base_url=url, api_key="none", model="caller", check_embedding_ctx_length=False)
    calls.that("embeddings", lambda: [len(v) for v in texts.embed_documents(["a", "b"])] == [64, 64] and len(texts.embed_query("a")) == 64)
    plain = langchain_openai.OpenAI(base_url=url, api_key="none", model="caller", max_tokens=8, max_retries=0)
    calls.that("completion", lambda: isinstance(plain.invoke("hello"), str) and isinstance("".join(plain.stream("hello")), str))
    return calls.made


def sum_of(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def ask_litellm(url, checks):
    import litellm
    litellm.suppress_debug_info = True
    calls = Calls("litellm", checks)
    common = {"model": "openai/caller", "api_base": url, "api_key": "none", "temperature": 0, "max_tokens": 40, "num_retries": 0}

    def ask(messages, **more):
        return litellm.completion(messages=messages, **common, **more)

    def say(text):
        return [{"role": "user", "content": text}]

    for i in range(ROUNDS):
        messages = say(f"hello {i}")
        expected = whole(url, messages=messages)
        calls.that("completion", lambda: ask(messages).choices[0].message.content == expected)
        calls.that("stream", lambda: "".join(c.choices[0].delta.content or "" for c in ask(messages, stream=True)) == expected)
        calls.that("stream put together", lambda: litellm.stream_chunk_builder(list(ask(messages, stream=True, stream_options={"include_usage": True}))).usage.completion_tokens > 0)
        calls.that("async", lambda: LOOP.run_until_complete(litellm.acompletion(messages=messages, **common)).choices[0].message.content == expected)
        for text, name, city in ASKED:
            calls.that("tool", lambda: [(c.function.name, json.loads(c.function.arguments)) for c in ask(say(text), tools=TOOLS).choices[0].message.tool_calls] == [(name, {"city": city})])
            calls.that("tool in a stream", lambda: litellm.stream_chunk_builder(list(ask(say(text), tools=TOOLS, stream=True))).choices[0].message.tool_calls[0].function.name == name)
        calls.that("structured output", lambda: set(json.loads(ask(say("a place"), response_format={
            "type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}).choices[0].message.content)) == {"city", "inhabitants"})
        calls.that("text completion", lambda: isinstance(litellm.text_completion(model="text-completion-openai/caller", api_base=url, api_key="none", prompt="hello", max_tokens=8).choices[0].text, str))
        calls.that("embeddings", lambda: len(litellm.embedding(model="openai/caller", api_base=url, api_key="none", input=["a", "b"], encoding_format="float").data[1]["embedding"]) == 64)
    try:
        ask(say("hello"), reasoning_effort="high", allowed_openai_params=["reasoning_effort"])
        checks.that("litellm: a refusal", False)
    except litellm.BadRequestError as refusal:
        checks.that("litellm: a refusal", "reasoning_effort" in str(refusal))
    return calls.made


def ask_ai_sdk(url, checks):
    script = place / "ai_sdk_client.mjs"  # modules are looked for beside it
    shutil.copy(Path(__file__).parent / script.name, script)
    (place / "node_modules").symlink_to(NODE_PACKAGES)
    done = subprocess.run(["node", script, url, str(ROUNDS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    checks.failed += done.returncode != 0
    return done.stdout.count(" ai: ")


def imports(package):
    try:
        return bool(__import__(package))
    except ImportError:
        return False


NODE_PACKAGES = JUDGES / "node/node_modules"
there = {"langchain-openai": imports("langchain_openai"), "litellm": imports("litellm"),
         "ai": bool(shutil.which("node")) and all((NODE_PACKAGES / name).exists() for name in ("ai", "@ai-sdk/openai-compatible"))}
missing = [name for name, there_is in there.items() if not there_is]
if len(missing) == len(there):
    skip(f"needs the packages {', '.join(missing)} (scripts/judges)")
place, checks = stage(), Checks()
server = subprocess.Popen([BUILD / "retort", "serve", make_model(place), "--port", "0", "--name", "caller"], stdout=subprocess.PIPE, text=True)
try:
    url = server.stdout.readline().split()[-1] + "/v1"
    asks = {"langchain-openai": ask_langchain, "litellm": ask_litellm, "ai": ask_ai_sdk}
    print(f"note: {sum(ask(url, checks) for name, ask in asks.items() if there[name])} calls")
finally:
    server.terminate()
    server.wait()
if missing and not checks.failed:
    skip(f"all else passed, but the packages {', '.join(missing)} are not there (scripts/judges)")
checks.finish()
