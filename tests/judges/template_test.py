# SPDX-License-Identifier: Apache-2.0
"""Renders the chat templates of published models (templates.py) and compares Retort's text with Jinja's: on six
conversations each, and generated ones on the twenty most used. Renders mutated templates within time and memory.

RETORT_TEMPLATES_LONG=1 takes 500 generated conversations a template and 100,000 mutations instead of 25 and 3,000."""
import os
import re
import resource
import subprocess

from support import BUILD, Checks, stage
from templates import MOST_USED, SIX, generated, judged, rendered, templates, variables

LONG = os.environ.get("RETORT_TEMPLATES_LONG") == "1"
MEMORY = 1 << 30  # bytes that rendering may take, the program's own included


def check_texts(checks, place):
    count, refused, paths = 500 if LONG else 25, 0, []
    absent = set(MOST_USED)
    for number, (name, text) in enumerate(templates()):
        path = place / f"{number}.jinja"
        path.write_text(text)
        paths.append(path)
        known = [most for most in MOST_USED if name.startswith(most)]
        absent.difference_update(known)
        cases = SIX + (list(generated(count, number)) if known else [])
        ours = [answer.get("text") for answer in judged([{"template": str(path), "variables": variables(c)} for c in cases])]
        wanted = [rendered(text, c) for c in cases]
        refused += wanted.count(None)
        wrong = [c for c, own, other in zip(cases, ours, wanted) if own != other]
        checks.that(f"{name}: {len(cases)} conversations, first other: {wrong[:1]}", not wrong and len(ours) == len(cases))
    checks.that("the most used templates are present", not absent, sorted(absent))
    print(f"       {len(paths)} templates; {refused} renderings refused by both")
    return paths


def check_mutations(checks, paths):
    """None may crash, take a second, or more memory than is given."""
    count = 100_000 if LONG else 3000
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    done = subprocess.run([BUILD / "retort_judge_mutations", str(count), "1", *map(str, paths)], capture_output=True, text=True,
                          errors="replace", preexec_fn=limited)
    print(f"       {done.stdout.splitlines()[0] if done.stdout else ''}")
    checks.that(f"{count} mutated templates within {MEMORY >> 20} MiB", done.returncode == 0, done.stderr)
    slowest = re.search(r"slowest in (\S+) s", done.stdout)
    checks.below("the slowest of them, in seconds", float(slowest[1]) if slowest else float("nan"), 1)


def check_refusals(checks):
    """What would take for ever is refused at once, the program's start included."""
    nested = "".join("{% for i in range(99999) %}" for _ in range(4)) + "x" + "{% endfor %}" * 4
    growing = "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
    for source in (nested, growing, "{{ 'a' * 10**9 }}", "{{ 10**10**10 }}", "{{ 'x' | indent(10**10, true) }}",
                   "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        (answer,) = judged([{"source": source, "variables": variables(SIX[0])}])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        checks.that(f"{source[:60]}: refused", "error" in answer, answer)
        checks.below(f"{source[:60]}: seconds of a processor", taken, 0.1)


def main():
    place, checks = stage(), Checks()
    check_mutations(checks, check_texts(checks, place))
    check_refusals(checks)
    checks.finish()


main()
