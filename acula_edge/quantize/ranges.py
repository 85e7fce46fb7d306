"""Ranges of activations over calibration windows: one pass, one window in memory at a time.

ONNX Runtime's percentile and entropy calibrators keep every activation of every window; these keep a histogram.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.errors import InputError
from acula_edge.quantize.graph import consumers
from acula_edge.quantize.histograms import Histogram
from acula_edge.quantize.histograms import Range as Range
from acula_edge.quantize.thresholds import METHODS, choose_range

Array = NDArray[np.float32]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Activations:
    """What one pass over the windows learned.

    Attributes:
        histograms: by value.
        channels: smallest and largest number of every channel (axis 1), 0 included, by value. Shape: [C], [C].
        windows: how many there were.
    """

    histograms: dict[str, Histogram]
    channels: dict[str, tuple[Vector, Vector]]
    windows: int

    def ranges(self, method: str, *, symmetric: bool = False) -> dict[str, Range]:
        """Range of every value, see :func:`acula_edge.quantize.thresholds.choose_range`."""
        return {name: choose_range(item, method, symmetric=symmetric) for name, item in self.histograms.items()}


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


def observe(model: onnx.ModelProto, mels: Iterable[Array], values: Sequence[str]) -> Iterator[dict[str, Array]]:
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


def survey(
    model: onnx.ModelProto, mels: Iterable[Array], values: Sequence[str], channels: Collection[str] = ()
) -> Activations:
    """Run a float graph over spectrograms once and keep histograms.

    Args:
        mels: any iterable, read once and one at a time. Shape: [1, F, M] each.
        values: whose histograms are wanted.
        channels: those of `values` whose extremes per channel are wanted as well.

    Raises:
        InputError: no windows, or activations that are not finite.
    """
    histograms = {name: Histogram() for name in values}
    extremes: dict[str, tuple[Vector, Vector]] = {}
    windows = 0
    for shown in observe(model, mels, values):
        windows += 1
        for name, array in shown.items():
            _check_finite(name, array)
            histograms[name].add(array)
            if name in channels:
                rows = np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)
                low, high = extremes.get(name, (np.zeros(len(rows)), np.zeros(len(rows))))
                extremes[name] = (np.minimum(low, rows.min(axis=1)), np.maximum(high, rows.max(axis=1)))
    if not windows:
        raise InputError("calibration needs at least one window")
    return Activations(histograms, extremes, windows)


def find_ranges(
    model: onnx.ModelProto,
    mels: Iterable[Array],
    values: Sequence[str],
    method: str = "minmax",
    *,
    symmetric: bool = False,
) -> dict[str, Range]:
    """Range of every value, in one pass over the windows.

    Args:
        method, symmetric: see :func:`acula_edge.quantize.thresholds.choose_range`.

    Raises:
        InputError: no windows, an unknown method, or activations that are not finite.
    """
    if method not in METHODS:
        raise InputError("unknown calibration method", given=method, allowed=METHODS)
    return survey(model, mels, values).ranges(method, symmetric=symmetric)


def _check_finite(name: str, array: Array) -> None:
    if array.size and not np.isfinite(float(array.min()) + float(array.max())):
        raise InputError(
            f"the network's activation {name} is not finite on the calibration windows",
            remedy="train longer or with a smaller learning rate; INT8 cannot mend a network that overflows",
        )
