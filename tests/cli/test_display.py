"""Progress on a terminal and in a log."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from acula_edge.cli import display
from acula_edge.cli.display import Display


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Display]:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    made = Display()
    yield made
    made.stop()


def test_every_item_comes_through_nested_or_not(shown: Display) -> None:
    pairs = [(i, j) for i in shown.track(range(3), "outer", 3) for j in shown.track("ab", "inner", 2)]
    assert pairs == [(i, j) for i in range(3) for j in "ab"]
    assert shown._progress is None


def test_a_loop_that_is_left_early_takes_its_bar_away(shown: Display) -> None:
    steps = shown.track(iter([1, 2]), "steps", None)
    assert next(steps) == 1
    shown.say("in between")
    steps.close()  # type: ignore[attr-defined]
    assert shown._progress is None


def test_stopping_twice_is_harmless(shown: Display) -> None:
    steps = shown.track(range(2), "steps", 2)
    next(steps)
    shown.stop()
    shown.stop()
    assert list(steps) == [1]


def test_a_log_gets_one_line_for_what_took_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(Display().track(range(3), "quick work", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(display, "_WORTH_A_LINE_S", 0.0)
    assert list(Display().track(range(3), "long work", 3)) == [0, 1, 2]
    assert capsys.readouterr().err.startswith("long work: 3 in ")
