"""A window of a stream scores as the same samples do in a batch: 16-bit or float, at the bundle's rate or another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from acula_edge.audio.resample import resample
from acula_edge.runtime import Bundle, StreamUpdate, load_bundle
from tests.tiny_bundle import RATE_HZ, make_sound

TOLERANCE = 1e-4
"""Of a probability, or relative to a value. At the bundle's rate scores are equal; resampling in pieces differs from
resampling the whole by less than 1e-6 of full scale, which moves at most a few roundings of INT8."""


def scores_of(tasks: dict) -> list[float]:
    values = []
    for answer in tasks.values():
        values += list(answer["scores"].values()) if answer["kind"] == "multiclass" else [answer["score"]]
    return values


@pytest.mark.parametrize("precision", ["int8", "float"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 4 * RATE_HZ, 1470])
@pytest.mark.parametrize("piece_s", [0.013, 1.7])
def test_stream_equals_batch(bundle_dir, precision: str, dtype: type, rate_hz: int, piece_s: float) -> None:
    bundle = load_bundle(bundle_dir, precision=precision)
    pcm = make_sound(8.0, rate_hz=rate_hz)
    if dtype is np.int16:
        pcm = np.round(pcm * 32767).astype(np.int16)
    wave = resample((pcm / 32768 if dtype is np.int16 else pcm).astype(np.float32), rate_hz, RATE_HZ)
    size = max(1, round(piece_s * rate_hz))
    updates = list(bundle.stream((pcm[i : i + size] for i in range(0, len(pcm), size)), rate_hz, hop_s=0.5))
    # Away from the ends, where a resampler hears the edge of the sound.
    inner = [update for update in updates if update.start_s >= 0.5 and update.end_s <= 7.5]
    assert len(inner) >= 10
    for update in inner:
        window = wave[round(update.start_s * RATE_HZ) : round(update.end_s * RATE_HZ)]
        batch = bundle.score(window, RATE_HZ)
        exact = rate_hz == RATE_HZ
        assert update.quality["measurable"] and batch["quality"]["measurable"]
        expected = scores_of(batch["tasks"])
        np.testing.assert_allclose(
            scores_of(update.tasks), expected, rtol=0 if exact else TOLERANCE, atol=1e-12 if exact else TOLERANCE
        )


def test_threads_that_share_a_bundle_get_what_one_stream_gets(bundle: Bundle) -> None:
    sounds = [make_sound(6.0, seed=seed) for seed in range(8)]

    def hear(sound: np.ndarray) -> list[StreamUpdate]:
        return list(bundle.stream(np.array_split(sound, 50), RATE_HZ, hop_s=0.2))

    alone = [hear(sound) for sound in sounds]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(hear, sounds))
    for one, other in zip(alone, together, strict=True):
        assert [(u.tasks, u.state, u.recording, u.quality) for u in one] == [
            (u.tasks, u.state, u.recording, u.quality) for u in other
        ]


def test_latency_counts_from_the_arrival_of_the_last_sample(bundle: Bundle) -> None:
    """The consumer's own time and the wait for sound are no computing time."""
    import time

    def slowly():
        for piece in np.array_split(make_sound(4.0), 4):
            time.sleep(0.05)
            yield piece

    started = time.perf_counter()
    updates = []
    for update in bundle.stream(slowly(), RATE_HZ):
        updates.append(update)
        time.sleep(0.05)
    elapsed_s = time.perf_counter() - started
    assert elapsed_s > 0.4
    first = updates[0]
    assert first.compute_ms <= first.latency_ms
    busy_s = updates[-1].real_time_factor * updates[-1].end_s
    assert sum(update.compute_ms for update in updates) / 1e3 <= busy_s < elapsed_s - 0.3
