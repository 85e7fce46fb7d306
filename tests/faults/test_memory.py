"""Too little memory: a named error, or one recording set aside by name; never the end of a corpus."""

from __future__ import annotations

import resource
import struct
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from acula_edge.cli.known_errors import as_user_error
from acula_edge.data import decoding
from acula_edge.data.manifest import Recording
from acula_edge.errors import AudioError, InputError, OutOfMemory
from tests.pipeline.conftest import acula_edge, run_python


def of_allocator() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


def of_numpy() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, dtype=np.uint8)
    return caught.value


def of_gpu() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def wrapped() -> Exception:
    try:
        raise InputError("the language model cannot be loaded") from of_numpy()
    except InputError as error:
        return error


@pytest.mark.parametrize("make", [of_allocator, of_numpy, of_gpu, wrapped], ids=lambda make: make.__name__)
def test_what_allocators_say_becomes_one_error_that_says_what_to_make_smaller(make: Any) -> None:
    known = as_user_error(make())
    assert isinstance(known, OutOfMemory) and known.exit_code == 4
    assert "too little memory" in known.problem and "--set align.batch_size=16" in str(known)
    assert ("GPU" in known.problem) == (make is of_gpu)


def rows(count: int) -> list[Recording]:
    return [Recording(str(number), f"{number}.wav", "s", "d", 4000, 1.0) for number in range(count)]


def test_a_recording_that_failed_beside_a_large_one_is_decoded_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[str, int] = {}
    futures: list[Future[Any]] = []
    submit = decoding.ThreadPoolExecutor.submit

    def remember(self: Any, *values: Any) -> Future[Any]:
        futures.append(submit(self, *values))
        return futures[-1]

    def decode(recording: Recording, sample_rate_hz: int) -> tuple[np.ndarray, int]:
        tried[recording.key] = tried.get(recording.key, 0) + 1
        if recording.recording == "3" or (recording.recording == "5" and tried[recording.key] == 1):
            raise MemoryError
        if tried[recording.key] > 1:
            assert all(future.done() for future in futures)
        return np.zeros(4, np.int16), 0

    monkeypatch.setattr(decoding.ThreadPoolExecutor, "submit", remember)
    monkeypatch.setattr(decoding, "decode", decode)
    outcomes = list(decoding.decode_all(rows(40), 4000))
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, AudioError)] == [3]
    assert "3.wav needs more memory" in str(outcomes[3])
    assert {key: count for key, count in tried.items() if count > 1} == {"d/3": 2, "d/5": 2}


BUILD = """
import resource
from pathlib import Path
from acula_edge.data.manifest import Recording
from acula_edge.data.store import WaveStore
names = ["0", "1", "huge", "2"]
recordings = [Recording(name, f"{name}.wav", "s", "d", 4000, 1.0) for name in names]
WaveStore.build(recordings[:1], 4000, "other")  # whatever is loaded at first use is loaded now
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 200_000_000, taken + 200_000_000))
store = WaveStore.build(recordings, 4000, "cache")
print([recording.recording for recording in store.recordings])
for entry in store.set_aside:
    print(entry.recording, "|", entry.path, "|", entry.reason)
"""


def test_a_recording_that_is_too_large_for_the_machine_is_set_aside_by_name(tmp_path: Path) -> None:
    for number in range(3):
        wave = np.random.default_rng(number).standard_normal(4000) / 8
        soundfile.write(tmp_path / f"{number}.wav", wave, 4000, subtype="PCM_16")
    samples = 80_000_000  # 8 bits each on a disk that stores no zeros, 320 MB while it is decoded
    with open(tmp_path / "huge.wav", "wb") as file:
        form = struct.pack("<IHHIIHH", 16, 1, 1, 4000, 4000, 1, 8)
        file.write(b"RIFF" + struct.pack("<I", 36 + samples) + b"WAVEfmt " + form)
        file.write(b"data" + struct.pack("<I", samples))
        file.truncate(44 + samples)
    done = run_python("-c", BUILD, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['0', '1', '2']",
        "d/huge | huge.wav | the recording huge.wav needs more memory than there is",
    ]


def test_memory_that_runs_out_ends_a_verb_with_the_command_that_goes_on(tmp_path: Path) -> None:
    def limit_memory() -> None:  # less than torch's libraries take
        resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))

    done = acula_edge("train", "--out", "run", folder=tmp_path, preexec_fn=limit_memory)
    assert done.returncode == 4, done.stderr
    assert "too little memory" in done.stderr and "Traceback" not in done.stderr
    assert "go on where it stopped: acula-edge train --out run --resume" in done.stderr
