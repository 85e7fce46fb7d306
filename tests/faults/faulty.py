"""Files whose operations are counted, and fail or call when their turn has come. For a forked child only."""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.faults.disturbances import OPERATIONS, Disturbance


class Counter:
    """Counts operations on files below the working folder, and lets the disturbance happen.

    Args:
        act: what a signal is sent with.
    """

    def __init__(self, what: Disturbance | None, act: Callable[[int], None]) -> None:
        self.count = 0
        self._what, self._act = what, act

    def step(self, writes: bool, path: Any = None, frees: bool = False) -> None:
        number, what = self.count, self._what
        self.count += 1
        if what is None or what.at is None or number < what.at:
            return
        if what.kind != "error":
            if number == what.at:
                self._act(what.number)
        elif number == what.at or (what.stays and writes and not frees):
            error = what.errors[0 if writes else 1]
            raise OSError(error, os.strerror(error), *([str(path)] if isinstance(path, (str, os.PathLike)) else []))


def count_operations(counter: Counter) -> None:
    """From now on this process's operations on files are counted."""
    sys.addaudithook(lambda event, values: _hear(event, values, counter))
    real_open, real_sync = io.open, os.fsync

    class Faulty(io.FileIO):
        def write(self, data: Any) -> int:
            counter.step(True)
            return super().write(data)

    def open_faulty(file: Any, mode: str = "r", buffering: int = -1, *values: Any, **named: Any) -> Any:
        if not set("wax+") & set(mode) or isinstance(file, int) or str(file).startswith("/dev/"):
            return real_open(file, mode, buffering, *values, **named)
        plain = Faulty(file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return plain
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffered: Any = io.BufferedRandom(plain, size) if "+" in mode else io.BufferedWriter(plain, size)
        if "b" in mode:
            return buffered
        options = dict(zip(("encoding", "errors", "newline"), values, strict=False)) | named
        return io.TextIOWrapper(buffered, **options)

    def sync(handle: Any) -> None:
        counter.step(True)
        real_sync(handle)

    builtins.open = io.open = open_faulty  # type: ignore[assignment]
    os.fsync = sync


def _hear(event: str, values: tuple[Any, ...], counter: Counter) -> None:
    if event in OPERATIONS:
        counter.step(True, values[0], frees=event in ("os.remove", "os.rmdir", "os.rename"))
    elif event == "open":
        path, _, flags = values
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and (writes or _is_here(path)) and not path.startswith(("/dev/", "/proc/")):
            counter.step(writes, path)


def _is_here(path: str) -> bool:
    return not path.startswith("/") or path.startswith(os.getcwd() + "/")
