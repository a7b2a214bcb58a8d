# SPDX-License-Identifier: Apache-2.0
"""Runs two programs in turn and computes the ratio of their results. Standard library only."""
import json
import os
import statistics
import subprocess
import sys
import tempfile


class Failed(Exception):
    """A program failed; the text is one line."""


def run(command):
    """Runs a command. Returns its standard output and the peak RSS of its process in bytes.

    The kernel initialises a child's peak to that of the process that forked it: about 15 MB of
    Python here, which is less than any program that is compared.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(command, stdout=out, stderr=err)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            last = (err.read().decode(errors="replace").strip().splitlines() or ["nothing said"])[-1]
            raise Failed(f"{' '.join(command)}: status {child.returncode}: {last}")
        return out.read().decode(errors="replace"), usage.ru_maxrss * 1024


def retort(command):
    """Runs `retort bench ... --json`. Returns tokens per second, peak RSS, and the whole object."""
    out, _ = run(command + ["--json"])
    result = json.loads(out)
    # The peak that retort reports, which excludes the buffers for measuring the machine.
    return result["tokens_per_second"], result["peak_rss_bytes"], result


class Spread:
    """Median, minimum and maximum of several values."""

    def __init__(self, values):
        self.median, self.least, self.most = statistics.median(values), min(values), max(values)

    def text(self, digits):
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}..{self.most:.{digits}f})"


def compare(work, ours, theirs, pairs, progress=sys.stderr):
    """Runs `theirs` and `ours` in turn, `pairs` times. Both return tokens per second and peak RSS first.

    The order within a pair alternates, so that neither always runs on a processor heated by the
    other. Returns a row of the table, as a dictionary for JSON.
    """
    rates, sizes, shares = {"ours": [], "theirs": []}, {"ours": [], "theirs": []}, []
    for pair in range(pairs):
        order = [("theirs", theirs), ("ours", ours)]
        for side, call in order if pair % 2 == 0 else reversed(order):
            result = call()
            rates[side].append(result[0])
            sizes[side].append(result[1])
            if side == "ours":
                shares.append(result[-1]["fraction_of_peak"])
        print(f"{work}: pair {pair + 1} of {pairs}: ours {rates['ours'][-1]:.1f}, theirs {rates['theirs'][-1]:.1f} "
              "tokens/s", file=progress, flush=True)
    ratio = Spread([a / b for a, b in zip(rates["ours"], rates["theirs"])])
    mine, other = Spread(rates["ours"]), Spread(rates["theirs"])
    return {"work": work, "pairs": pairs, "ours": vars(mine), "theirs": vars(other), "ratio": vars(ratio),
            "ours_peak_rss_bytes": max(sizes["ours"]), "theirs_peak_rss_bytes": max(sizes["theirs"]),
            "fraction_of_peak": vars(Spread(shares))}


def spread_of(entry):
    return Spread([entry["least"], entry["median"], entry["most"]])


def percent_of(entry):
    return spread_of({name: 100 * value for name, value in entry.items()}).text(1)


def print_table(rows, peer):
    """Rows of `compare` as a Markdown table: median (least..most)."""
    print(f"| work | retort, tokens/s | {peer}, tokens/s | ratio | share of the limit, % | peak RSS, retort | {peer} |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['work']} | {spread_of(row['ours']).text(1)} | {spread_of(row['theirs']).text(1)} "
              f"| {spread_of(row['ratio']).text(2)} | {percent_of(row['fraction_of_peak'])} "
              f"| {row['ours_peak_rss_bytes'] / 2**20:.0f} MiB | {row['theirs_peak_rss_bytes'] / 2**20:.0f} MiB |")


def finish(rows, peer, as_json):
    if as_json:
        for row in rows:
            print(json.dumps(row))
    else:
        print_table(rows, peer)


def main(body):
    """Runs a script's body. A failure prints one line and exits with status 1."""
    try:
        body()
    except Failed as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")
