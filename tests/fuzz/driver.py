"""Runs a harness to its end in as many processes as that takes, and counts."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.harness import HANG_S
from tests.fuzz.sandbox import memory_folder

ROOT = Path(__file__).parents[2]
_COVERAGE = re.compile(r"^#\d+\s+(\w+)\s+cov: (\d+) ft: \d+ corp: (\d+)", re.MULTILINE)
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_KILLED = re.compile(r"^(timeout|oom|crash|leak)-\w+$")
_MOST_DEATHS = 12
# Of a process that reads its inputs in time: importing torch on a busy machine.
_START_S = 240


@dataclass
class Outcome:
    """What became of one harness.

    Attributes:
        inputs: tried, seeds included.
        seconds: that this took, without imports.
        cpu_s: of the processor in it; on a machine that does other things as well it says more.
        edges_before, edges: of our own Python code, with the seeds and at the end.
        corpus: inputs that reached something new, seeds included.
        crashes: what came out that should not, or what killed the process; one per place in the code.
        hangs: inputs that took longer than allowed, twice.
        slow: inputs that took so long once only: the machine was busy.
        peak_rss_mb: of the process, its libraries included.
    """

    harness: str
    inputs: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    edges_before: int = 0
    edges: int = 0
    corpus: int = 0
    crashes: list[dict[str, str]] = field(default_factory=list)
    hangs: list[dict[str, str]] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    slowest_s: int = 0
    peak_rss_mb: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "inputs_per_cpu_s": round(self.inputs / self.cpu_s, 1) if self.cpu_s else None}


def fuzz(harness: str, runs: int | None, seconds: int | None, seed: int, folder: Path) -> Outcome:
    """Fuzz one harness; a process that died is followed by another until the inputs or the time are used up.

    Args:
        folder: where crash inputs and logs go; what an earlier run left there is removed.
    """
    folder = folder / harness
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    outcome = Outcome(harness)
    with tempfile.TemporaryDirectory(prefix="acula-edge-fuzz-corpus-", dir=memory_folder()) as corpus:
        for attempt in range(_MOST_DEATHS):
            left_s = None if seconds is None else seconds - round(outcome.seconds)
            left = None if runs is None else runs - outcome.inputs
            if (left_s is not None and left_s <= 0) or (left is not None and left <= 0):
                break
            known = set(os.listdir(folder))
            if not _run(outcome, left, left_s, seed + attempt, folder, Path(corpus), attempt):
                break
            _look(outcome, folder, set(os.listdir(folder)) - known)
    _read_findings(outcome, folder)
    return outcome


def reproduce_command(harness: str, file: Path) -> str:
    """What a user types to see one crash again."""
    return f"{shlex.quote(sys.executable)} -m tests.fuzz --reproduce {harness} {shlex.quote(str(file))}"


def _run(
    outcome: Outcome, runs: int | None, seconds: int | None, seed: int, folder: Path, corpus: Path, attempt: int
) -> bool:
    """One process; whether it died before it was done."""
    log = folder / f"log-{attempt}.txt"
    with tempfile.TemporaryDirectory(prefix="acula-edge-fuzz-", dir=memory_folder()) as name:
        command = [sys.executable, "-m", "tests.fuzz.worker", outcome.harness, f"--seed={seed}", f"--folder={folder}"]
        command += [f"--corpus={corpus}", f"--sandbox={name}"]
        command += [f"--runs={runs}"] if runs is not None else []
        command += [f"--seconds={seconds}"] if seconds is not None else []
        loaded = folder / "loaded.json"
        loaded.unlink(missing_ok=True)
        started = {"clock_s": time.monotonic(), "cpu_s": 0.0}
        with open(log, "wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=_environment())
            code, cpu_s, rss_mb = _wait(process, None if seconds is None else seconds + _START_S)
        text = log.read_text(encoding="utf-8", errors="replace")
        started = json.loads(loaded.read_text()) if loaded.is_file() else started
        outcome.seconds += time.monotonic() - started["clock_s"]
        outcome.cpu_s += cpu_s - started["cpu_s"]
        outcome.peak_rss_mb = max(outcome.peak_rss_mb, rss_mb)
    statistics = dict(_STATISTIC.findall(text))
    done = int(statistics.get("number_of_executed_units", 0))
    outcome.inputs += done
    outcome.slowest_s = max(outcome.slowest_s, int(statistics.get("slowest_unit_time_sec", 0)))
    if lines := _COVERAGE.findall(text):
        first = next((edges for kind, edges, _ in lines if kind == "INITED"), lines[0][1])
        outcome.edges_before = outcome.edges_before or int(first)
        outcome.edges, outcome.corpus = max(outcome.edges, int(lines[-1][1])), int(lines[-1][2])
    if code != 0 and not any(_KILLED.match(name) for name in os.listdir(folder)):
        tail = " ".join(text.split())[-300:]
        outcome.crashes.append(
            {"file": str(log), "error": f"the process ended with {code}: {tail}", "place": "process"}
        )
        return False
    return code != 0


def _wait(process: subprocess.Popen[bytes], limit_s: float | None) -> tuple[int, float, int]:
    """Exit code, seconds of CPU and peak RSS in MB of a process, which is killed at the limit."""
    ends = float("inf") if limit_s is None else time.monotonic() + limit_s
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024
            if time.monotonic() > ends:
                process.kill()
            time.sleep(0.05)
    finally:
        if process.returncode is None:
            process.kill()


def _look(outcome: Outcome, folder: Path, new: set[str]) -> None:
    """What libFuzzer wrote down before the process ended."""
    for name in sorted(new):
        match = _KILLED.match(name)
        if match is None or any(name == finding["file"] for finding in _findings(folder)):
            continue
        path, kind = folder / name, match[1]
        finding = {"file": str(path), "place": kind, "command": reproduce_command(outcome.harness, path)}
        if kind != "timeout":
            outcome.crashes.append({**finding, "error": {"oom": "too much memory"}.get(kind, "killed by a signal")})
        elif (again_s := _time_again(outcome.harness, path)) is None:
            outcome.hangs.append({**finding, "error": "does not end"})
        else:
            outcome.slow.append(f"{path.rename(folder / f'slow-{name}')}: {again_s:.1f} s when tried again")


def _time_again(harness: str, path: Path) -> float | None:
    """Seconds of CPU that one input takes in a fresh process; None where it takes longer than allowed."""
    command = [sys.executable, "-m", "tests.fuzz", "--reproduce", harness, str(path)]
    try:
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=_environment(), timeout=_START_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    match = re.search(r"([\d.]+) s of CPU", result.stdout)
    taken_s = float(match[1]) if match else float("inf")
    return taken_s if taken_s < HANG_S else None


def _read_findings(outcome: Outcome, folder: Path) -> None:
    places = set()
    for finding in _findings(folder):
        if finding["place"] in places:  # of a process before
            continue
        places.add(finding["place"])
        path = folder / finding["file"]
        command = reproduce_command(outcome.harness, path)
        outcome.crashes.append({**finding, "file": str(path), "command": command})


def _findings(folder: Path) -> list[dict[str, str]]:
    path = folder / "findings.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _environment() -> dict[str, str]:
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **single, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
