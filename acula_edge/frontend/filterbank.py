"""Triangular mel filters on Slaney's scale, with Slaney's norm (the ones librosa makes by default)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.frontend.spec import FrontendSpec

# Slaney's Auditory Toolbox: linear up to 1 kHz with 3 mel per 200 Hz, then 27 steps for every factor of 6.4.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequency in Hz to Slaney mel."""
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney mel to frequency in Hz."""
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def mel_filterbank(spec: FrontendSpec) -> NDArray[np.float64]:
    """Weights that turn a power spectrum into mel bands; the area under every triangle is 1 (in Hz).

    The weights of 0 Hz and of half the sample rate are always 0: no triangle reaches past its edges.

    Shape: [n_fft // 2 + 1, M].
    """
    bins_hz = np.arange(spec.n_fft // 2 + 1) * (spec.sample_rate_hz / spec.n_fft)
    edges_mel = hz_to_mel(np.array([spec.fmin_hz, spec.fmax_hz], dtype=np.float64))
    corners_hz = mel_to_hz(np.linspace(edges_mel[0], edges_mel[1], spec.n_mels + 2))
    # The corners come back from mel with a rounding error; the band's edges are exact.
    corners_hz[0], corners_hz[-1] = spec.fmin_hz, spec.fmax_hz
    lower, center, upper = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz[:, None] - lower) / (center - lower)
    falling = (upper - bins_hz[:, None]) / (upper - center)
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (upper - lower))
    return weights
