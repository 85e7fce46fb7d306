"""The stream as a device uses it: a pipe, one JSON line per hop at once, and an end that is no accident."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.runtime import Bundle, Packet
from acula_edge.runtime.standard_input import pack
from tests.tiny_bundle import HOP, RATE_HZ, SAMPLES, make_sound

ROOT = Path(__file__).resolve().parents[2]
PCM = np.round(make_sound(5.9) * 32767).astype("<i2")


def take_signals() -> None:
    """As a shell starts a program: whoever started these tests may ignore signals, and would hand that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def streaming(bundle: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "acula_edge", "run", str(bundle), "-", "--stream", "--rate", str(RATE_HZ)]
    process = subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=take_signals,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def write(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def read_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith(b"}\n")
    update = json.loads(line)
    assert isinstance(update, dict)
    return update


def test_each_hop_is_told_before_the_next_sample_comes(bundle_dir: Path, bundle: Bundle) -> None:
    expected = list(bundle.stream([PCM], RATE_HZ))
    with streaming(bundle_dir) as process:
        sent = 0
        for count, update in enumerate(expected[:-1]):
            stop = SAMPLES + count * HOP
            write(process, PCM[sent:stop].tobytes())
            sent = stop
            found = read_line(process)
            assert (found["audio"], found["windows"], found["tasks"]) == ("-", count + 1, update.tasks)
            assert found["state"] == update.state and "packets" not in found
        rest, errors = process.communicate(PCM[sent:].tobytes())
        last = json.loads(rest)
        assert last["final"] and last["recording"] == expected[-1].recording
        assert process.returncode == 0
        assert b"Not a medical device" in errors and b"Traceback" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_stream_without_a_traceback(bundle_dir: Path, number: signal.Signals, code: int) -> None:
    with streaming(bundle_dir) as process:
        write(process, PCM[:SAMPLES].tobytes())
        read_line(process)
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.read().splitlines()[1:] == [b"stopped"]
        assert process.stdout.read() == b""


def test_a_reader_that_leaves_ends_it_in_silence(bundle_dir: Path) -> None:
    with streaming(bundle_dir) as process:
        write(process, PCM[:SAMPLES].tobytes())
        read_line(process)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        write(process, PCM[SAMPLES:].tobytes())
        assert process.wait(30) == 0
        assert len(process.stderr.read().splitlines()) == 1
        process.stdout = None


def test_packets_by_the_pipe(bundle_dir: Path) -> None:
    sent = [Packet(i, PCM[i * 100 : (i + 1) * 100]) for i in range(59) if i not in (30, 31, 32, 33)]
    with streaming(bundle_dir, "--packets", "--hop", "0.5") as process:
        out, _ = process.communicate(b"".join(map(pack, sent)))
        updates = [json.loads(line) for line in out.splitlines()]
    assert [update["start_s"] for update in updates] == [0.5 * i for i in range(8)] + [3.9]
    assert [round(update["lost_s"], 6) for update in updates] == [0.0, 0.0, 0.0, 0.4, 0.4, 0.4, 0.4, 0.0, 0.0]
    assert updates[-1]["packets"] == {"received": 55, "lost": 4, "late": 0, "duplicate": 0, "restarts": 0}
