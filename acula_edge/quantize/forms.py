"""Forms of one float network that compute the same function and differ in how well INT8 suits them.

A new way to rescale a network is one more generator of forms here; whoever chooses among them need not know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.quantize.equalization import Pair, channel_peaks, equalize, equalized_ranges
from acula_edge.quantize.histograms import Range
from acula_edge.quantize.ranges import Activations, find_ranges, float_values, survey

BALANCES = (0.25, 0.5, 0.75)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """A float network and the ranges of its activations.

    Attributes:
        facts: what was done to it, for ``quantize.json``; ``{"balance": None}`` for the network as it is.
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
        method, symmetric: see :func:`acula_edge.quantize.thresholds.choose_range`.
    """

    mels: Sequence[Array]
    trial: Sequence[Array]
    method: str
    symmetric: bool


def list_forms(model: onnx.ModelProto, measuring: Measuring, pairs: Sequence[Pair]) -> Iterator[Form]:
    """The network as it is, then its equalized forms; one pass over all windows."""
    rescaled = {name for pair in pairs for name in pair.values}
    activations = survey(model, measuring.mels, float_values(model), rescaled)
    ranges = activations.ranges(measuring.method, symmetric=measuring.symmetric)
    yield Form({"balance": None}, model, ranges)
    if pairs:
        yield from _equalized(model, measuring, pairs, activations, ranges)


def settle(form: Form, measuring: Measuring) -> Form:
    """The same form with ranges from all windows."""
    if not form.provisional:
        return form
    values = float_values(form.network)
    ranges = find_ranges(form.network, measuring.mels, values, measuring.method, symmetric=measuring.symmetric)
    return Form(form.facts, form.network, ranges)


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
        facts = {"balance": balance}
        if measuring.method == "minmax":
            derived = equalized_ranges(changed.scales, activations.channels)
            yield Form(facts, changed.model, {**ranges, **derived})
        else:
            found = find_ranges(
                changed.model, measuring.trial, list(changed.scales), measuring.method, symmetric=measuring.symmetric
            )
            yield Form(facts, changed.model, {**ranges, **found}, provisional=True)
