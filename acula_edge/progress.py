"""Progress of long work: stages report through :func:`track`; the command line decides how it looks.

Of several processes only the main one shows anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from acula_edge.processes import is_main

T = TypeVar("T")


class Tracker(Protocol):
    """Shows an iteration while it runs."""

    def __call__(self, items: Iterable[T], description: str, total: int | None) -> Iterator[T]: ...


def _silent(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    return iter(items)


def _mute(message: str) -> None:
    pass


_tracker: Tracker = _silent
_notify: Callable[[str], None] = _mute
_still = False


def show_progress(tracker: Tracker, notify: Callable[[str], None]) -> None:
    """Choose how progress and messages are shown, for this process."""
    global _tracker, _notify
    _tracker, _notify = tracker, notify


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` while progress is shown."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    return (_tracker if is_main() else _silent)(items, description, total)


def notify(message: str, *values: Any) -> None:
    """Tell the user one line: ids, counts and figures, never metadata."""
    if is_main():
        _notify(message % values if values else message)


@contextmanager
def still() -> Iterator[None]:
    """While something is timed: progress is drawn between pieces of work only, never by a thread beside them."""
    global _still
    before, _still = _still, True
    try:
        yield
    finally:
        _still = before


def is_still() -> bool:
    """Whether something is being timed."""
    return _still
