"""One harness under libFuzzer, in a process of its own: `python -m tests.fuzz.worker`; :mod:`tests.fuzz` starts it.

What comes out as an exception is kept and the run goes on; what kills the process (a signal, a hang, too much memory)
is written down by libFuzzer, and the driver starts another.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

import atheris

from tests.fuzz.harness import HANG_S, Harness, load, regressions, try_input
from tests.fuzz.sandbox import Sandbox

_HOME = str(Path(__file__).parents[2]) + os.sep
_MOST_FINDINGS = 100
# What libFuzzer and atheris gather themselves over some hundred thousand inputs.
_OWN_MB = 512


def main() -> None:
    """Fuzz; libFuzzer ends the process itself."""
    parser = argparse.ArgumentParser()
    parser.add_argument("harness")
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where crashes go")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--sandbox", type=Path, required=True)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    # Never left: whatever is imported later, within an input, is instrumented as well.
    atheris.instrument_imports(include=["acula_edge"]).__enter__()
    harness = load(given.harness)
    sandbox = Sandbox(given.sandbox)
    findings = Findings(given.folder)
    _plant(given.corpus, harness, given.harness)
    for data in harness.seeds():  # everything that is imported late, and every cache
        findings.try_input(harness, data, sandbox)
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + harness.memory_mb + _OWN_MB
    _limit_memory(harness.memory_mb + _OWN_MB)
    loaded = {"clock_s": time.monotonic(), "cpu_s": time.process_time()}
    (given.folder / "loaded.json").write_text(json.dumps(loaded))

    def mutate(data: bytes, max_bytes: int, seed: int) -> bytes:
        most = min(max_bytes, harness.max_bytes)
        try:
            return harness.mutate(data, Random(seed), _mutate_blindly, most)
        except Exception as error:  # a mistake of the mutator; libFuzzer would end, and atheris hang at its end
            findings.keep(data, error)
            return _mutate_blindly(data, most)

    arguments = [
        sys.argv[0],
        f"-runs={given.runs}",
        f"-max_total_time={given.seconds}",
        f"-seed={given.seed % (1 << 31) + 1}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={rss_mb}",
        f"-max_len={harness.max_bytes}",
        f"-artifact_prefix={given.folder}/",
        "-print_final_stats=1",
        "-detect_leaks=0",
        "-close_fd_mask=3",  # what native libraries say of broken files
        str(given.corpus),
    ]
    atheris.Setup(
        arguments,
        lambda data: findings.try_input(harness, data, sandbox),
        custom_mutator=mutate,
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


def _mutate_blindly(data: bytes, max_bytes: int) -> bytes:
    changed: bytes = atheris.Mutate(data[:max_bytes], max_bytes)
    return changed


class Findings:
    """Inputs that broke the property, one per place in the code, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: set[str] = set()

    def try_input(self, harness: Harness, data: bytes, sandbox: Sandbox) -> None:
        """Read an input; keep it if it is the first that breaks at that place."""
        try:
            try_input(harness, data, sandbox)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.keep(data, error)

    def keep(self, data: bytes, error: BaseException) -> None:
        """Write an input down, unless one that breaks at the same place is there."""
        place = _place(error)
        if place in self._places or len(self._places) >= _MOST_FINDINGS:
            return
        self._places.add(place)
        name = f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
        (self._folder / name).write_bytes(data)
        finding = {"file": name, "error": f"{type(error).__name__}: {error}"[:300], "place": place}
        with open(self._folder / "findings.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(finding) + "\n")


def _place(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(_HOME)]
    own = [f for f in frames if "/acula_edge/" in f.filename] or frames
    where = f"{own[-1].filename.removeprefix(_HOME)}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {where}"


def _plant(corpus: Path, harness: Harness, name: str) -> None:
    inputs = [*harness.seeds(), *(path.read_bytes() for path in regressions(name))]
    for data in inputs:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _limit_memory(megabytes: int) -> None:
    """No more address space than now and so much: an allocation that is only asked for counts, touched or not."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
