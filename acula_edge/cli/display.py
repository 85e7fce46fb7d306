"""How long work shows itself on stderr: bars on a terminal, one line per finished piece elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from acula_edge.plain_text import make_plain
from acula_edge.progress import is_still

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

# Without a terminal, shorter pieces of work than this are not worth a line in a log.
_WORTH_A_LINE_S = 5.0
# How often bars are drawn where no thread may draw them.
_STILL_REDRAW_S = 1.0


def tell(text: str) -> None:
    """Print on stderr. A log that cannot be written (a full disk, a reader that left) is no reason to end the work."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


class Display:
    """The tracker and the messages of :mod:`acula_edge.progress` for a command line. One per process."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._nested = 0
        self._drawn_s = 0.0

    def track(self, items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
        """Iterate over `items`; pieces of work may lie inside each other."""
        if not sys.stderr.isatty():
            yield from self._track_in_log(items, description)
            return
        progress = self._start()
        task = progress.add_task(description, total=total)
        self._nested += 1
        self._draw(progress)
        try:
            for item in items:
                yield item
                progress.advance(task)
                self._draw(progress)
        finally:
            self._nested -= 1
            progress.remove_task(task)
            if self._nested == 0:
                self.stop()

    def say(self, message: str) -> None:
        """Print one line without tearing the bars."""
        message = make_plain(message)
        if self._progress is None:
            tell(message)
        else:
            self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Take the bars away and give the terminal back; harmless when there are none."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _track_in_log(self, items: Iterable[T], description: str) -> Iterator[T]:
        started = time.monotonic()
        count = 0
        for item in items:
            yield item
            count += 1
        elapsed_s = time.monotonic() - started
        if elapsed_s >= _WORTH_A_LINE_S:
            tell(f"{description}: {count} in {elapsed_s:.0f} s")

    def _draw(self, progress: Progress) -> None:
        """Draw bars that no thread draws, at most once a second."""
        if not progress.live.auto_refresh and time.monotonic() - self._drawn_s >= _STILL_REDRAW_S:
            self._drawn_s = time.monotonic()
            progress.refresh()

    def _start(self) -> Progress:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                auto_refresh=not is_still(),
            )
            self._progress.start()
        return self._progress


DISPLAY = Display()
