# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas and instances that others have judged: JSON-Schema-Test-Suite and MaskBench. No invalid instance may be
accepted; what is refused, and which valid instances are not written, is counted. Needs the suite's folder `tests` in
$RETORT_JUDGES/schemas/suite and MaskBench's files in $RETORT_JUDGES/schemas/maskbench; each is skipped without."""
import collections
import json
import subprocess

from support import BUILD, JUDGES, Checks, skip

DRAFTS = {"draft2020-12": "https://json-schema.org/draft/2020-12/schema", "draft7": "http://json-schema.org/draft-07/schema#"}


class Case:
    """A schema with its instances: (name, whether it is valid, its text)."""

    def __init__(self, name, schema, instances):
        self.name, self.schema = name, schema
        self.instances = [(what, valid, json.dumps(data, ensure_ascii=False)) for what, valid, data in instances]

    def line(self):
        return json.dumps({"text": json.dumps(self.schema, ensure_ascii=False), "space": "flexible",
                           "texts": [text for _, _, text in self.instances]}, ensure_ascii=False)


def suite_cases(draft):
    for path in sorted((JUDGES / "schemas/suite/tests" / draft).rglob("*.json")):
        for group in json.loads(path.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict) and "$schema" not in schema:
                schema = {"$schema": DRAFTS[draft], **schema}
            yield Case(f"{path.stem}: {group['description']}", schema,
                       [(test["description"], test["valid"], test["data"]) for test in group["tests"]])


def maskbench_cases():
    for path in sorted((JUDGES / "schemas/maskbench").glob("*.json")):
        case = json.loads(path.read_text())
        yield Case(path.stem, case["schema"], [(test["description"], test["valid"], test["data"]) for test in case["tests"]])


def judge(checks, what, cases, least_compiled):
    cases = list(cases)
    lines = "".join(case.line() + "\n" for case in cases)
    done = subprocess.run([BUILD / "retort_judge_grammar"], input=lines, capture_output=True, encoding="utf-8")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    checks.that(f"{what}: {len(cases)} schemas, no crash", done.returncode == 0 and len(answers) == len(cases),
                f"status {done.returncode}, {len(answers)} answers, {done.stderr[-300:]}")
    refused, wrong, unwritten, whole = collections.Counter(), [], 0, 0
    for case, answer in zip(cases, answers):
        if "error" in answer:
            refused[answer["error"].split(": ", 2)[-1][:60]] += 1
            continue
        pairs = list(zip(case.instances, answer["accepts"], strict=True))
        wrong += [f"{case.name}: {name}" for (name, valid, _), accepted in pairs if accepted and not valid]
        missed = sum(valid and not accepted for (_, valid, _), accepted in pairs)
        unwritten += missed
        whole += missed == 0
    compiled = len(answers) - refused.total()
    times = sorted(answer["compile_us"] / 1000 for answer in answers) or [0]
    print(f"       {what}: {compiled} compile, {whole} with all their instances; {unwritten} valid instances are not written; "
          f"to compile, ms: p50 {times[len(times) // 2]:.2f}, p99 {times[len(times) * 99 // 100]:.1f}, longest {times[-1]:.0f}")
    for reason, count in refused.most_common(12):
        print(f"         {count} refused: {reason}")
    checks.that(f"{what}: no invalid instance is accepted", not wrong, wrong[:8])
    checks.that(f"{what}: at least {least_compiled} schemas compile", compiled >= least_compiled, compiled)


def main():
    checks, parts = Checks(), []
    if (JUDGES / "schemas/suite/tests").is_dir():
        parts += [(f"JSON-Schema-Test-Suite, {draft}", suite_cases(draft), 250) for draft in DRAFTS]
    if (JUDGES / "schemas/maskbench").is_dir():
        parts.append(("MaskBench", maskbench_cases(), 9000))
    if not parts:
        skip("needs JSON-Schema-Test-Suite's folder 'tests' in $RETORT_JUDGES/schemas/suite, or MaskBench's files in .../schemas/maskbench")
    for part in parts:
        judge(checks, *part)
    checks.finish()


if __name__ == "__main__":
    main()
