"""Triangular mel filters: Slaney's (librosa's default), HTK's (torchaudio's default) and Kaldi's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.frontend.native import NativeFrontendSpec, resampler_response
from acula_edge.frontend.spec import FrontendSpec

# Slaney's Auditory Toolbox: linear up to 1 kHz with 3 mel per 200 Hz, then 27 steps for every factor of 6.4.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27

# HTK and Kaldi: 1000 mel at 1 kHz, logarithmic throughout.
_HTK_MEL = 2595 / np.log(10)
_HTK_HZ = 700.0


def hz_to_mel(hz: NDArray[np.float64], scale: str = "slaney") -> NDArray[np.float64]:
    """Frequency in Hz to mel.

    >>> hz_to_mel(np.array([200.0, 1000.0, 6400.0])).round(6).tolist()  # Slaney's: linear up to 1 kHz
    [3.0, 15.0, 42.0]
    """
    if scale == "htk":
        return np.asarray(_HTK_MEL * np.log1p(hz / _HTK_HZ))
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: NDArray[np.float64], scale: str = "slaney") -> NDArray[np.float64]:
    """Mel to frequency in Hz."""
    if scale == "htk":
        return np.asarray(_HTK_HZ * np.expm1(mel / _HTK_MEL))
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def mel_filterbank(spec: FrontendSpec) -> NDArray[np.float64]:
    """Weights that turn a power spectrum into mel bands.

    Slaney's triangles have an area of 1 (in Hz), the others a height of 1. Kaldi's are triangles over mel, the others
    over Hz. The weights of 0 Hz and of half the sample rate are always 0: no triangle reaches past its edges.

    Shape: [transform_length // 2 + 1, M].
    """
    scale = "htk" if spec.kind == "kaldi-fbank" else spec.mel_scale
    bins = np.arange(spec.transform_length // 2 + 1, dtype=np.float64)
    bins_hz = bins * (spec.sample_rate_hz / spec.transform_length)
    edges_mel = hz_to_mel(np.array([spec.fmin_hz, spec.fmax_hz], dtype=np.float64), scale)
    corners_mel = np.linspace(edges_mel[0], edges_mel[1], spec.n_mels + 2)
    if spec.kind == "kaldi-fbank":
        # Straight in mel, so bent in Hz: Kaldi weighs by the distance in mel, all others by the distance in Hz.
        weights = _triangles(hz_to_mel(bins_hz, scale), corners_mel)
        weights[-1] = 0
        return weights
    corners_hz = mel_to_hz(corners_mel, scale)
    # The corners come back from mel with a rounding error; the band's edges are exact.
    corners_hz[0], corners_hz[-1] = spec.fmin_hz, spec.fmax_hz
    weights = _triangles(bins_hz, corners_hz)
    if scale == "slaney":
        # A triangle of height 1 over that base has half of it as area: white noise then fills every band alike.
        weights *= 2.0 / (corners_hz[2:] - corners_hz[:-2])
    if isinstance(spec, NativeFrontendSpec):
        # Filters may reach past half the rate here, so its bin has a weight; the graph's transforms leave that bin out.
        weights *= resampler_response(spec)[:, None]
        weights[-1] = 0
    return weights


def _triangles(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at `points` [N] of the triangles over neighboring corners [M + 2]. Shape: [N, M]."""
    lower, center, upper = corners[:-2], corners[1:-1], corners[2:]
    # Under both edges' lines, and never below zero.
    rising = (points[:, None] - lower) / (center - lower)
    falling = (upper - points[:, None]) / (upper - center)
    return np.maximum(0.0, np.minimum(rising, falling))
