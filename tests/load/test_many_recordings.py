"""What thousands of recordings leave in memory: a description each, never their sound."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from acula_edge.cli.main import cli
from acula_edge.runtime import Bundle, load_bundle
from tests.load.test_long_recordings import peak_mb
from tests.tiny_bundle import RATE_HZ, make_sound, write_tiny_bundle

SECONDS = 2.0


def make_corpus(folder: Path, count: int) -> int:
    """Recordings of two seconds, one in ten broken; how many are."""
    folder.mkdir()
    rows = ["path,subject"]
    for number in range(count):
        path = folder / f"{number}.wav"
        soundfile.write(path, make_sound(SECONDS, 4000, number), 4000, subtype="PCM_16")
        if number % 10 == 0:
            path.write_bytes(b"no recording")
        rows.append(f"{path.name},p{number // 2}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return len(range(0, count, 10))


def prepare(corpus: Path, run: Path) -> None:
    words = ["data", "prepare", "manifest", "--root", str(corpus), "--out", str(run), "--json"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output


def test_a_recording_more_costs_its_description_and_not_its_sound(tmp_path: Path) -> None:
    """120 against 40; sound of one is 31 KB as float32. What is broken is set aside, and nothing is decoded twice."""
    peaks = {}
    for count in (20, 40, 120):
        corpus, run = tmp_path / f"corpus{count}", tmp_path / f"run{count}"
        broken = make_corpus(corpus, count)
        peaks[count] = peak_mb(lambda corpus=corpus, run=run: prepare(corpus, run))
        aside = [json.loads(line) for line in (run / "set_aside.jsonl").read_text().splitlines()]
        assert len(aside) == broken and all("cannot be decoded" in entry["reason"] for entry in aside)
        assert len((run / "recordings.jsonl").read_text().splitlines()) == count - broken
    assert (peaks[120] - peaks[40]) / 80 < 0.012
    kept = {path: path.stat().st_mtime_ns for path in (run / "cache").iterdir() if path.suffix == ".i16"}
    prepare(corpus, run)
    assert kept == {path: path.stat().st_mtime_ns for path in (run / "cache").iterdir() if path.suffix == ".i16"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("many") / "tiny"))


def test_threads_that_share_a_bundle_get_what_each_would_get_alone(bundle: Bundle) -> None:
    sounds = [make_sound(seconds, seed=number) for number, seconds in enumerate((0.5, 2.0, 3.7, 6.1))]
    calls: list[Callable[[np.ndarray], Any]] = [
        lambda sound: bundle.score(sound, RATE_HZ),
        lambda sound: bundle.embed(sound, RATE_HZ).tobytes(),
        lambda sound: [update.tasks for update in bundle.stream(np.array_split(sound, 9), RATE_HZ)],
    ]
    alone = [[call(sound) for sound in sounds] for call in calls]
    differing: list[tuple[int, int]] = []

    def work(seed: int) -> None:
        draw = np.random.default_rng(seed)
        for kind, number in zip(draw.integers(0, 3, 40), draw.integers(0, 4, 40), strict=True):
            if calls[kind](sounds[number]) != alone[kind][number]:
                differing.append((int(kind), int(number)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differing


def test_hundreds_of_scores_leave_nothing_behind(bundle: Bundle) -> None:
    sound = make_sound(2.0)
    bundle.score(sound, RATE_HZ)

    def score(times: int) -> float:
        return peak_mb(lambda: [bundle.score(sound, RATE_HZ) and None for _ in range(times)])

    score(10)
    assert score(300) - score(10) < 0.1
