"""A converter that counts from zero: the same answers as for the same sound about zero."""

from __future__ import annotations

import numpy as np
import pytest

from acula_edge.runtime import Bundle
from tests.tiny_bundle import RATE_HZ, make_sound


def converter(rate_hz: int, seconds: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    """12-bit samples about zero, as a whole and in every window of a second nearly without a mean; and as 0 to 4095."""
    sound = make_sound(seconds, rate_hz=rate_hz)
    centered = np.round((sound - sound.mean()) * 2047 / np.abs(sound).max()).astype(np.int16)
    return centered, (centered + 2048).astype(np.int16)


def scores(tasks: dict) -> list[float]:
    return [x for task in tasks.values() for x in [task["score"], *(task.get("scores") or {}).values()]]


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 4 * RATE_HZ, 1470])
def test_a_converter_that_counts_from_zero_scores_as_one_about_zero(bundle: Bundle, rate_hz: int) -> None:
    centered, raised = converter(rate_hz)
    assert abs(raised.mean()) > 2 * centered.std()
    one, other = bundle.score(centered, rate_hz), bundle.score(raised, rate_hz)
    assert other["quality"]["measurable"] == one["quality"]["measurable"]
    assert other["quality"]["dc_offset"] == pytest.approx(2048 / 32768, abs=1e-3)
    np.testing.assert_allclose(scores(other["tasks"]), scores(one["tasks"]), rtol=2e-3, atol=2e-3)
    pieces = bundle.score_pieces(lambda: iter(np.array_split(raised, 7)), rate_hz)
    assert pieces == other
    streamed, expected = (
        list(bundle.stream(np.array_split(pcm, 90), rate_hz, hop_s=0.5)) for pcm in (raised, centered)
    )
    for update, plain in zip(streamed, expected, strict=True):
        np.testing.assert_allclose(scores(update.tasks), scores(plain.tasks), rtol=2e-3, atol=2e-3)


def test_a_stream_of_raised_samples_equals_a_batch_of_the_same_window(bundle: Bundle) -> None:
    _, raised = converter(RATE_HZ)
    for update in bundle.stream(np.array_split(raised, 90), RATE_HZ, hop_s=0.5):
        window = raised[round(update.start_s * RATE_HZ) : round(update.end_s * RATE_HZ)]
        batch = bundle.score(window, RATE_HZ)
        np.testing.assert_allclose(scores(update.tasks), scores(batch["tasks"]), rtol=0, atol=1e-12)
