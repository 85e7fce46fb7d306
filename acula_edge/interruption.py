"""Signals that ask a program to end, and the moments that they wait for.

A library leaves signals alone. The command line takes them (:func:`stoppable`): Ctrl-C, SIGTERM and SIGHUP then raise
:class:`Stopped` in the main thread, at once or at the end of the :func:`shielded` piece of work that runs. Temporary
files are deleted and locks released on the way out. A second signal ends the process where it is; files are whole all
the same, since they are renamed into place, and the next run clears away what was begun.

Of several processes (``torchrun``) only the main one, which writes, does this. The others go on until it has left, so
that the step under way can be finished together, and end soon after it in any case.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from acula_edge.processes import is_main, world_size

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

REPEAT_S = 0.5
"""Launchers and ``timeout`` send a signal to a process and to its group: what follows so soon is not a second one."""
PATIENCE_S = 20.0
"""How long a process that is not the main one outlives a signal; launchers kill after 30 s."""
_REDELIVERY_S = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asked this program to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass
class _State:
    """What has arrived, and what it waits for. Written by the main thread."""

    received: int | None = None
    first_s: float | None = None
    depth: int = 0
    waiting: bool = False
    notice: str = ""


_state = _State()


def exit_code(stop: KeyboardInterrupt) -> int:
    """As shells have it: 128 and the signal's number."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


def received() -> int | None:
    """The signal that asked this program to end; None where none has."""
    return _state.received


class shielded:  # noqa: N801
    """Context: signals wait for its end. For what must not be left in the middle, and is short. May be nested.

    Args:
        notice: line that tells the user what the signal waits for.
    """

    def __init__(self, notice: str = "") -> None:
        self._notice = notice
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if self._main:
            if self._notice:
                _state.notice = self._notice
            _state.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._main:
            return
        _state.depth -= 1
        if not _state.depth:
            _state.notice = ""
            if _state.waiting:
                _state.waiting = False
                raise Stopped(_state.received or signal.SIGINT)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Take the signals for as long as this lasts; those that are ignored (``nohup``) stay so. Main thread only."""
    global _state
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in former.items() if handler not in (signal.SIG_IGN, None)]
    hook, (reading, writing) = sys.unraisablehook, os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reading, frozenset(taken)), name="signals", daemon=True)
    watch.start()
    sys.unraisablehook = _again_where_swallowed(hook)
    for number in taken:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, former[number])
        sys.unraisablehook = hook
        signal.set_wakeup_fd(wakeup)
        os.close(writing)
        watch.join()
        _state = _State()


def _handle(number: int, frame: FrameType | None) -> None:
    if _state.received is not None:
        return  # a repetition; a second one in earnest is _watch's
    _state.received = number
    _show_cursor()
    if world_size() > 1 and not is_main():
        return
    if _state.depth:
        _state.waiting = True
        if _state.notice:
            _tell(_state.notice)
        return
    raise Stopped(number)


def _watch(reading: int, taken: frozenset[int]) -> None:
    """In a thread of its own, which the main one cannot hold up while it is busy outside Python."""
    while number := os.read(reading, 1):
        if number[0] not in taken:
            continue
        now, first_s = time.monotonic(), _state.first_s
        if first_s is None:
            _state.first_s = now
            if world_size() > 1 and not is_main():
                _later(PATIENCE_S, os._exit, 128 + number[0])
        elif world_size() == 1 and now - first_s >= REPEAT_S:
            _show_cursor()
            _tell("ended at once: what was begun is cleared away by the next run")
            os._exit(128 + number[0])
    os.close(reading)


def _again_where_swallowed(hook: Any) -> Any:
    """Destructors and callbacks swallow exceptions: what was raised in one is raised again after it."""

    def look(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)
            return
        number = unraisable.exc_value.number
        _state.received = _state.first_s = None
        _later(_REDELIVERY_S, os.kill, os.getpid(), number)

    return look


def _later(seconds: float, act: Callable[..., Any], *values: Any) -> None:
    timer = threading.Timer(seconds, act, values)
    timer.daemon = True
    timer.start()


def _tell(line: str) -> None:
    """Written past Python's buffers, which a signal may have interrupted."""
    if is_main():
        with contextlib.suppress(OSError):
            os.write(2, f"\n{line}\n".encode())


def _show_cursor() -> None:
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")
