# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's own tests of its server as a specification of `retort serve`, which stands in for llama-server
(llama_server_cases.py). docs/serving.md says which cases cannot pass, and why. Fails if one of llama_server_passes.txt, which
are those that pass, does not any longer.

    RETORT_LLAMA_CASES=1 llama_server_test.py BUILD [PYTEST'S ARGUMENTS]

They take minutes, so they run only when they are asked for. Given arguments, the cases that these leave out are not
missed."""
import collections
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from support import BUILD, JUDGES, Checks, llama_cpp, need, skip, stage

if not os.environ.get("RETORT_LLAMA_CASES"):
    skip("llama.cpp's cases take minutes; RETORT_LLAMA_CASES=1 runs them")

PASSES = Path(__file__).with_name("llama_server_passes.txt").read_text().splitlines()
LONGEST = 1500  # seconds for all cases

try:
    import filelock, openai, pytest, requests, wget  # noqa: E401, F401
except ImportError as missing:
    skip(f"needs the Python package {missing.name} (scripts/judges)")

place, checks = stage(), Checks()
shutil.copytree(llama_cpp("tools/server/tests"), place / "tools/server/tests")
shutil.copytree(llama_cpp("models/templates"), place / "models/templates")
(place / "tools/server/tests/tmp").mkdir()
(place / "models-made").mkdir()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
environment = {**os.environ, "RETORT_BINARY": str((BUILD / "retort").resolve()), "RETORT_STAGE": str(place / "models-made"),
               "RETORT_STORIES": str(need("real/models/stories260K")), "RETORT_JUDGES": str(JUDGES), "PORT": str(port),
               "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)), "PYTHONHASHSEED": "0"}
with open(place / "output", "w") as output:
    try:
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "llama_server_cases", "-m", "not slow", *sys.argv[2:]],
                       cwd=place / "tools/server/tests", env=environment, stdout=output, stderr=subprocess.STDOUT, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        checks.that(f"the cases end within {LONGEST} s", False)
said = (place / "output").read_text(errors="replace")
cases = re.findall(r"^CASE (\w+)\t([^\t\n]+)\t(.*)$", said, re.M)
for outcome, name, why in cases:
    if outcome == "failed":
        print(f"note: {name}: {why}")
counts = collections.Counter(outcome for outcome, *_ in cases)
print("note: " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())))
outcomes = {name: outcome for outcome, name, _ in cases}
missed = [name for name in PASSES if outcomes.get(name, "passed" if sys.argv[2:] else "not run") != "passed"]
checks.that(f"{counts['passed']} cases pass, all {len(PASSES)} that did before among them", cases and not missed,
            f"no longer: {missed}" if cases else said[-2000:])
gained = sorted(name for name, outcome in outcomes.items() if outcome == "passed" and name not in PASSES)
print(f"note: pass and are not in llama_server_passes.txt: {gained}")
checks.finish()
