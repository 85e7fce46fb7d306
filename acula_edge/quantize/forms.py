"""Forms of one float network that compute the same function and differ in how well INT8 suits them.

A new way to rescale a network is one more generator of forms here; whoever chooses among them need not know it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.quantize.balances import choose_balances
from acula_edge.quantize.channel_groups import Group
from acula_edge.quantize.equalization import Pair, channel_peaks, equalize, equalized_ranges
from acula_edge.quantize.histograms import Range
from acula_edge.quantize.profiles import Profile
from acula_edge.quantize.ranges import Activations, find_ranges, float_values, survey
from acula_edge.quantize.smoothing import channel_extremes, find_scales, smooth, smoothed_ranges

BALANCES = (0.25, 0.5, 0.75)

# Of transformers: one exponent for all layers, then the best one for each.
SMOOTHING = (0.5, 0.65, 0.8)
PER_LAYER = "per layer"
_LAYER_GRID = (None, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)
_LAYER_WINDOWS = 4

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """A float network and the ranges of its activations.

    Attributes:
        facts: what was done to it, for ``quantize.json``: ``balance`` of its equalization and exponent of its
            ``smoothing``; None for what was not done.
        ranges: by value.
        provisional: whether the ranges come from a part of the windows only.
    """

    facts: dict[str, Any]
    network: onnx.ModelProto
    ranges: dict[str, Range]
    provisional: bool = False


@dataclass(frozen=True)
class Measuring:
    """How ranges are found.

    Attributes:
        mels: all calibration spectrograms.
        trial: a part of them, for ranges that cannot be derived.
        method: see :func:`acula_edge.quantize.thresholds.choose_range`.
        profile: what the graph is for.
        quantized: names of the nodes that will run on INT8; ranges are wanted of what they read and make.
    """

    mels: Sequence[Array]
    trial: Sequence[Array]
    method: str
    profile: Profile
    quantized: Sequence[str]

    @property
    def symmetric(self) -> bool:
        """Whether ranges are of magnitudes."""
        return self.profile.symmetric_activations


def list_forms(
    model: onnx.ModelProto, measuring: Measuring, pairs: Sequence[Pair], groups: Sequence[Group] = ()
) -> Iterator[Form]:
    """The network as it is, then its equalized and its smoothed forms; one pass over all windows for each kind.

    Args:
        pairs: of convolutions, see :func:`acula_edge.quantize.equalization.find_pairs`.
        groups: of a transformer's layers, see :func:`acula_edge.quantize.channel_groups.find_groups`.
    """
    rescaled = {name for pair in pairs for name in pair.values}
    activations = survey(model, measuring.mels, _values(model, measuring, rescaled), rescaled)
    ranges = activations.ranges(measuring.method, symmetric=measuring.symmetric)
    yield Form({"balance": None, "smoothing": None}, model, ranges)
    if pairs:
        yield from _equalized(model, measuring, pairs, activations, ranges)
    if groups:
        yield from _smoothed(model, measuring, groups, ranges)


def count_forms(pairs: Sequence[Pair], groups: Sequence[Group]) -> int:
    """How many forms :func:`list_forms` yields."""
    return 1 + (len(BALANCES) if pairs else 0) + (len(SMOOTHING) + 1 if groups else 0)


def settle(form: Form, measuring: Measuring) -> Form:
    """The same form with ranges from all windows."""
    if not form.provisional:
        return form
    values = _values(form.network, measuring)
    ranges = find_ranges(form.network, measuring.mels, values, measuring.method, symmetric=measuring.symmetric)
    return Form(form.facts, form.network, ranges)


def _values(model: onnx.ModelProto, measuring: Measuring, besides: Collection[str] = ()) -> list[str]:
    """What the nodes on INT8 read and make: a small part of what a transformer computes."""
    quantized, names = set(measuring.quantized), set(besides)
    for node in model.graph.node:
        if node.name in quantized:
            names.update([*node.input, *node.output])
    return [name for name in float_values(model) if name in names]


def _equalized(
    model: onnx.ModelProto,
    measuring: Measuring,
    pairs: Sequence[Pair],
    activations: Activations,
    ranges: dict[str, Range],
) -> Iterator[Form]:
    """Extremes follow from those per channel; a clipped range does not, and is measured on the trial windows."""
    peaks = channel_peaks(pairs, activations.channels)
    for balance in BALANCES:
        changed = equalize(model, pairs, peaks, balance)
        facts = {"balance": balance, "smoothing": None}
        if measuring.method == "minmax":
            derived = equalized_ranges(changed.scales, activations.channels)
            yield Form(facts, changed.model, {**ranges, **derived})
        else:
            found = find_ranges(
                changed.model, measuring.trial, list(changed.scales), measuring.method, symmetric=measuring.symmetric
            )
            yield Form(facts, changed.model, {**ranges, **found}, provisional=True)


def _smoothed(
    model: onnx.ModelProto, measuring: Measuring, groups: Sequence[Group], ranges: dict[str, Range]
) -> Iterator[Form]:
    extremes = channel_extremes(model, measuring.mels, groups)
    few = measuring.trial[:_LAYER_WINDOWS]
    for exponent in (*SMOOTHING, PER_LAYER):
        balance = (
            choose_balances(model, groups, few, extremes, measuring.profile, _LAYER_GRID)
            if isinstance(exponent, str)
            else exponent
        )
        scales = find_scales(model, groups, extremes, balance)
        network = smooth(model, groups, scales)
        facts = {"balance": None, "smoothing": exponent}
        derived = smoothed_ranges(groups, scales, extremes)
        if measuring.method == "minmax":
            yield Form(facts, network, {**ranges, **derived})
        else:
            found = find_ranges(
                network, measuring.trial, list(derived), measuring.method, symmetric=measuring.symmetric
            )
            yield Form(facts, network, {**ranges, **found}, provisional=True)
