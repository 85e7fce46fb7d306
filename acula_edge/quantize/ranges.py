"""Ranges of activations over calibration windows, one window in memory at a time.

ONNX Runtime's percentile and entropy calibrators keep every activation of every window; these keep a histogram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.errors import InputError
from acula_edge.quantize.graph import consumers

METHODS = ("minmax", "percentile", "entropy")
PERCENTILE = 99.999
BINS = 2048
ENTROPY_LEVELS = 128
ENTROPY_STEP = 16

Array = NDArray[np.float32]
Range = tuple[float, float]


def float_values(model: onnx.ModelProto) -> list[str]:
    """Values of a graph that a node makes or reads and that hold float activations, in graph order."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    floats = {
        value.name
        for value in [*inferred.value_info, *inferred.input, *inferred.output]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    read = consumers(model)
    names = [value.name for value in model.graph.input if value.name in read]
    names += [name for node in model.graph.node for name in node.output]
    return [name for name in names if name in floats]


def observe(model: onnx.ModelProto, mels: Sequence[Array], values: Sequence[str]) -> Iterator[dict[str, Array]]:
    """Run a float graph over spectrograms and show chosen values, one window at a time.

    Shape: mels of [1, F, M].
    """
    import onnxruntime

    inferred = onnx.shape_inference.infer_shapes(model)
    known = {value.name: value for value in inferred.graph.value_info}
    (entry,) = [value.name for value in inferred.graph.input]
    outputs = {value.name for value in inferred.graph.output}
    inferred.graph.output.extend(known[name] for name in values if name not in outputs and name != entry)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(inferred.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [name for name in values if name != entry]
    for mel in mels:
        # An empty list would ask for every output.
        arrays = session.run(wanted, {entry: mel}) if wanted else []
        shown = dict(zip(wanted, arrays, strict=True))
        if entry in values:
            shown[entry] = mel
        yield shown


def find_ranges(
    model: onnx.ModelProto, mels: Sequence[Array], values: Sequence[str], method: str = "minmax"
) -> dict[str, Range]:
    """Range of every value.

    Args:
        method: ``minmax``; ``percentile``, which leaves out the outermost 0.001 %; ``entropy``, which chooses the
            threshold whose 128-level histogram diverges least (Kullback-Leibler) from the observed one.

    Raises:
        InputError: no windows, an unknown method, or activations that are not finite.
    """
    if method not in METHODS:
        raise InputError("unknown calibration method", given=method, allowed=METHODS)
    if not len(mels):
        raise InputError("calibration needs at least one window")
    low = dict.fromkeys(values, 0.0)
    high = dict.fromkeys(values, 0.0)
    for shown in observe(model, mels, values):
        for name, array in shown.items():
            if not array.size:  # scores, where there is no task
                continue
            low[name], high[name] = min(low[name], float(array.min())), max(high[name], float(array.max()))
    for name in values:
        if not np.isfinite(low[name] + high[name]):
            raise InputError(
                f"the network's activation {name} is not finite on the calibration windows",
                remedy="train longer or with a smaller learning rate; INT8 cannot mend a network that overflows",
            )
    if method == "minmax":
        return {name: (low[name], high[name]) for name in values}
    histograms = {name: np.zeros(BINS, np.int64) for name in values}
    for shown in observe(model, mels, values):
        for name, array in shown.items():
            if low[name] < high[name]:
                histograms[name] += np.histogram(array, BINS, (low[name], high[name]))[0]
    choose = _percentile_range if method == "percentile" else _entropy_range
    return {name: choose(histograms[name], low[name], high[name]) for name in values}


def _percentile_range(histogram: NDArray[np.int64], low: float, high: float) -> Range:
    if low == high:
        return low, high
    tail = (1 - PERCENTILE / 100) / (2 if low < 0 < high else 1)
    edges = np.linspace(low, high, BINS + 1)
    share = np.cumsum(histogram) / histogram.sum()
    left = edges[np.searchsorted(share, tail, side="right")] if low < 0 else low
    right = edges[min(int(np.searchsorted(share, 1 - tail)) + 1, BINS)] if high > 0 else high
    return float(min(left, 0.0)), float(max(right, 0.0))


def _entropy_range(histogram: NDArray[np.int64], low: float, high: float) -> Range:
    """One threshold on magnitudes; a one-sided range keeps its zero end."""
    if low == high:
        return low, high
    magnitudes = _magnitudes(histogram, low, high)
    limit = max(-low, high)
    scores = []
    counts = range(ENTROPY_LEVELS, BINS + 1, ENTROPY_STEP)
    for count in counts:
        reference = magnitudes[:count].copy()
        reference[-1] += magnitudes[count:].sum()
        scores.append(_divergence(reference, _coarsen(magnitudes[:count])))
    threshold = limit * counts[int(np.argmin(scores))] / BINS
    return max(low, -threshold), min(high, threshold)


def _magnitudes(histogram: NDArray[np.int64], low: float, high: float) -> NDArray[np.float64]:
    """The histogram of absolute values over [0, max(-low, high)]."""
    centers = np.abs(np.linspace(low, high, BINS, endpoint=False) + (high - low) / (2 * BINS))
    return np.histogram(centers, BINS, (0.0, max(-low, high)), weights=histogram)[0]


def _coarsen(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the histogram looks like after quantization: every level's mass spread over its occupied bins."""
    level = np.arange(len(histogram)) * ENTROPY_LEVELS // len(histogram)
    occupied = histogram > 0
    mass = np.bincount(level, weights=histogram, minlength=ENTROPY_LEVELS)
    bins = np.bincount(level, weights=occupied, minlength=ENTROPY_LEVELS)
    return np.where(occupied, mass[level] / np.maximum(bins[level], 1), 0.0)


def _divergence(reference: NDArray[np.float64], candidate: NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence, with a little mass everywhere so that it is finite."""
    first = reference / reference.sum()
    second = candidate + 1e-9 * max(candidate.sum(), 1.0)
    second /= second.sum()
    held = first > 0
    return float(np.sum(first[held] * np.log(first[held] / second[held])))
