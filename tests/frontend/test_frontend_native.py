"""A front end at a recording's own rate against resampling and the reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from acula_edge.bundle.golden import golden_waves
from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import hz_to_mel, mel_filterbank, mel_to_hz
from acula_edge.frontend.native import NativeFrontendSpec, native_spec, resampler_response
from acula_edge.frontend.published import AST
from acula_edge.frontend.reference import log_mel, log_mel_at
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import graph_frontend, make_frontend

RATES_HZ = (2000, 4000, 8000)
IN_BAND, TRANSITION, ENDS = 1e-4, 0.02, 0.04


def sounds(rate_hz: int) -> dict[str, np.ndarray]:
    """Eight seconds of heart, breath, a wheeze and noise, [T] float32 each."""
    samples = 8 * rate_hz
    time_s = np.arange(samples) / rate_hz
    noise = np.random.default_rng(3).standard_normal(samples)
    breath = np.sin(2 * np.pi * time_s / 3.2) ** 2
    falling = np.fft.rfft(noise) / (1 + (np.fft.rfftfreq(samples, 1 / rate_hz) / 150) ** 2)
    lung = np.fft.irfft(falling, samples)
    lung = 0.3 * lung / np.abs(lung).max() * breath
    waves = {
        "heart": golden_waves(rate_hz, samples)["heart"],
        "lung": lung,
        "wheeze": lung + 0.05 * np.sin(2 * np.pi * 350 * time_s) * breath,
        "noise": 0.1 * noise,
    }
    return {name: wave.astype(np.float32) for name, wave in waves.items()}


def bands(rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Which bands end below 0.88 of half the rate, and which begin at half the rate or above."""
    edges_mel = hz_to_mel(np.array([OPERA.fmin_hz, OPERA.fmax_hz]))
    corners_hz = mel_to_hz(np.linspace(*edges_mel, OPERA.n_mels + 2))
    return corners_hz[2:] <= 0.88 * rate_hz / 2, corners_hz[:-2] >= rate_hz / 2


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("normalization", ["minmax", "range"])
def test_a_native_front_end_gives_what_resampling_gives(rate_hz: int, normalization: str) -> None:
    spec = dataclasses.replace(OPERA, normalization=normalization)
    native = native_spec(spec, rate_hz)
    inside, above = bands(rate_hz)
    for name, wave in sounds(rate_hz).items():
        expected, found = log_mel_at(wave, rate_hz, spec), log_mel(wave, native)
        assert expected.shape == found.shape
        difference = np.abs(found - expected)
        assert difference[1:-1][:, inside].max() < IN_BAND, name
        assert difference[[0, -1]][:, inside].max() < ENDS, name
        if name != "noise":
            assert difference[1:-1][:, above].max() == 0, name
            assert difference[1:-1].max() < (TRANSITION if rate_hz > 2000 else 0.25), name
        else:
            assert difference[1:-1].max() < 0.3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_all_forms_have_native_rates(rate_hz: int) -> None:
    native = native_spec(OPERA, rate_hz)
    assert isinstance(native, NativeFrontendSpec) and native.filter_rate_hz == 16000
    for name in ("heart", "noise"):
        wave = sounds(rate_hz)[name]
        expected = log_mel(wave, native)
        for form in (make_frontend(native), graph_frontend(native, len(wave))):
            np.testing.assert_allclose(form(torch.from_numpy(wave[None]))[0].numpy(), expected, atol=1e-4)


def test_bins_filters_and_frames_keep_their_place() -> None:
    native = native_spec(OPERA, 4000)
    assert (native.n_fft, native.hop_length, native.fmax_hz) == (256, 128, 8000)
    inside = slice(0, 100)
    np.testing.assert_allclose(mel_filterbank(native)[inside], mel_filterbank(OPERA)[inside], rtol=1e-3)
    assert not mel_filterbank(native)[:, bands(4000)[1]].any()
    assert native.frames(32720) == OPERA.frames(130880)
    assert native_spec(OPERA, 16000) is OPERA
    assert NativeFrontendSpec.from_dict(native.to_dict()) == native


def test_the_response_is_that_of_the_resampler() -> None:
    response = resampler_response(native_spec(OPERA, 4000))
    np.testing.assert_allclose(response[:110], 1, atol=1e-3)
    assert (np.diff(response[115:]) <= 1e-6).all() and response[-1] < 1e-6


def test_rates_that_do_not_fit_are_refused() -> None:
    for rate_hz in (0, 44100, 11025, 32000):
        with pytest.raises(InputError, match="cannot be had at this rate"):
            native_spec(OPERA, rate_hz)
    with pytest.raises(InputError, match="only log-mel"):
        native_spec(AST, 8000)
    with pytest.raises(InputError, match="half the sample rate"):
        FrontendSpec(4000, 256, 128, 64, 50, 8000)
