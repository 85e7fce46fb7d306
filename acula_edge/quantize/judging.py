"""How far an INT8 form of the encoder is from float, on windows: its embedding, and what the heads make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.bundle.schema import Loss as LossFacts
from acula_edge.bundle.schema import Parity
from acula_edge.quantize.insertion import run_graph
from acula_edge.quantize.parity import compare_rows

PROBE_LOSS = (
    "mean absolute change of the heads' scores, in standard deviations of the float score over the windows; "
    "needs no labels"
)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Loss:
    """What quantization did.

    Attributes:
        sqnr_db: signal to quantization noise of the embedding; infinity when the two are equal.
        cosine_mean: of embeddings.
        probe_loss: see :data:`PROBE_LOSS`; None where there are no scores.
    """

    sqnr_db: float
    cosine_mean: float
    probe_loss: float | None

    @property
    def noise(self) -> float:
        """Noise over signal, as a ratio of powers."""
        return float(10 ** (-self.sqnr_db / 10))

    def describe(self) -> LossFacts:
        """For ``quantize.json``; an infinite SQNR is None."""
        return LossFacts(self.sqnr_db if np.isfinite(self.sqnr_db) else None, self.cosine_mean, self.probe_loss)


class Judge:
    """Compares graphs with a float one on the same windows.

    Args:
        model: mel -> embedding, scores.
        mels: Shape: [1, F, M] each.
    """

    def __init__(self, model: onnx.ModelProto, mels: Sequence[Array]) -> None:
        self.mels = mels
        self._embedding, self._scores = run_graph(model, mels, ("embedding", "scores"))

    def __call__(self, candidate: onnx.ModelProto) -> Loss:
        embedding, scores = run_graph(candidate, self.mels, ("embedding", "scores"))
        compared = compare_rows(self._embedding, embedding)
        return Loss(
            sqnr_db=float("inf") if compared.sqnr_db is None else compared.sqnr_db,
            cosine_mean=compared.cosine_mean,
            probe_loss=_probe_loss(self._scores, scores),
        )

    def parity(self, candidate: onnx.ModelProto) -> Parity:
        """Everything that :func:`acula_edge.quantize.parity.compare_rows` says."""
        return compare_rows(self._embedding, run_graph(candidate, self.mels)[0])


def _probe_loss(expected: Array, found: Array) -> float | None:
    if not expected.size:
        return None
    deviation = expected.std(axis=0, dtype=np.float64)
    # A score that no window moves has no scale to measure a change by.
    moving = deviation > 1e-6 * np.maximum(np.abs(expected).max(axis=0), np.finfo(np.float32).tiny)
    if not moving.any():
        return None
    changes = np.abs(expected.astype(np.float64) - found).mean(axis=0)
    return float((changes[moving] / deviation[moving]).mean())
