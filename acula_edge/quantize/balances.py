"""How far to smooth each layer: the exponent whose INT8 layer is closest to the float one, measured on activations.

One exponent for the whole network (as in the SmoothQuant paper) has to suit layers with outliers and layers without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from acula_edge.quantize.channel_groups import Group
from acula_edge.quantize.graph import attribute, initializers
from acula_edge.quantize.overflow import channel_limits
from acula_edge.quantize.profiles import Profile
from acula_edge.quantize.ranges import observe
from acula_edge.quantize.smoothing import Extremes, Vector, find_scales, reader_scale

# Tokens per window that are looked at.
TOKENS = 256

Matrix = NDArray[np.float32]


def choose_balances(
    model: onnx.ModelProto,
    groups: Sequence[Group],
    mels: Sequence[Matrix],
    extremes: Mapping[str, Extremes],
    profile: Profile,
    grid: Sequence[float | None],
) -> dict[str, float | None]:
    """The best exponent of `grid` for every group, by the group's node; None leaves the group as it is.

    Args:
        mels: a few spectrograms, [1, F, M] each.
        extremes: of all calibration windows, see :func:`acula_edge.quantize.smoothing.channel_extremes`.
    """
    values = list(dict.fromkeys(reader.value for group in groups for reader in group.readers))
    rows: dict[str, list[Matrix]] = {value: [] for value in values}
    for shown in observe(model, mels, values):
        for name, array in shown.items():
            tokens = array.reshape(-1, array.shape[-1])
            rows[name].append(tokens[:: max(1, len(tokens) // TOKENS)])
    inputs = {name: np.concatenate(parts) for name, parts in rows.items()}
    nodes, tensors = {node.name: node for node in model.graph.node}, initializers(model)
    chosen: dict[str, float | None] = {}
    for group in groups:
        errors = np.zeros(len(grid))
        for index, balance in enumerate(grid):
            scale = find_scales(model, [group], extremes, {group.node: balance}).get(group.node)
            for reader in group.readers:
                node = nodes[reader.node]
                weight = numpy_helper.to_array(tensors[node.input[1]])
                weight = weight.T if attribute(node, "transB", 0) else weight
                column = np.ones(len(weight)) if scale is None else reader_scale(reader, scale)
                errors[index] += layer_error(inputs[reader.value], weight, column, extremes[reader.value], profile)
        chosen[group.node] = grid[int(np.argmin(errors))]
    return chosen


def layer_error(inputs: Matrix, weight: Matrix, column: Vector, extremes: Extremes, profile: Profile) -> float:
    """Noise over signal of a layer's output in INT8, its input divided and its weights multiplied by `column`.

    Shape: inputs [N, I], weight [I, O], column [I].
    """
    expected = inputs @ weight
    low, high = float((extremes[0] / column).min()), float((extremes[1] / column).max())
    rounded = _round_activations((inputs / column).astype(np.float32), low, high, profile)
    found = rounded @ _round_weights((weight * column[:, None]).astype(np.float32), profile)
    return float(np.square(found - expected).sum() / max(float(np.square(expected).sum()), np.finfo(np.float32).tiny))


def _round_activations(values: Matrix, low: float, high: float, profile: Profile) -> Matrix:
    low, high = min(low, 0.0), max(high, 0.0)
    if profile.symmetric_activations:
        step = max(-low, high) / 127 or 1.0
        return np.asarray(np.clip(np.rint(values / step), -127, 127) * step, np.float32)
    step = (high - low) / 255 or 1.0
    zero = np.rint(-low / step)
    return np.asarray((np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step, np.float32)


def _round_weights(weight: Matrix, profile: Profile) -> Matrix:
    """Per output channel. Shape: [I, O] -> [I, O]."""
    limits = channel_limits(weight.T) if profile.pairs_fit_16_bits else np.abs(weight).max(axis=0)
    step = np.where(limits > 0, limits, 1.0) / 127
    return np.asarray(np.clip(np.rint(weight / step), -127, 127) * step, np.float32)
