"""Standard streams as daemons, cron and full disks leave them: a sentence, and no answer lost in silence."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.tiny_bundle import RATE_HZ, make_sound, write_tiny_bundle

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    write_tiny_bundle(folder / "bundle")
    soundfile.write(folder / "sound.wav", make_sound(3.0), RATE_HZ)
    (folder / "sound.raw").write_bytes((make_sound(3.0) * 32767).astype("<i2").tobytes())
    return folder


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``$RUN`` is ``acula-edge run bundle``."""
    run = f"{sys.executable} -m acula_edge run bundle"
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, cwd=folder,
        env={**os.environ, "RUN": run, "PYTHONPATH": str(root)},
    )  # fmt: skip


@pytest.mark.parametrize("options", ["", "--stream", "--stream --packets"])
@pytest.mark.parametrize(
    ("stdin", "said"),
    [("<&-", "is closed"), ("0>written", "cannot be read"), ("</dev/null", "before a single")],
)
def test_standard_input_that_holds_nothing(folder: Path, options: str, stdin: str, said: str) -> None:
    done = shell(folder, f"$RUN - {options} {stdin}")
    assert done.returncode == 2
    assert said in done.stderr and "bug" not in done.stderr and done.stdout == ""


def test_a_terminal_is_no_sound(folder: Path) -> None:
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "acula_edge", "run", str(folder / "bundle"), "-", "--stream"],
            stdin=slave, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2 and "is a terminal" in done.stderr


@pytest.mark.parametrize("stdout", [">&-", pytest.param(">/dev/full", marks=FULL)])
@pytest.mark.parametrize("words", ["sound.wav", "sound.wav --json", "sound.wav --stream", "- --stream < sound.raw"])
def test_an_answer_that_goes_nowhere_is_an_error(folder: Path, stdout: str, words: str) -> None:
    done = shell(folder, f"$RUN {words} {stdout}")
    assert done.returncode == 2
    assert ("is closed" if stdout == ">&-" else "disk is full") in done.stderr and "bug" not in done.stderr


@FULL
def test_help_that_cannot_be_printed_is_no_bug(folder: Path) -> None:
    for words in ("--help", "--version", "run --help"):
        done = shell(folder, f"{sys.executable} -m acula_edge {words} > /dev/full")
        assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize("stderr", ["2>&-", pytest.param("2>/dev/full", marks=FULL)])
def test_answers_come_where_messages_cannot(folder: Path, stderr: str) -> None:
    done = shell(folder, f"$RUN sound.wav none.wav --json {stderr}")
    assert done.returncode == 2
    assert json.loads(done.stdout)["audio"] == "sound.wav"


def test_no_file_takes_the_place_of_a_stream_that_is_closed(folder: Path) -> None:
    """What a library prints would be written into it."""
    program = "import os; from acula_edge.cli import main; main._occupy_standard_streams(); print(os.open('x', 64 | 1))"
    done = shell(folder, f'{sys.executable} -c "{program}" <&- 2>&-')
    assert int(done.stdout) > 2


def test_a_rate_beside_a_file_is_refused_and_not_ignored(folder: Path) -> None:
    for words in ("sound.wav --rate 4000", "sound.wav --stream --rate 4000", "- --rate 4000 < sound.wav"):
        done = shell(folder, f"$RUN {words}")
        assert done.returncode == 2 and "--rate is for - with --stream" in done.stderr
    both = shell(folder, f"$RUN - sound.wav --stream --rate {RATE_HZ}.0 < sound.raw")
    assert both.returncode == 0, both.stderr


@pytest.mark.parametrize("rate", ["4k", "44100.5", "nan", "inf", "0", "-1", "1e9", "''"])
def test_a_rate_that_is_none(folder: Path, rate: str) -> None:
    done = shell(folder, f"$RUN - --stream --rate={rate} < sound.raw")
    assert done.returncode == 2 and "no sample rate of sound" in done.stderr


@pytest.mark.parametrize("hop", ["nan", "inf", "1e-9"])
def test_a_hop_that_is_none(folder: Path, hop: str) -> None:
    done = shell(folder, f"$RUN - --stream --hop {hop} < sound.raw")
    assert done.returncode == 2 and "at least one sample" in done.stderr
