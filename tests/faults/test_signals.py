"""SIGTERM, SIGHUP and Ctrl-C: the same orderly end for every verb, and a quick one for who asks twice."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acula_edge.cli.main import Program, main
from acula_edge.data import prepare
from acula_edge.data.manifest import Recording
from acula_edge.interruption import REPEAT_S, Stopped, received, shielded, stoppable
from tests.faults.programs import ROOT, running
from tests.faults.verbs import hidden

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

WRITING = """
with locked("run", "train"), atomic_path("run/half.json") as half, atomic_folder("run/folder") as folder:
    half.write_text("half")
    (folder / "half").write_text("half")
    ready()
    time.sleep(60)
"""


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_clears_up_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    with running(WRITING, tmp_path) as process:
        assert len(hidden(tmp_path)) == 3
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == CODES[number]
    assert said.splitlines() == ["interrupted", "  to do:   go on where it stopped: acula-edge train --resume"]
    assert list((tmp_path / "run").iterdir()) == []


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    body = "ready()\ntime.sleep(1.5)\nraise SystemExit(0)"
    with running(body, tmp_path, ignored=(signal.SIGHUP,)) as process:
        process.send_signal(signal.SIGHUP)  # nohup, and then the terminal goes
        process.communicate(timeout=30)
    assert process.returncode == 0


SLOW = """
write_text("whole.txt", "old")
with locked("run", "train"), atomic_path("whole.txt") as temporary, shielded("waiting for this"):
    temporary.write_text("new")
    ready()
    time.sleep(60)
"""


def test_a_second_signal_ends_at_once_and_leaves_files_whole(tmp_path: Path) -> None:
    with running(SLOW, tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # as launchers do: to the process, and to its group
        time.sleep(2 * REPEAT_S)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "waiting for this" in said and "ended at once" in said
    assert (tmp_path / "whole.txt").read_text() == "old"
    again = f"from acula_edge.folder_lock import locked\nwith locked({str(tmp_path / 'run')!r}, 'train'): pass"
    assert subprocess.run([sys.executable, "-c", again], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "body",
    [
        # A destructor swallows what is raised in it.
        "class Swallowing:\n    def __del__(self):\n        ready()\n        time.sleep(0.5)\nthing = Swallowing()\n"
        "del thing\ntime.sleep(60)",
        # A library makes another error of it.
        "ready()\ntry:\n    time.sleep(60)\nexcept BaseException:\n    raise RuntimeError('could not be imported')",
    ],
    ids=["swallowed", "replaced"],
)
def test_a_signal_is_not_lost_in_a_library(body: str, tmp_path: Path) -> None:
    with running(body, tmp_path) as process:
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 143 and said.startswith("interrupted\n")


def test_threads_that_wait_for_the_network_are_not_waited_for(tmp_path: Path) -> None:
    with running(
        "threading.Thread(target=time.sleep, args=[60]).start()\nready()\ntime.sleep(60)", tmp_path
    ) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 143


def test_a_terminal_gets_its_cursor_back(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    body = "for item in track(range(1000), 'working'):\n    if item == 10: ready()\n    time.sleep(0.1)"
    with running(body, tmp_path, stderr=terminal) as process:
        os.close(terminal)
        process.send_signal(signal.SIGINT)
        shown = b""
        try:
            while block := os.read(controller, 4096):
                shown += block
        except OSError:  # the other side has gone
            pass
        assert process.wait(30) == 130
    os.close(controller)
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert b"go on where it stopped" in shown


@pytest.fixture
def hangup_is_taken():
    """Also where the tests were started by nohup, which ignores it."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("hangup_is_taken")
def test_a_signal_waits_for_what_is_shielded() -> None:
    done = []
    with stoppable(), pytest.raises(Stopped) as stopped, shielded():
        with shielded():
            os.kill(os.getpid(), signal.SIGHUP)
            done.append("inner")
        done.append("outer")
        assert received() == signal.SIGHUP
    assert done == ["inner", "outer"] and stopped.value.number == signal.SIGHUP
    assert received() is None


def test_a_library_takes_no_signals() -> None:
    code = (
        "import signal\n"
        "before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]\n"
        "import acula_edge.pipeline, acula_edge.cli.main, acula_edge.files, acula_edge.interruption\n"
        "from click.testing import CliRunner\n"
        "CliRunner().invoke(acula_edge.cli.main.cli, ['recipes', 'list'])\n"
        "with acula_edge.interruption.shielded(): pass\n"
        "assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_interrupt_does_not_wait_for_the_rest_of_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def slow(path: str) -> str:
        time.sleep(0.01)
        hashed.append(path)
        return "0" * 64

    def interrupted(outcomes: object, *_: object) -> object:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "sha256_file", slow)
    monkeypatch.setattr(prepare, "track", interrupted)
    recordings = [Recording(str(number), f"{number}.wav", "s", "d", 4000, 1.0) for number in range(500)]
    with pytest.raises(KeyboardInterrupt):
        prepare.hash_recordings(recordings)
    assert len(hashed) < len(recordings)


def test_a_signal_before_anything_has_begun_is_told_as_later(monkeypatch, capsys) -> None:
    def interrupt(*arguments: object) -> None:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(Program, "parse_args", interrupt)
    with pytest.raises(SystemExit) as end:
        main(["report", "runs/demo"])
    assert end.value.code == 143
    assert capsys.readouterr().err.splitlines() == [
        "interrupted",
        "  to do:   run it again: acula-edge report runs/demo",
    ]
