"""Does training collapse where other processes want the cores too?

    python benchmarks/busy_machine.py --json benchmarks/results/busy_machine.json     # under five minutes on two cores
    python benchmarks/busy_machine.py --beside 0 1 --steps 32 --pairs 1

``acula-edge train phantom --max-steps N`` in turn (A B A B), alone and beside processes that only count: with threads
of OpenMP that spin while they wait for each other (libgomp's own default), and with those that sleep, which is what
``acula_edge.library_defaults`` sets. Beside two or more only the latter: spinning takes minutes there. Seconds per step
are the median of the epochs that the training logs, the first left out; data are prepared once before, and not in them.
Limits, against spinning threads alone on the machine:

* alone: at most 1.03 times as slow;
* beside one: at most 1.25 times;
* beside more: at most 1.5 times what a fair share of the cores makes of it, (threads + others) / cores.

Exit code 1 if sleeping threads miss one of them. Needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from acula_edge.benchmarking.environment import describe_environment
from acula_edge.files import write_json

# A policy that libgomp does not know is to it as none: both of its spin counts stay as they are without one, and
# acula_edge leaves alone what is set.
WAYS: dict[str, dict[str, str]] = {"spin": {"OMP_WAIT_POLICY": "none"}, "sleep": {}}
READ_BY_OPENMP = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_BLOCKTIME")
ALONE, BESIDE_ONE, FAIR_SHARE = 1.03, 1.25, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--beside", type=int, nargs="+", default=[0, 1, 5], help="numbers of busy processes")
    parser.add_argument("--steps", type=int, default=48, help="per training, 16 an epoch")
    parser.add_argument("--pairs", type=int, default=2, help="of trainings alone; beside others there is one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="busy-machine-") as folder:
        prepared = Path(folder) / "prepared"
        run_training(prepared, 1, "sleep")
        found = [measure(prepared, count, options.steps, options.pairs) for count in sorted({0, *options.beside})]
    rows = [judge(row, found[0]) for row in found]
    show(rows)
    if options.json:
        write_json(options.json, {"environment": describe_environment(), "rows": rows})
    sys.exit(0 if all(row["passed"] for row in rows) else 1)


def measure(prepared: Path, others: int, steps: int, pairs: int) -> dict[str, Any]:
    """Seconds per step, by way, beside `others` busy processes: every epoch but the first of every training."""
    ways = list(WAYS) if others < 2 else ["sleep"]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(1 if others else pairs):
        for way in ways:
            with busy(others):
                seconds[way] += train(prepared, way, steps)
    return {"others": others, "seconds_per_step": seconds}


def train(prepared: Path, way: str, steps: int) -> list[float]:
    """Seconds per step of each epoch but the first, with what another run has cached."""
    run = prepared.with_name("run")
    for name in ("cache", "text"):
        shutil.copytree(prepared / name, run / name)
    shutil.copy(prepared / "recipe.yaml", run)  # without it the folder is taken for something else than a run
    run_training(run, steps, way)
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(run)
    steps_per_epoch = epochs[0]["step"]
    return [epoch["seconds"] / steps_per_epoch for epoch in epochs[1:]]


def run_training(run: Path, steps: int, way: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in READ_BY_OPENMP} | WAYS[way]
    command = [sys.executable, "-m", "acula_edge", "train", "phantom", "--max-steps", str(steps), "--out", str(run)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that count as fast as they can, until the block ends."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def judge(row: dict[str, Any], alone: dict[str, Any]) -> dict[str, Any]:
    """Add each way's median, how many times slower than spinning threads alone that is, and the limit."""
    cores = len(os.sched_getaffinity(0))
    fair = (cores + row["others"]) / cores
    limit = {0: ALONE, 1: BESIDE_ONE}.get(row["others"], FAIR_SHARE * fair)
    medians = {way: statistics.median(values) for way, values in row["seconds_per_step"].items()}
    base = statistics.median(alone["seconds_per_step"]["spin"])
    times = {way: value / base for way, value in medians.items()}
    return {**row, "median_s": medians, "times": times, "limit": limit, "passed": times["sleep"] <= limit}


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "beside", "spin, ms a step", "sleep, ms a step", "spin, times alone", "sleep, times alone", "limit", ""
    )
    for row in rows:
        ms = [f"{1e3 * row['median_s'][way]:.0f}" if way in row["median_s"] else "-" for way in WAYS]
        times = [f"{row['times'][way]:.2f}" if way in row["times"] else "-" for way in WAYS]
        table.add_row(str(row["others"]), *ms, *times, f"{row['limit']:.2f}", "passed" if row["passed"] else "MISSED")
    Console().print(table)


if __name__ == "__main__":
    main()
