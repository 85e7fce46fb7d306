"""Small programs that are the command line with a verb of the test's own, and get signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """
import atexit, os, signal, sys, threading, time, types
from pathlib import Path
import acula_edge
from acula_edge.files import atomic_folder, atomic_path, write_text
from acula_edge.folder_lock import locked
from acula_edge.interruption import shielded
from acula_edge.progress import track

def ready():
    os.write(1, b"ready\\n")

def train(**_):
{body}

pipeline = types.ModuleType("acula_edge.pipeline")
pipeline.train = train
sys.modules["acula_edge.pipeline"] = acula_edge.pipeline = pipeline
from acula_edge.cli.main import main
main(["train"])
"""


def program(body: str) -> str:
    """The text of a program in which ``acula-edge train`` does `body`."""
    return _PROGRAM.format(body="\n".join(f"    {line}" for line in body.strip("\n").splitlines()))


@contextmanager
def running(body: str, folder: Path, ignored: tuple[int, ...] = (), **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The program, from when it has said that it is ready. It is killed if it is still there at the end."""

    def settle() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", program(body)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        preexec_fn=settle,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()
