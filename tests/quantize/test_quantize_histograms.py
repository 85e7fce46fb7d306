from __future__ import annotations

import numpy as np
import pytest

from acula_edge.quantize.histograms import BINS, Histogram
from acula_edge.quantize.thresholds import METHODS, choose_range, round_to_8_bits


def collected(*arrays: np.ndarray) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


def growing(count: int = 12, seed: int = 0) -> list[np.ndarray]:
    """Windows whose magnitudes differ by orders of magnitude."""
    generator = np.random.default_rng(seed)
    return [(generator.normal(size=(1, 3, 50)) * 3.0**turn).astype(np.float32) for turn in range(count)]


def test_counts_do_not_depend_on_the_order_of_windows() -> None:
    windows = growing()
    forth, back, at_once = collected(*windows), collected(*windows[::-1]), collected(np.concatenate(windows))
    for other in (back, at_once):
        assert (forth.width, forth.range) == (other.width, other.range)
        np.testing.assert_array_equal(forth.counts, other.counts)


def test_counts_are_those_of_numpy_in_the_same_bins() -> None:
    windows = growing()
    histogram = collected(*windows)
    edges = np.arange(-BINS, BINS + 1) * histogram.width
    np.testing.assert_array_equal(histogram.counts, np.histogram(np.concatenate(windows).astype(np.float64), edges)[0])
    largest = max(-histogram.low, histogram.high)
    assert BINS * histogram.width / 2 <= largest < BINS * histogram.width


@pytest.mark.parametrize("limit", [1.0, 2.0**-140, 3e38])
def test_extremes_of_any_size_fall_inside(limit: float) -> None:
    histogram = collected(np.float32([-limit, 0, limit]), np.zeros(5, np.float32), np.zeros(0, np.float32))
    assert histogram.counts.sum() == 8
    assert histogram.range == (-float(np.float32(limit)), float(np.float32(limit)))
    assert histogram.magnitudes().sum() == 8


def test_zeros_before_anything_else_stay_zeros() -> None:
    histogram = collected(np.zeros(7, np.float32), np.float32([4.0]))
    centers, counts = histogram.occupied()
    assert counts.tolist() == [7, 1]
    assert 0 < centers[0] < histogram.width


def loss(values: np.ndarray, found: tuple[float, float], symmetric: bool) -> float:
    limits = (-max(-found[0], found[1]), max(-found[0], found[1])) if symmetric else found
    return float(np.square(values - round_to_8_bits(values, *limits, symmetric=symmetric)).sum())


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("shape", ["two-sided", "one-sided", "skewed"])
def test_mse_loses_least_of_all_methods(symmetric: bool, shape: str) -> None:
    values = np.random.default_rng(1).laplace(size=200_000).astype(np.float32)
    values = values * np.abs(values)
    values = values if shape == "two-sided" else np.where(values < 0, 0 if shape == "one-sided" else values / 9, values)
    histogram = collected(values)
    losses = {m: loss(values, choose_range(histogram, m, symmetric=symmetric), symmetric) for m in METHODS}
    assert losses["mse"] == min(losses.values())
    assert losses["mse"] < 0.95 * losses["minmax"]


def test_mse_of_a_uniform_activation_clips_nothing() -> None:
    values = np.linspace(-1, 3, 100_001, dtype=np.float32)
    assert choose_range(collected(values), "mse") == pytest.approx((-1.0, 3.0))


@pytest.mark.parametrize("method", METHODS)
def test_ranges_stay_within_what_was_seen_and_keep_zero(method: str) -> None:
    for values in (np.float32([3, 4, 5]), np.float32([-3, -1]), np.float32([-2, 7])):
        low, high = choose_range(collected(np.repeat(values, 1000)), method)
        assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)
