# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that puts `retort serve` in the place of llama-server in llama.cpp's own tests of its server. It is given to
pytest in a copy of their folder (llama_server_test.py).

What llama-server gets by flags and Retort's clients say in their requests (temperature, seed, n_predict) is put into the
requests, and so is the served model's name in the place of the made-up ones, which llama-server does not look at. All models
are stories260K, as far as a test does not need another. Prints a line for each case: its outcome, its name, a reason."""
import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import httpx
import openai
import pytest
import utils

RETORT = os.environ["RETORT_BINARY"]
STAGE = Path(os.environ["RETORT_STAGE"])  # stories260K.gguf, and folders that are made here
STORIES = {"ggml-org/test-model-stories260K", "ggml-org/test-model-stories260K-infill", "ggml-org/models", "ggml-org/stories15M_MOE"}
OTHERS = ("reranker", "split")  # files of ggml-org/models that nothing can stand for
GENERATES = re.compile(r"/(chat/)?completions?$|/responses$|/messages$")
# ChatML, llama.cpp's fallback. The tokenizer has no tokens for its marks, so they are texts as there; an answer's own turn has
# to end with a token.
CHATML = """{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' }}
{%- if m.role == 'assistant' -%}{{ eos_token }}{%- endif -%}{{ '\\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"""
# Those that llama.cpp has by name, written as text.
LLAMA3 = """{%- for m in messages -%}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content + '<|eot_id|>' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}"""
COMMAND_R = """{%- for m in messages -%}{{ '<|START_OF_TURN_TOKEN|><|' + {'assistant': 'CHATBOT'}.get(m.role, m.role | upper) + '_TOKEN|>' +
m.content + '<|END_OF_TURN_TOKEN|>' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif -%}"""
CANNOT = {  # what a test asks the server for: why it is not run
    "models_dir": "several models", "models_preset": "several models", "server_tools": "built-in tools",
    "mcp_servers_config": "MCP", "mcp_servers_json": "MCP", "ui_mcp_proxy": "proxy", "sleep_idle_seconds": "sleeping",
    "slot_save_path": "slots saved to files", "server_reranking": "reranking", "mmproj_url": "pictures",
    "enable_ctx_shift": "shifted contexts", "gcp_compat": "Google's form", "lora_files": "needs a download"}


def cannot(why):
    pytest.skip(f"cannot run: {why}")


def model_of(server):
    if not server.model_hf_repo and not server.model_file:
        cannot("several models")
    if server.model_hf_repo not in STORIES or any(o in (server.model_hf_file or "") for o in OTHERS):
        cannot("needs a download")
    template = None
    if server.chat_template_file:
        template = Path(server.chat_template_file).read_text()
    elif server.chat_template:
        known = {"llama3": LLAMA3, "command-r": COMMAND_R, "chatml": None}
        template = known.get(server.chat_template, server.chat_template)
    elif "anthropic" in os.environ["PYTEST_CURRENT_TEST"]:  # with tools, which llama.cpp writes into any template
        template = Path("../../../models/templates/Qwen-Qwen2.5-7B-Instruct.jinja").read_text()
    infill = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"] if server.model_hf_repo.endswith("-infill") else []
    return with_template(template or CHATML, template is not None, infill)


def with_template(template, marked, more):
    """A folder of the model with this template. marked: with tokens for the marks in it; more: others."""
    folder = STAGE / f"template-{abs(hash(template))}{'-infill' if more else ''}"
    if folder.exists():
        return folder
    shutil.copytree(os.environ["RETORT_STORIES"], folder, copy_function=shutil.copy)
    (folder / "chat_template.jinja").write_text(template)
    config = {"eos_token": "</s>", "bos_token": "<s>", "tokenizer_class": "LlamaTokenizer", "chat_template": template}
    (folder / "config.json").chmod(0o644)
    model = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**model, "max_position_embeddings": 8192}))  # llama-server looks at no limit
    marks = sorted(set(re.findall(r"<[|｜][^<>|｜\n]+[|｜]>|<end_of_turn>|<start_of_turn>", template))) if marked else []
    marks += more
    if marks:
        add_tokens(folder, config, marks)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def add_tokens(folder, config, marks):
    from support import read_safetensors, write_safetensors
    import numpy as np
    model = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    first = model["vocab_size"]
    for name, values in tensors.items():
        if values.shape[0] == first:
            tensors[name] = np.concatenate([values, np.full((len(marks), values.shape[1]), 1e-3, "f4")])
    model["vocab_size"] = first + len(marks)
    config["added_tokens_decoder"] = {str(first + i): {"content": mark, "special": True} for i, mark in enumerate(marks)}
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(model))
    write_safetensors(folder / "model.safetensors", tensors)


