"""Is there anything to measure? Figures about one recording, before any score is read. NumPy only.

Spectral figures come from frames that follow each other without overlap, of the largest power of two of samples that
is no longer than ``frame_s`` (256 at 4 kHz), without the recording's mean and under a periodic Hann window. Blocks are
the mean power of ``block_frames`` frames. Frames and blocks that a recording does not fill are left out. Percentiles
are interpolated linearly between order statistics, as :func:`numpy.percentile` does by default.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Power = NDArray[np.float64]

MIN_FRAMES = 8
"""Fewer frames (half a second) say nothing about noise or bandwidth."""
MIN_BLOCKS = 4
"""Fewer blocks (two seconds) say nothing about contact or handling."""
SNR_RANGE_DB = (-20.0, 80.0)


@dataclass(frozen=True)
class QualityAnalysis:
    """Constants of the figures; a bundle carries them beside its limits.

    Attributes:
        full_scale: magnitude from which a sample is at full scale.
        plateau_steps: 16-bit steps: samples this close to the largest or the smallest lie on a plateau. Sound that was
            clipped and then turned down has plateaus below full scale.
        plateau_spread_steps: distance between the largest and the smallest sample, below which plateaus mean nothing.
        flat_frame_s: length of the frames that stand still when all in them lies within `flat_steps`.
        flat_steps: in 16-bit steps.
        frame_s: of spectra, at most.
        block_frames: frames whose mean power is one block (0.5 s at 4 kHz).
        band_hz: where heart and breath sound lies.
        contact_band_hz: what only a sensor on a body hears.
        floor_percentile: of the frames' power in `band_hz`: the noise between beats and breaths.
        loud_percentile: of the blocks' power in `contact_band_hz`: the level with contact.
        bandwidth_drop_db: below the strongest frequency, down to which a frequency counts as transmitted.
        contact_drop_db: below the level with contact, from which a block has none.
        contact_depth_db: below the loudest block, from which a block has none, however few have any.
        handling_rise_db: above the median block in `band_hz`, from which a block is handling noise.
    """

    full_scale: float = 0.999
    plateau_steps: float = 0.5
    plateau_spread_steps: float = 2048.0
    flat_frame_s: float = 0.05
    flat_steps: float = 1.5
    frame_s: float = 0.0641
    block_frames: int = 8
    band_hz: tuple[float, float] = (25.0, 800.0)
    contact_band_hz: tuple[float, float] = (25.0, 150.0)
    floor_percentile: float = 10.0
    loud_percentile: float = 75.0
    bandwidth_drop_db: float = 60.0
    contact_drop_db: float = 20.0
    contact_depth_db: float = 35.0
    handling_rise_db: float = 20.0


def measure_quality(wave: Wave, sample_rate_hz: int, analysis: QualityAnalysis) -> dict[str, float | None]:
    """Every figure of one recording, at the rate at which it was made.

    Shape: wave [T] in [-1, 1], T > 0.

    Returns:
        By name; None where the recording is too short or too silent for a figure:

        * ``duration_s``;
        * ``level_dbfs``: RMS without the mean, relative to full scale; None for digital silence;
        * ``peak``: largest magnitude;
        * ``clipped``: share of samples at full scale or on a plateau (see :class:`QualityAnalysis`);
        * ``dc_offset``: magnitude of the mean;
        * ``flat``: share of frames of ``flat_frame_s`` that stand still;
        * ``bandwidth_hz``: highest frequency whose power (median over blocks) lies no more than ``bandwidth_drop_db``
          below that of the strongest frequency at or above ``band_hz[0]``;
        * ``snr_db``: with P the frames' power in ``band_hz`` and N its ``floor_percentile``,
          10 log10((mean P - N) / N), within -20 and 80 dB: how far beats and breaths rise above what lies between
          them. Steady noise gives about -5 dB, a steady tone less;
        * ``contact_lost``: share of blocks whose power in ``contact_band_hz`` lies more than ``contact_drop_db``
          below the ``loud_percentile`` block, or more than ``contact_depth_db`` below the loudest;
        * ``handling``: share of blocks whose power in ``band_hz`` lies more than ``handling_rise_db`` above the
          median block.
    """
    mean = float(wave.mean(dtype=np.float64))
    centered = wave - np.float32(mean)
    power = float(np.dot(centered, centered)) / wave.size
    top, bottom = float(wave.max()), float(wave.min())
    figures: dict[str, float | None] = {
        "duration_s": wave.size / sample_rate_hz,
        "level_dbfs": 10 * float(np.log10(power)) if top > bottom and power > 0 else None,
        "peak": max(top, -bottom),
        "clipped": _clipped_share(wave, top, bottom, analysis),
        "dc_offset": abs(mean),
        "flat": _flat_share(wave, sample_rate_hz, analysis),
    }
    return figures | _spectral_figures(centered, sample_rate_hz, analysis)


def _clipped_share(wave: Wave, top: float, bottom: float, analysis: QualityAnalysis) -> float:
    high, low = analysis.full_scale, -analysis.full_scale
    if (top - bottom) * 32768 >= analysis.plateau_spread_steps:
        margin = analysis.plateau_steps / 32768
        high, low = min(top - margin, high), max(bottom + margin, low)
    return float(np.count_nonzero(wave >= high) + np.count_nonzero(wave <= low)) / wave.size


def _flat_share(wave: Wave, sample_rate_hz: int, analysis: QualityAnalysis) -> float:
    length = max(2, round(analysis.flat_frame_s * sample_rate_hz))
    frames = wave[: wave.size // length * length].reshape(-1, length)
    if frames.size == 0:
        frames = wave[None]
    moved = frames.max(axis=1) - frames.min(axis=1)
    return float(np.mean(moved < np.float32(analysis.flat_steps / 32768)))


def _spectral_figures(wave: Wave, sample_rate_hz: int, analysis: QualityAnalysis) -> dict[str, float | None]:
    figures: dict[str, float | None] = dict.fromkeys(("bandwidth_hz", "snr_db", "contact_lost", "handling"))
    frame = 1 << int(np.log2(max(2.0, analysis.frame_s * sample_rate_hz)))
    count = wave.size // frame
    if count < MIN_FRAMES:
        return figures
    bin_hz = sample_rate_hz / frame
    # NumPy transforms float64 several times faster than float32.
    spectra = np.fft.rfft(wave[: count * frame].reshape(count, frame).astype(np.float64) * _hann(frame))
    power: Power = spectra.real**2 + spectra.imag**2
    frames = _band(power, bin_hz, analysis.band_hz)
    figures["snr_db"] = _snr(frames, analysis)
    blocks = _blocks(power, analysis.block_frames)
    figures["bandwidth_hz"] = _bandwidth(blocks, bin_hz, analysis)
    if len(blocks) >= MIN_BLOCKS:
        contact, sound = (_band(blocks, bin_hz, band_hz) for band_hz in (analysis.contact_band_hz, analysis.band_hz))
        usual = _percentile(contact, analysis.loud_percentile) * 10 ** (-analysis.contact_drop_db / 10)
        least = max(usual, float(contact.max()) * 10 ** (-analysis.contact_depth_db / 10))
        figures["contact_lost"] = float(np.mean(contact < least))
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


def _bandwidth(blocks: Power, bin_hz: float, analysis: QualityAnalysis) -> float | None:
    typical = np.median(blocks, axis=0)
    strongest = float(typical[int(np.ceil(analysis.band_hz[0] / bin_hz)) :].max(initial=0.0))
    if strongest <= 0:
        return None
    return float(np.flatnonzero(typical >= strongest * 10 ** (-analysis.bandwidth_drop_db / 10))[-1]) * bin_hz


def _snr(frames: Power, analysis: QualityAnalysis) -> float | None:
    floor, mean = _percentile(frames, analysis.floor_percentile), float(frames.mean())
    if mean <= 0:
        return None
    low, high = SNR_RANGE_DB
    if floor <= mean * 10 ** (-high / 10):
        return high
    return max(low, 10 * float(np.log10(max((mean - floor) / floor, 10 ** (low / 10)))))
