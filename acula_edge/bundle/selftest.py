"""Golden waveforms of a bundle and what its models made of them: read, and held against what this machine computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.layout import SELFTEST_FILE
from acula_edge.limits import MAX_WINDOW_SAMPLES
from acula_edge.untrusted.npz import Arrays, read_npz

SELFTEST_SCHEMA = "acula-edge/selftest/1"
PCM_SCALE = 32768

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SelfTest:
    """Golden waveforms and what the models made of them where the bundle was written.

    Attributes:
        names: of the waveforms.
        waves: [N, T] in [-1, 1].
        embeddings, scores: expected outputs by precision (``float``, ``int8``): [N, D] and [N, K].
        tolerances: by precision: ``cosine_min`` of an embedding and ``score_max_abs`` (for a regression relative to
            its value where that exceeds 1).
        recordings: int16 sound of other lengths than a window by name, and the rows of `waves` that are its windows.
    """

    names: list[str]
    waves: Array
    embeddings: dict[str, Array]
    scores: dict[str, Array]
    tolerances: dict[str, dict[str, float]]
    recordings: dict[str, tuple[NDArray[np.int16], list[int]]]

    def compare(self, precision: str, embeddings: Array, scores: Array) -> list[dict[str, Any]]:
        """Judge what this machine computed, one entry per waveform, as :meth:`judge` gives them.

        Shape: [N, D], [N, K].
        """
        return [self.judge(precision, row, embeddings[row], scores[row]) for row in range(len(self.names))]

    def judge(self, precision: str, row: int, embedding: Array, scores: Array) -> dict[str, Any]:
        """Judge the outputs for one waveform: ``name, cosine, score_error, passed``.

        Shape: [D], [K].
        """
        tolerance = self.tolerances[precision]
        expected, found = (np.asarray(values, np.float64) for values in (self.embeddings[precision][row], embedding))
        lengths = float(np.linalg.norm(expected) * np.linalg.norm(found))
        equal = bool(np.array_equal(expected, found))
        cosine = 1.0 if equal else float(expected @ found) / lengths if lengths > 0 else 0.0
        wanted = self.scores[precision][row].astype(np.float64)
        errors = np.abs(scores - wanted) / np.maximum(1.0, np.abs(wanted))
        error = float(errors.max(initial=0.0))
        # A NaN fails both comparisons.
        passed = bool(cosine >= tolerance["cosine_min"] and error <= tolerance["score_max_abs"])
        return {
            "name": self.names[row],
            "cosine": cosine if np.isfinite(cosine) else None,
            "score_error": error if np.isfinite(error) else None,
            "passed": passed,
        }


def read_selftest(folder: str | Path) -> SelfTest:
    """Read the golden waveforms of a bundle.

    Raises:
        ArtifactError: no such file, or not one of these.
    """
    arrays = read_npz(Path(folder) / SELFTEST_FILE, "golden waveforms")
    try:
        return _selftest(arrays)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise arrays.error(error) from error


def _selftest(arrays: Arrays) -> SelfTest:
    header = arrays.header(SELFTEST_SCHEMA)
    pcm = arrays.numbers("pcm", 2)
    names = [str(name) for name in header["names"]]
    if pcm.dtype != np.int16 or len(names) != len(pcm) or not 1 <= pcm.shape[1] <= MAX_WINDOW_SAMPLES or not names:
        raise ValueError(f"{len(names)} names for waveforms {pcm.dtype} {pcm.shape}")
    tolerances = {
        name: {kind: float(entry[kind]) for kind in ("cosine_min", "score_max_abs")}
        for name, entry in header["tolerances"].items()
    }
    if not tolerances or not set(tolerances) <= {"float", "int8"}:
        raise ValueError(f"outputs of {', '.join(tolerances) or 'no model'}, not of float or int8")
    outputs = {
        kind: {name: arrays.numbers(f"{name}_{kind}", 2) for name in tolerances} for kind in ("embedding", "scores")
    }
    if any(len(rows) != len(names) for of_kind in outputs.values() for rows in of_kind.values()):
        raise ValueError("not one output per waveform")
    return SelfTest(
        names=names,
        waves=(pcm.astype(np.float32) / PCM_SCALE).astype(np.float32),
        embeddings=outputs["embedding"],
        scores=outputs["scores"],
        tolerances=tolerances,
        recordings={str(name): _join(pcm, entry) for name, entry in header.get("recordings", {}).items()},
    )


def _join(pcm: NDArray[np.int16], entry: dict[str, Any]) -> tuple[NDArray[np.int16], list[int]]:
    """A golden recording from its windows, and their rows; one shorter than a window lies at the window's end."""
    samples, first, starts = int(entry["samples"]), int(entry["first"]), [int(start) for start in entry["starts"]]
    rows = [first + index for index in range(len(starts))]
    length = min(pcm.shape[1], samples)
    fits = 0 < samples <= pcm.size and first >= 0 and first + len(starts) <= len(pcm)
    if not fits or not starts or not all(0 <= start <= samples - length for start in starts):
        raise ValueError("a recording that does not fit its windows")
    recording = np.zeros(samples, np.int16)
    for row, start in zip(rows, starts, strict=True):
        recording[start : start + length] = pcm[row, -length:]
    return recording, rows
