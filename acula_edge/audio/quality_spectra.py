"""The figures of quality that are seen in spectra, of sound that comes in pieces. NumPy only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from acula_edge.audio.quality import QualityAnalysis

Wave = NDArray[np.float32]
Power = NDArray[np.float64]

MIN_FRAMES = 8
"""Fewer frames (half a second) say nothing about noise or bandwidth."""
MIN_BLOCKS = 4
"""Fewer blocks (two seconds) say nothing about contact or handling."""
SNR_RANGE_DB = (-20.0, 80.0)
_MEDIAN_BINS = 32


class Spectra:
    """Power of a recording's frames in the band, and mean power spectra of its blocks, as samples come.

    Args:
        sample_rate_hz: of the samples.
        analysis: constants of the figures.
    """

    def __init__(self, sample_rate_hz: int, analysis: QualityAnalysis) -> None:
        self._analysis = analysis
        # The power of 2 at or below the asked length.
        self._frame = 1 << int(np.log2(max(2.0, analysis.frame_s * sample_rate_hz)))
        self._bin_hz = sample_rate_hz / self._frame
        self._frames: list[Power] = []
        self._blocks: list[Power] = []

    def add(self, wave: Wave, last: bool = False) -> Wave:
        """Take in the whole blocks of a wave without its mean, at the end its whole frames too; what is left over."""
        unit = self._frame if last else self._frame * self._analysis.block_frames
        # Only whole blocks, so that they lie at the same samples however the sound comes in pieces.
        whole = wave.size // unit * unit
        if whole:
            # NumPy transforms float64 several times faster than float32.
            spectra = np.fft.rfft(wave[:whole].reshape(-1, self._frame).astype(np.float64) * _hann(self._frame))
            power: Power = spectra.real**2 + spectra.imag**2
            self._frames.append(_band(power, self._bin_hz, self._analysis.band_hz))
            if len(power) >= self._analysis.block_frames:
                self._blocks.append(_blocks(power, self._analysis.block_frames))
        return wave[whole:]

    def figures(self) -> dict[str, float | None]:
        """Bandwidth, SNR, contact and handling (:func:`acula_edge.audio.quality.measure_quality`)."""
        analysis = self._analysis
        figures: dict[str, float | None] = dict.fromkeys(("bandwidth_hz", "snr_db", "contact_lost", "handling"))
        if sum(map(len, self._frames)) < MIN_FRAMES:
            return figures
        figures["snr_db"] = _snr(np.concatenate(self._frames), analysis)
        if not self._blocks:
            return figures
        figures["bandwidth_hz"] = _bandwidth(_medians(self._blocks), self._bin_hz, analysis)
        contact, sound = (
            np.concatenate([_band(blocks, self._bin_hz, hz) for blocks in self._blocks])
            for hz in (analysis.contact_band_hz, analysis.band_hz)
        )
        if len(contact) >= MIN_BLOCKS:
            # A lifted chest piece loses the low band. It must be quiet beside what is usual here, but a recording that
            # is mostly lifted has a quiet "usual": the loudest block bounds it from below.
            usual = _percentile(contact, analysis.loud_percentile) * 10 ** (-analysis.contact_drop_db / 10)
            least = max(usual, float(contact.max()) * 10 ** (-analysis.contact_depth_db / 10))
            figures["contact_lost"] = float(np.mean(contact < least))
            # A knock or rubbing is far above the median block, which it cannot move while it is rare.
            most = _percentile(sound, 50) * 10 ** (analysis.handling_rise_db / 10)
            figures["handling"] = float(np.mean(sound > most))
        return figures


@functools.cache
def _hann(length: int) -> Power:
    window: Power = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return window


def _band(power: Power, bin_hz: float, band_hz: tuple[float, float]) -> Power:
    first, last = int(np.ceil(band_hz[0] / bin_hz)), int(np.floor(band_hz[1] / bin_hz))
    band: Power = power[:, first : last + 1].sum(axis=1)
    return band


def _blocks(power: Power, frames: int) -> Power:
    count = len(power) // frames
    blocks: Power = power[: count * frames].reshape(count, frames, -1).mean(axis=1)
    return blocks


def _percentile(values: Power, percentile: float) -> float:
    ordered = np.sort(values)
    place = percentile / 100 * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def _medians(parts: Sequence[Power]) -> Power:
    """Median of every bin, a few at a time: spectra of hours are not copied. Shape: parts of [N_i, K] -> [K]."""
    if len(parts) == 1:
        return np.asarray(np.median(parts[0], axis=0))
    starts = range(0, parts[0].shape[1], _MEDIAN_BINS)
    groups = ([part[:, start : start + _MEDIAN_BINS] for part in parts] for start in starts)
    return np.concatenate([np.median(np.concatenate(group), axis=0) for group in groups])


def _bandwidth(typical: Power, bin_hz: float, analysis: QualityAnalysis) -> float | None:
    # Of median spectra: one knock, which has all frequencies, does not widen the band.
    strongest = float(typical[int(np.ceil(analysis.band_hz[0] / bin_hz)) :].max(initial=0.0))
    if strongest <= 0:
        return None
    return float(np.flatnonzero(typical >= strongest * 10 ** (-analysis.bandwidth_drop_db / 10))[-1]) * bin_hz


def _snr(frames: Power, analysis: QualityAnalysis) -> float | None:
    # Body sounds pause, so the quietest frames are taken for noise alone; the mean is of sound and noise.
    floor, mean = _percentile(frames, analysis.floor_percentile), float(frames.mean())
    if mean <= 0:
        return None
    low, high = SNR_RANGE_DB
    if floor <= mean * 10 ** (-high / 10):
        return high
    return max(low, 10 * float(np.log10(max((mean - floor) / floor, 10 ** (low / 10)))))
