# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's own tests of its server as a specification of `retort serve`, which stands in for llama-server
(llama_server_cases.py). docs/serving.md says which cases cannot pass, and why. Fails if fewer pass than did before."""
import collections
import os
import re
import shutil
import subprocess
import sys

from support import BUILD, JUDGES, Checks, llama_cpp, need, skip, stage

PASS = 140  # cases; docs/serving.md tells of 144, some of which wait for so many seconds and no longer

try:
    import filelock, openai, pytest, requests, wget  # noqa: E401, F401
except ImportError as missing:
    skip(f"needs the Python package {missing.name} (scripts/judges)")

place, checks = stage(), Checks()
shutil.copytree(llama_cpp("tools/server/tests"), place / "tools/server/tests")
shutil.copytree(llama_cpp("models/templates"), place / "models/templates")
(place / "tools/server/tests/tmp").mkdir()
(place / "models-made").mkdir()
environment = {**os.environ, "RETORT_BINARY": str((BUILD / "retort").resolve()), "RETORT_STAGE": str(place / "models-made"),
               "RETORT_STORIES": str(need("real/models/stories260K")), "RETORT_JUDGES": str(JUDGES), "PORT": "18980",
               "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)), "PYTHONHASHSEED": "0"}
done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "llama_server_cases", "-m", "not slow", *sys.argv[2:]],
                      cwd=place / "tools/server/tests", env=environment, capture_output=True, text=True, errors="replace")
cases = re.findall(r"^CASE (\w+)\t([^\t\n]+)\t(.*)$", done.stdout, re.M)
for outcome, name, why in cases:
    if outcome == "failed":
        print(f"note: {name}: {why}")
counts = collections.Counter(outcome for outcome, *_ in cases)
print("note: " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())))
checks.that(f"{counts['passed']} cases pass, at least {PASS}", counts["passed"] >= PASS or bool(sys.argv[2:]), done.stdout[-2000:])
checks.finish()
