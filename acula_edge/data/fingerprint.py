"""A recording's fingerprint: what stays of a sound when it is encoded again, resampled, made louder, cut or shifted.

In the spirit of Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: one bit per pair of
neighboring mel bands and frame says whether their difference in level rises. Three things differ, because hearts and
lungs are not music. The bits are of decibels over a lag of several frames, so that neither gain nor a fixed filter
moves them. A second word marks the bits whose bands are loud, within :data:`LOUD_DB` of the recording's level: noise
that was added later, or the rounding of a quiet copy, decides the others. And the bands lie where the body sounds are,
below 350 Hz, which a recording at 2 kHz has as well.

Shape: wave [T] -> words [F, 2] uint32, signs and their mask, a frame every 16 ms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.quality import Pieces
from acula_edge.audio.resample import resample_blocks
from acula_edge.frontend.reference import mel_power_blocks
from acula_edge.frontend.spec import FrontendSpec

SPEC = FrontendSpec(sample_rate_hz=2000, n_fft=512, hop_length=32, n_mels=33, fmin_hz=25.0, fmax_hz=350.0)
FRAME_S = SPEC.hop_length / SPEC.sample_rate_hz
BITS = SPEC.n_mels - 1
LAG = 4
LOUD_DB = 25.0
_FLOOR_DB = 80.0
_SILENT = 1e-20
_KEPT_FRAMES = 1 << 15  # nine minutes

KEYS_KEPT = 512
_FEWEST_KEYS = 256
_WIDTH, _TAPS, _LOUD_OF_KEY, _LOUD_AT_LEAST = 4, 8, 28, 12

Words = NDArray[np.uint32]
Keys = tuple[NDArray[np.uint32], NDArray[np.int32]]


def fingerprint(wave: NDArray[np.float32], sample_rate_hz: int) -> Words:
    """Words [F, 2] of a wave [T]; none (F = 0) for silence, and for less than :data:`LAG` frames."""
    return fingerprint_pieces(lambda: [wave], sample_rate_hz)


def fingerprint_pieces(pieces: Pieces, sample_rate_hz: int) -> Words:
    """:func:`fingerprint` of a recording that need not lie in memory; a long one is asked for twice."""
    kept: list[NDArray[np.float64]] = []
    loudness: list[NDArray[np.float64]] = []
    frames = 0
    for power in _powers(pieces, sample_rate_hz):
        loudness.append(power.max(axis=1))
        frames += len(power)
        if frames <= _KEPT_FRAMES:
            kept.append(power)
        else:
            kept.clear()
    loudest = np.concatenate(loudness)
    peak = float(loudest.max())
    if peak < _SILENT or frames <= LAG:
        return np.zeros((0, 2), np.uint32)
    # The level of a recording: what a tenth of its frames exceed, which one knock does not move.
    reference = 10 * np.log10(np.quantile(loudest, 0.9) + _SILENT)
    words = []
    before = np.zeros((0, SPEC.n_mels))
    for power in kept or _powers(pieces, sample_rate_hz):
        level = 10 * np.log10(np.maximum(power, peak * 10 ** (-_FLOOR_DB / 10)))
        level = np.concatenate([before, level])
        before = level[-LAG:]
        words.append(_words(level, reference))
    return np.concatenate(words)


def _powers(pieces: Pieces, sample_rate_hz: int) -> Iterator[NDArray[np.float64]]:
    return mel_power_blocks(resample_blocks(pieces(), sample_rate_hz, SPEC.sample_rate_hz), SPEC)


def _words(level: NDArray[np.float64], reference: float) -> Words:
    """Levels [F, M] in decibels -> words [F - LAG, 2]."""
    # Gain adds the same decibels to both bands, a fixed filter adds the same to a band at both times: neither is left
    # in the difference of differences, and only its sign is kept.
    steps = level[:, :-1] - level[:, 1:]
    rises = steps[LAG:] - steps[:-LAG]
    # A sign is as sure as the quietest of the four levels that it comes from.
    pairs = np.minimum(level[:, :-1], level[:, 1:])
    quietest = np.minimum(pairs[LAG:], pairs[:-LAG])
    loud = (quietest > reference - LOUD_DB) & (rises != 0)
    return np.stack([_pack(rises > 0), _pack(loud)], axis=1)


def make_keys(words: Words) -> Keys:
    """What a fingerprint is looked up by: keys [K] and the frames [K] at which they begin, K up to :data:`KEYS_KEPT`.

    A key holds four neighboring bits at eight times, :data:`LAG` frames apart. Kept are those of which nearly all bits
    are loud, and of a sound that has few of them (a clean heart is silent between beats) the loudest others. Where
    there is a choice the smallest values are kept: copies then keep the same ones.
    """
    frames = len(words) - LAG * (_TAPS - 1)
    if frames <= 0:
        return np.zeros(0, np.uint32), np.zeros(0, np.int32)
    keys, loud = [], []
    for lowest in range(0, BITS - _WIDTH + 1, _WIDTH // 2):
        # Four bands by eight times fill 32 bits. Neighboring keys share half of their bands.
        nibbles = (words >> np.uint32(lowest)) & np.uint32((1 << _WIDTH) - 1)
        packed = np.zeros((frames, 2), np.uint32)
        for tap in range(_TAPS):
            packed |= nibbles[tap * LAG : tap * LAG + frames] << np.uint32(_WIDTH * tap)
        # The same bits in other bands are another key; mixing makes the smallest keys an arbitrary choice, which all
        # copies share (min-hashing), and not the ones with many zeros.
        keys.append(_mix(packed[:, 0] ^ np.uint32(0x9E3779B9 * (lowest + 1) & 0xFFFFFFFF)))
        loud.append(np.minimum(count_bits(packed[:, 1]), _LOUD_OF_KEY).astype(np.int8))
    every, score = np.concatenate(keys), np.concatenate(loud)
    whole = int((score == _LOUD_OF_KEY).sum())
    number = KEYS_KEPT if whole >= KEYS_KEPT else max(whole, _FEWEST_KEYS)
    candidates = np.flatnonzero(score >= (_LOUD_OF_KEY if whole >= _FEWEST_KEYS else _LOUD_AT_LEAST))
    if len(candidates) > number:
        # Loudest first, then the smallest.
        order = np.lexsort((every[candidates], -score[candidates]))[:number]
        candidates = np.sort(candidates[order])
    return every[candidates], (candidates % frames).astype(np.int32)


def _mix(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A bijection of 32-bit numbers that leaves no pattern (the finalizer of MurmurHash3)."""
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EBCA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2AE35)
    return np.asarray(values ^ (values >> np.uint32(16)), dtype=np.uint32)


def count_bits(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Bits set in each word."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(words).astype(np.int64)
    return np.asarray(_POPCOUNT[words & 0xFFFF] + _POPCOUNT[words >> 16], dtype=np.int64)


def bit_error_rate(first: Words, second: Words, offset: int) -> tuple[float, int]:
    """Share of the bits that are loud in both and differ, and how many are loud in both.

    Args:
        offset: frames by which `second` begins later: its frame 0 lies at frame `offset` of `first`.
    """
    # Only the overlap, and in it only what both recordings have loud: the other bits are decided by noise.
    start, skip = max(0, offset), max(0, -offset)
    frames = min(len(first) - start, len(second) - skip)
    if frames <= 0:
        return 1.0, 0
    a, b = first[start : start + frames], second[skip : skip + frames]
    mask = a[:, 1] & b[:, 1]
    compared = int(count_bits(mask).sum())
    if not compared:
        return 1.0, 0
    return float(count_bits((a[:, 0] ^ b[:, 0]) & mask).sum()) / compared, compared


def _pack(bits: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.asarray(np.packbits(bits, axis=1, bitorder="little").view("<u4")[:, 0], dtype=np.uint32)


_POPCOUNT = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8).astype(np.int64)
