"""A progress bar that a thread redraws would sit in the tail of the latencies: while something is timed, none does."""

from __future__ import annotations

import io
import threading

import pytest

from acula_edge.cli.display import Display
from acula_edge.progress import is_still, still


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def threads_while_tracking(display: Display) -> int:
    before = threading.active_count()
    (count,) = {threading.active_count() - before for _ in display.track(range(3), "work", 3)}
    return count


def test_no_thread_draws_while_something_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with still():
        assert is_still()
        assert threads_while_tracking(Display()) == 0
    assert "work" in terminal.getvalue(), "but the bar is drawn"
    assert not is_still()
    assert threads_while_tracking(Display()) == 1


def test_stillness_ends_with_an_error() -> None:
    with pytest.raises(RuntimeError), still(), still():
        raise RuntimeError
    assert not is_still()


def test_bars_are_redrawn_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    now_s = iter([100.0 + 0.4 * step for step in range(100)])
    monkeypatch.setattr("acula_edge.cli.display.time.monotonic", lambda: next(now_s))
    display = Display()
    drawn: list[int] = []
    with still():
        for item in display.track(range(9), "work", 9):
            assert display._progress is not None
            monkeypatch.setattr(display._progress, "refresh", lambda item=item: drawn.append(item))
    assert 1 <= len(drawn) <= 4
