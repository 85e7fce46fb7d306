"""Fuzz the boundaries at which files of strangers come in, guided by the coverage of our own Python code.

    python -m tests.fuzz                                     # 100,000 inputs a harness
    python -m tests.fuzz --seconds 6 --harness audio recipe
    python -m tests.fuzz --reproduce audio runs/fuzz/audio/crash-0123456789abcdef

Leaves with exit code 1 when an input crashed or hung, 4 where atheris (libFuzzer for Python) is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fuzz.driver import Outcome, fuzz
from tests.fuzz.harness import HANG_S, load, names, try_input
from tests.fuzz.sandbox import Sandbox

RUNS = 100_000
MISSING = """\
fuzzing needs atheris, which is not installed here
  allowed: Linux on x86-64 with glibc, Python 3.11 to 3.14
  to do:   pip install 'atheris>=3,<4' (make install brings it there); the tests in tests/fuzz run without it"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--harness", nargs="+", choices=names(), default=names(), metavar="NAME", help=", ".join(names())
    )
    parser.add_argument("--runs", type=int, help=f"inputs per harness (default {RUNS:,} where no time is given)")
    parser.add_argument("--seconds", type=int, help="per harness, imports not counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="harnesses at a time")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="crash inputs and logs (default runs/fuzz)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--reproduce", nargs=2, metavar=("NAME", "FILE"), help="try one input; needs no atheris")
    given = parser.parse_args()
    if given.reproduce:
        return reproduce(given.reproduce[0], Path(given.reproduce[1]))
    if importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 4
    runs = RUNS if given.runs is None and given.seconds is None else given.runs
    outcomes = []
    with ThreadPoolExecutor(given.processes) as pool:
        waiting = [
            pool.submit(fuzz, name, runs, given.seconds, given.seed, given.out.absolute()) for name in given.harness
        ]
        for future in as_completed(waiting):
            outcome = future.result()
            outcomes.append(outcome)
            broken = len(outcome.crashes) + len(outcome.hangs)
            print(f"{outcome.harness}: {outcome.inputs} inputs, {broken} broke it", file=sys.stderr, flush=True)
    outcomes.sort(key=lambda outcome: outcome.harness)
    if given.json is not None:
        given.json.write_text(json.dumps([outcome.to_dict() for outcome in outcomes], indent=2) + "\n")
    show(outcomes)
    return 1 if any(outcome.crashes or outcome.hangs for outcome in outcomes) else 0


def reproduce(name: str, path: Path) -> int:
    """Try one input outside of libFuzzer."""
    harness, sandbox, data = load(name), Sandbox(), path.read_bytes()
    started = time.process_time()
    limit_s = round(started) + 2 * HANG_S  # a hang ends with SIGXCPU
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
    try:
        try_input(harness, data, sandbox)
    finally:
        print(f"{len(data)} bytes, {time.process_time() - started:.2f} s of CPU", flush=True)
        sandbox.close()
    print("only errors of acula_edge came out")
    return 0


def show(outcomes: list[Outcome]) -> None:
    """The table, and how to see each crash again."""
    table = Table(title="Coverage-guided fuzzing")
    for column in ("harness", "inputs", "per CPU s", "edges", "new", "corpus", "crashes", "hangs", "peak RSS MB"):
        table.add_column(column, justify="left" if column == "harness" else "right")
    for outcome in outcomes:
        speed = f"{outcome.inputs / outcome.cpu_s:.0f}" if outcome.cpu_s else ""
        edges = (outcome.edges, outcome.edges - outcome.edges_before, outcome.corpus)
        counts = (len(outcome.crashes), len(outcome.hangs), outcome.peak_rss_mb)
        table.add_row(outcome.harness, f"{outcome.inputs:,}", speed, *map(str, (*edges, *counts)))
    table.add_section()
    crashes, hangs = (sum(len(getattr(o, kind)) for o in outcomes) for kind in ("crashes", "hangs"))
    table.add_row("all", f"{sum(o.inputs for o in outcomes):,}", "", "", "", "", str(crashes), str(hangs), "")
    Console(width=110).print(table)
    for outcome in outcomes:
        for finding in [*outcome.crashes, *outcome.hangs]:
            print(f"{outcome.harness}: {finding['place']}: {finding['error']}")
            print(f"    {finding.get('command', finding['file'])}")
        for text in outcome.slow:
            print(f"{outcome.harness}: slow once, on a busy machine: {text}")


if __name__ == "__main__":
    sys.exit(main())
