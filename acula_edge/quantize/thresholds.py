"""The range that 8 bits should span, chosen from a histogram: clipping a few numbers may serve all the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import InputError
from acula_edge.quantize.histograms import BINS, Histogram, Range

METHODS = ("minmax", "percentile", "entropy", "mse")
PERCENTILE = 99.999

# Entropy: levels of one side, as in TensorRT's calibrator; bins between two thresholds that are tried.
LEVELS_OF_A_SIDE = 128
ENTROPY_STEP = 32

# MSE: shares of the full range that are tried, the widest first.
SHARES = np.arange(100, 4, -1) / 100

Vector = NDArray[np.float64]


def choose_range(histogram: Histogram, method: str, *, symmetric: bool = False) -> Range:
    """The range of one activation; it never leaves what was seen, and keeps 0.

    Args:
        method: ``minmax``: everything seen. ``percentile``: all but the outermost 0.001 %. ``entropy``: the threshold
            on magnitudes whose 8-bit histogram diverges least (Kullback-Leibler) from the observed one, after
            Migacz 2017 (8-bit Inference with TensorRT, GTC S7310). ``mse``: the least sum of squared differences
            between the observed numbers and their 8-bit forms, rounding and clipping together.
        symmetric: whether 8 bits will span [-t, t] (255 levels) or the range itself (256 levels, with a zero point).

    Raises:
        InputError: an unknown method.
    """
    if method not in METHODS:
        raise InputError("unknown calibration method", given=method, allowed=METHODS)
    if histogram.low == histogram.high or method == "minmax":
        return histogram.range
    if method == "percentile":
        return _percentile_range(histogram)
    return _entropy_range(histogram, symmetric) if method == "entropy" else _mse_range(histogram, symmetric)


def round_to_8_bits(values: Vector, low: float, high: float, *, symmetric: bool) -> Vector:
    """What `values` become when 8 bits span [low, high], in the form that ONNX Runtime's quantizer chooses."""
    if symmetric:
        step = max(-low, high) / 127
        return np.asarray(np.clip(np.rint(values / step), -127, 127) * step)
    step = (high - low) / 255
    zero = np.rint(-low / step)
    return np.asarray((np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step)


def _percentile_range(histogram: Histogram) -> Range:
    low, high, width = histogram.low, histogram.high, histogram.width
    tail = (1 - PERCENTILE / 100) / (2 if low < 0 < high else 1)
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    left = (int(np.searchsorted(share, tail, side="right")) - BINS) * width
    right = (min(int(np.searchsorted(share, 1 - tail)) + 1, 2 * BINS) - BINS) * width
    return min(max(left, low), 0.0), max(min(right, high), 0.0)


def _entropy_range(histogram: Histogram, symmetric: bool) -> Range:
    """One threshold on magnitudes; a one-sided range keeps its zero end."""
    low, high = histogram.range
    magnitudes = histogram.magnitudes()
    # What ReLU has set to 0 is exact in any scale and would drown the rest: NVIDIA's calibrator does the same.
    magnitudes[0] = min(magnitudes[0], magnitudes[1])
    used = int(np.flatnonzero(magnitudes)[-1]) + 1
    # Without a negative side, a zero point gives all 256 levels to the positive one.
    levels = LEVELS_OF_A_SIDE * (1 if symmetric or low < 0 < high else 2)
    counts = [*range(levels, used, ENTROPY_STEP), used]
    scores = []
    for count in counts:
        reference = magnitudes[:count].copy()
        reference[-1] += magnitudes[count:].sum()
        scores.append(_divergence(reference, _coarsen(magnitudes[:count], levels)))
    threshold = counts[int(np.argmin(scores))] * histogram.width
    return max(low, -threshold), min(high, threshold)


def _coarsen(magnitudes: Vector, levels: int) -> Vector:
    """What the histogram looks like after quantization: every level's mass spread over its occupied bins."""
    level = np.arange(len(magnitudes)) * levels // len(magnitudes)
    occupied = magnitudes > 0
    mass = np.bincount(level, weights=magnitudes, minlength=levels)
    bins = np.bincount(level, weights=occupied, minlength=levels)
    return np.where(occupied, mass[level] / np.maximum(bins[level], 1), 0.0)


def _divergence(reference: Vector, candidate: Vector) -> float:
    """Kullback-Leibler divergence, with a little mass everywhere so that it is finite."""
    first = reference / reference.sum()
    second = candidate + 1e-9 * max(candidate.sum(), 1.0)
    second /= second.sum()
    held = first > 0
    return float(np.sum(first[held] * np.log(first[held] / second[held])))


def _mse_range(histogram: Histogram, symmetric: bool) -> Range:
    centers, counts = histogram.occupied()
    low, high = histogram.range

    def error(left: float, right: float) -> float:
        rounded = round_to_8_bits(centers, left, right, symmetric=symmetric)
        return float(np.dot(counts, np.square(centers - rounded)))

    if symmetric:
        largest = max(-low, high)
        threshold = _best(largest * SHARES, lambda t: error(-t, t))
        return max(low, -threshold), min(high, threshold)
    left, right = low, high
    # The two ends one after the other, twice: the second turn sees the first's other end.
    for _ in range(2 if low < 0 < high else 1):
        if high > 0:
            right = _best(high * SHARES, partial(error, left))
        if low < 0:
            left = _best(low * SHARES, partial(_swapped, error, right))
    return left, right


def _best(values: Vector, error: Callable[[float], float]) -> float:
    """The value with the least error, the first of equals."""
    return float(values[int(np.argmin([error(float(value)) for value in values]))])


def _swapped(error: Callable[[float, float], float], right: float, left: float) -> float:
    return error(left, right)
