"""Trimming, padding and cutting, against the published evaluation's numbers and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acula_edge.audio.resample import resample
from acula_edge.audio.segment import cut_windows, recording_windows, repeat_pad, trim, trim_bounds, zero_pad
from acula_edge.errors import AudioError, InputError


def published_signal() -> np.ndarray:
    """The 3-s test signal of the reference numbers, at 16 kHz."""
    t = np.arange(48000) / 16000
    chirp = 0.5 * np.sin(2 * np.pi * (100 * t + 150 * t**2))
    return (chirp + 0.1 * np.sin(2 * np.pi * 2500 * t) * np.exp(-3 * (t % 1))).astype(np.float32)


def test_trim_meets_the_reference() -> None:
    wave = np.concatenate([np.zeros(8000), published_signal(), np.zeros(8000)]).astype(np.float32)
    assert len(wave) == 64000
    assert trim_bounds(wave, 60, 1600, 800) == (8000, 56800)
    assert np.array_equal(trim(wave, 60, 1600, 800), wave[8000:56800])


def bursts(seed: int, length: int = 6000) -> np.ndarray:
    """Noise that is loud in the middle and fades to both sides."""
    rng = np.random.default_rng(seed)
    fade = 10.0 ** (-np.abs(np.arange(length) - length / 2) / rng.uniform(200, 900))
    return (rng.standard_normal(length) * fade * 0.1).astype(np.float32)


# What librosa 0.11 says of `bursts(seed, length)`.
@pytest.mark.parametrize(
    ("seed", "length", "frame", "hop", "top_db", "bounds"),
    [
        (0, 6000, 400, 200, 60, (1000, 5200)),
        (1, 6000, 400, 200, 20, (2400, 3800)),
        (2, 6000, 1600, 800, 60, (1600, 5600)),
        (3, 6000, 551, 275, 30, (2475, 3850)),
        (4, 6000, 100, 100, 40, (1300, 4800)),
        (5, 390, 400, 200, 40, (0, 390)),
        (6, 5001, 2048, 512, 60, (0, 5001)),
    ],
)
def test_trim_equals_librosa(
    seed: int, length: int, frame: int, hop: int, top_db: float, bounds: tuple[int, int]
) -> None:
    assert trim_bounds(bursts(seed, length), top_db, frame, hop) == bounds


@pytest.mark.parametrize("length", [1, 7, 399, 400, 4000])
def test_silence_and_clips_below_a_frame_stay_whole(length: int) -> None:
    assert len(trim(np.zeros(length, dtype=np.float32), 60, 400, 200)) == length
    assert len(trim(np.full(length, 0.1, dtype=np.float32), 60, 400, 200)) == length


def test_trim_never_leaves_nothing() -> None:
    wave = np.zeros(300, dtype=np.float32)
    wave[299] = 1  # only a frame that begins at the wave's end hears it
    assert len(trim(wave, 60, 2, 100)) > 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_trim_refuses_what_has_no_loudness(value: float) -> None:
    wave = bursts(0)
    wave[3000] = value
    with pytest.raises(AudioError, match="NaN or infinity"):
        trim(wave, 60, 400, 200)


def test_repeat_padding_meets_the_reference() -> None:
    signal = published_signal()
    padded = repeat_pad(signal, 128000)
    assert np.array_equal(padded[80000:], signal)
    reference = [-1.046382761254322e-13, 0.16135042905807495, 0.2468688189983368, 0.24650807678699493]
    np.testing.assert_allclose(padded[:4], reference, atol=1e-9)
    reference = [-0.3852566182613373, -0.3314306437969208, -0.27767547965049744, -0.22566451132297516]
    np.testing.assert_allclose(repeat_pad(signal, 130880)[:4], reference, atol=1e-9)


def doubling_pad(wave: np.ndarray, length: int) -> np.ndarray:
    """The published rule word for word: the last missing samples of the source, doubled until it is long enough."""
    missing, source = length - len(wave), wave
    while len(source) < missing:
        source = np.concatenate([source, source])
    return np.concatenate([source[len(source) - missing :], wave])


@given(st.integers(1, 60), st.integers(0, 300))
@settings(deadline=None, max_examples=60)
def test_repeat_padding_follows_the_published_rule(samples: int, more: int) -> None:
    wave = np.arange(samples, dtype=np.float32)
    assert np.array_equal(repeat_pad(wave, samples + more), doubling_pad(wave, samples + more))


def test_padding_never_shortens() -> None:
    wave = np.arange(10, dtype=np.float32)
    assert np.array_equal(repeat_pad(wave, 4), wave) and np.array_equal(zero_pad(wave, 4), wave)
    assert np.array_equal(zero_pad(wave, 13), [*range(10), 0, 0, 0])


@pytest.mark.parametrize(
    ("samples", "starts"),
    [(10, [0]), (11, [0, 1]), (14, [0, 4]), (15, [0, 4, 5]), (18, [0, 4, 8]), (21, [0, 4, 8, 11])],
)
def test_windows_reach_the_end(samples: int, starts: list[int]) -> None:
    windows = cut_windows(np.arange(samples, dtype=np.float32), 10, 4)
    assert windows[:, 0].tolist() == starts
    assert np.array_equal(windows, np.asarray(starts)[:, None] + np.arange(10))
    assert windows.dtype == np.float32 and windows.flags.c_contiguous


@given(st.integers(1, 200), st.integers(1, 50), st.integers(1, 60))
@settings(deadline=None, max_examples=60)
def test_windows_are_whole_and_begin_on_the_grid_but_for_the_last(samples: int, window: int, hop: int) -> None:
    windows = cut_windows(np.arange(samples, dtype=np.float32), window, hop)
    assert windows.shape[1] == window and windows[-1, -1] == samples - 1
    if samples >= window:
        assert (windows[:-1, 0] % hop == 0).all() and (np.diff(windows[:, 0]) > 0).all()
        assert len(windows) == 1 + -(-(samples - window) // hop)


def test_a_short_recording_is_one_padded_window() -> None:
    wave = np.arange(-15, 15, dtype=np.float32)
    assert np.array_equal(recording_windows(wave, 100, 1.0, 0.5, None), doubling_pad(wave, 100)[None])


def test_recording_windows_trim_in_seconds() -> None:
    wave = np.concatenate([np.zeros(4000), published_signal()[:32000], np.zeros(8000)]).astype(np.float32)
    for rate in (4000, 16000):
        at_rate = resample(wave, 16000, rate)
        trimmed = trim(at_rate, 60, rate // 10, rate // 20)
        assert len(trimmed) < 0.85 * len(at_rate)
        windows = recording_windows(at_rate, rate, 1.0, 0.5, 60)
        assert np.array_equal(windows, cut_windows(trimmed, rate, rate // 2))
    assert len(recording_windows(wave, 16000, 1.0, 0.5, None)) > len(windows)


def test_what_cannot_be_cut_is_refused() -> None:
    empty, stereo, wave = np.zeros(0, np.float32), np.zeros((9, 2), np.float32), np.zeros(9, np.float32)
    for broken in (empty, stereo):
        with pytest.raises(AudioError, match="one dimension"):
            cut_windows(broken, 4, 2)
        with pytest.raises(AudioError, match="one dimension"):
            trim(broken, 60, 4, 2)
    with pytest.raises(InputError, match="positive"):
        cut_windows(wave, 4, 0)
    with pytest.raises(InputError, match="positive"):
        trim(wave, 0, 4, 2)


@pytest.mark.parametrize("rate", [2000, 4000, 8000, 44100])
def test_resampling_keeps_time_and_pitch(rate: int) -> None:
    t = np.arange(2 * rate) / rate
    wave = np.sin(2 * np.pi * 300 * t).astype(np.float32)
    result = resample(wave, rate, 4000)
    assert len(result) == 8000 and result.dtype == np.float32
    expected = np.sin(2 * np.pi * 300 * np.arange(8000) / 4000)
    np.testing.assert_allclose(result[200:-200], expected[200:-200], atol=1e-3)


def test_resampling_refuses_impossible_rates() -> None:
    with pytest.raises(AudioError, match="no sample rate"):
        resample(np.zeros(4, np.float32), 0, 4000)
