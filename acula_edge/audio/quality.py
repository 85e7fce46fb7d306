"""Is there anything to measure? Figures about one recording, before any score is read. NumPy only.

Spectral figures come from frames that follow each other without overlap, of the largest power of two of samples that
is no longer than ``frame_s`` (256 at 4 kHz), without the recording's mean and under a periodic Hann window. Blocks are
the mean power of ``block_frames`` frames. Frames and blocks that a recording does not fill are left out. Percentiles
are interpolated linearly between order statistics, as :func:`numpy.percentile` does by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.quality_spectra import Spectra
from acula_edge.errors import AudioError

Wave = NDArray[np.float32]

PIECE_SAMPLES = 1 << 18
"""Samples measured at a time; a multiple of every block of frames."""

Pieces = Callable[[], Iterable[Wave]]
"""A recording from its beginning, in pieces of any length; called twice."""


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
    return measure_pieces(lambda: [wave], sample_rate_hz, analysis)


def measure_pieces(pieces: Pieces, sample_rate_hz: int, analysis: QualityAnalysis) -> dict[str, float | None]:
    """:func:`measure_quality` of a recording that need not lie in memory: for each sample half a byte, and a piece.

    Equal to the last bit, however the recording is cut.

    Raises:
        AudioError: there are no samples.
    """
    samples, total, top, bottom = 0, 0.0, -np.inf, np.inf
    for wave in cut_pieces(pieces(), PIECE_SAMPLES):
        samples, total = samples + wave.size, total + float(wave.sum(dtype=np.float64))
        top, bottom = max(top, float(wave.max())), min(bottom, float(wave.min()))
    if not samples:
        raise AudioError("the sound holds no samples")
    mean = total / samples
    high, low = _full_scale(top, bottom, analysis)
    flat = max(2, round(analysis.flat_frame_s * sample_rate_hz))
    spectra = Spectra(sample_rate_hz, analysis)
    energy, clipped, seen = 0.0, 0, 0
    still: list[NDArray[np.bool_]] = []
    flat_rest = rest = np.zeros(0, np.float32)
    for wave in cut_pieces(pieces(), PIECE_SAMPLES):
        seen += wave.size
        clipped += int(np.count_nonzero(wave >= high) + np.count_nonzero(wave <= low))
        flat_rest = _still(_join(flat_rest, wave), flat, still, analysis)
        centered = wave - np.float32(mean)
        energy += float(np.dot(centered, centered))
        rest = spectra.add(_join(rest, centered), last=seen == samples)
    if not still:
        _still(flat_rest, flat_rest.size, still, analysis)
    power = energy / samples
    figures: dict[str, float | None] = {
        "duration_s": samples / sample_rate_hz,
        "level_dbfs": 10 * float(np.log10(power)) if top > bottom and power > 0 else None,
        "peak": max(top, -bottom),
        "clipped": clipped / samples,
        "dc_offset": abs(mean),
        "flat": float(np.mean(np.concatenate(still))),
    }
    return figures | spectra.figures()


def cut_pieces(waves: Iterable[Wave], length: int) -> Iterator[Wave]:
    """A wave cut anew, into pieces of one length and the rest."""
    held: list[Wave] = []
    size = 0
    for wave in waves:
        while wave.size:
            part, wave = wave[: length - size], wave[length - size :]
            held.append(part)
            size += part.size
            if size == length:
                yield held[0] if len(held) == 1 else np.concatenate(held)
                held, size = [], 0
    if size:
        yield held[0] if len(held) == 1 else np.concatenate(held)


def _join(rest: Wave, wave: Wave) -> Wave:
    return np.concatenate([rest, wave]) if rest.size else wave


def _full_scale(top: float, bottom: float, analysis: QualityAnalysis) -> tuple[float, float]:
    """From where on, and down from where, a sample is clipped."""
    high, low = analysis.full_scale, -analysis.full_scale
    if (top - bottom) * 32768 >= analysis.plateau_spread_steps:
        margin = analysis.plateau_steps / 32768
        high, low = min(top - margin, high), max(bottom + margin, low)
    return high, low


def _still(wave: Wave, length: int, still: list[NDArray[np.bool_]], analysis: QualityAnalysis) -> Wave:
    """Keep which of the wave's whole frames stand still; what is left over."""
    whole = wave.size // length * length
    if whole:
        frames = wave[:whole].reshape(-1, length)
        still.append(frames.max(axis=1) - frames.min(axis=1) < np.float32(analysis.flat_steps / 32768))
    return wave[whole:]