def arguments(server):
    for name, why in CANNOT.items():
        if getattr(server, name):
            cannot(why)
    server.name = (server.model_alias or "stories260K").split(",")[0]
    slots = server.n_slots or 4
    context = (server.n_ctx or 512) // (1 if server.kv_unified else slots)
    yield from ("serve", model_of(server), "--name", server.name, "--host", server.server_host, "--port", server.server_port,
                "--parallel", slots, "--context", context, "--prefill-tokens", server.n_batch or 512)
    if server.api_key:
        yield from ("--api-key", server.api_key)
    if server.no_ui:
        yield "--no-page"


def start(server, timeout_seconds=60):
    command = [str(a) for a in (RETORT, *arguments(server))]
    print("tests: starting", *command)
    server.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    utils.server_instances.add(server)
    # What does not listen in time is ended, which ends its output.
    deadline = threading.Timer(timeout_seconds, server.process.kill)
    deadline.start()
    said = []
    try:
        for line in server.process.stdout:
            said.append(line)
            if line.startswith("listening on"):
                threading.Thread(target=drain, args=(server.process.stdout,), daemon=True).start()
                return
    finally:
        deadline.cancel()
    raise RuntimeError(f"retort ended: {''.join(said)}")


def drain(pipe):
    for _ in pipe:
        pass


def filled(server, path, data):
    """The request with what llama-server has from its flags."""
    if not isinstance(data, dict):
        return data
    data = dict(data)
    if "model" in data:
        data["model"] = server.name
    if server.debug and path.endswith("/chat/completions"):
        data["verbose"] = True
    if server.reasoning and "messages" in data:  # "auto" is on
        data["chat_template_kwargs"] = {"enable_thinking": server.reasoning != "off"}
    if not GENERATES.search(path.partition("?")[0]):
        return data
    tokens = {"n_predict", "max_tokens", "max_completion_tokens", "max_output_tokens"}
    responses, messages = path.endswith("/responses"), path.endswith("/messages")
    if not messages and not tokens & set(data) and server.n_predict:
        data["max_output_tokens" if responses else "max_tokens"] = server.n_predict
    data.setdefault("temperature", server.temperature)
    if not responses and not messages:
        data.setdefault("seed", server.seed)
    return data


class Filling(httpx.BaseTransport):
    """For OpenAI's client."""

    def __init__(self):
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request):
        body = request.read()
        server = next(iter(utils.server_instances))
        if body:
            data = filled(server, request.url.path, json.loads(body))
            headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
            request = httpx.Request(request.method, request.url, headers=headers, content=json.dumps(data).encode(),
                                    extensions=request.extensions)
        response = self.inner.handle_request(request)
        if "text/event-stream" in response.headers.get("content-type", ""):
            return response
        content = response.read().replace(b'"system_fingerprint":"', b'"system_fingerprint":"b')  # named_as_theirs
        headers = {k: v for k, v in response.headers.items() if k.lower() != "content-length"}
        return httpx.Response(response.status_code, headers=headers, content=content)


class FilledClient(openai.OpenAI):
    def __init__(self, **more):
        super().__init__(http_client=httpx.Client(transport=Filling()), max_retries=0, **more)


make_request, make_stream = utils.ServerProcess.make_request, utils.ServerProcess.make_stream_request


def named_as_theirs(answer):
    """A fingerprint is of any form; llama.cpp's begins with the b of its builds."""
    if isinstance(answer, dict) and "system_fingerprint" in answer:
        answer["system_fingerprint"] = "b" + answer["system_fingerprint"]
    return answer


def request(server, method, path, data=None, *more, **named):
    answer = make_request(server, method, path, filled(server, path, data), *more, **named)
    answer.body = named_as_theirs(answer.body)
    return answer


def stream_request(server, method, path, data=None, *more, **named):
    return map(named_as_theirs, make_stream(server, method, path, filled(server, path, data), *more, **named))


utils.ServerPreset.load_all = staticmethod(lambda: None)
utils.ServerProcess.start = start
utils.ServerProcess.make_request = request
utils.ServerProcess.make_stream_request = stream_request
utils.download_file = lambda *_: cannot("needs a download")
openai.OpenAI = FilledClient


def pytest_collection_modifyitems(items):
    for item in items:
        if item.originalname in ("test_embedding_usage_single", "test_embedding_usage_multiple", "test_embedding_pooling_none"):
            item.add_marker(pytest.mark.skip(reason="cannot run: needs a download"))  # the tokens of its model are counted


def pytest_runtest_logreport(report):
    if report.when == "call" or report.skipped or report.failed and report.when == "setup":
        outcome = "cannot" if report.skipped and "cannot run" in str(report.longrepr) else report.outcome
        why = ""
        if report.skipped:
            why = str(report.longrepr[2])
        elif report.failed:
            why = str(getattr(report.longrepr, "reprcrash", report.longrepr)).splitlines()[0][-200:]
        print(f"\nCASE {outcome}\t{report.nodeid}\t{why}")
