"""The self-test of what is called again, and in other ways: the hundredth call, 16-bit samples, whole recordings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.layout import MODEL_FILES
from acula_edge.bundle.selftest import PCM_SCALE, SelfTest
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import AculaEdgeError
from acula_edge.runtime.answers import describe_scores, pool_windows
from acula_edge.runtime.bundle import Bundle, load_bundle

CALLS = 100

Array = NDArray[np.float32]
Result = tuple[str, bool, str]


def check_calls(path: Path, precision: str, golden: SelfTest, threads: int) -> tuple[Result, dict[str, Any]]:
    """A fresh session's first call against its hundredth, on the first golden waveform.

    Both must be within the bundle's tolerance of what was kept, and of each other; whether they are equal bit for bit
    is said.

    Returns:
        The verdict; and ``first_ms, hundredth_ms, identical`` for whoever reads the JSON (None where it failed).
    """
    name = f"call 1 and {CALLS} of {MODEL_FILES[precision]}"
    figures: dict[str, Any] = {"first_ms": None, "hundredth_ms": None, "identical": None}
    try:
        engine = OrtEngine(path / MODEL_FILES[precision], threads=threads)
        outputs, times_ms = [], []
        for _ in range(CALLS):
            started = time.perf_counter()
            outputs.append(engine.run({"waveform": golden.waves[0][None]}))
            times_ms.append((time.perf_counter() - started) * 1e3)
    except AculaEdgeError as error:
        return (name, False, str(error)), figures
    first, last = outputs[0], outputs[-1]
    identical = all(np.array_equal(first[kind], last[kind]) for kind in ("embedding", "scores"))
    good = all(golden.judge(precision, 0, out["embedding"][0], out["scores"][0])["passed"] for out in (first, last))
    figures = {"first_ms": times_ms[0], "hundredth_ms": times_ms[-1], "identical": identical}
    how = "equal bit for bit" if identical else "within tolerance" if good else "beyond tolerance"
    return (name, good, f"{how}; {times_ms[0]:.2f} ms and {times_ms[-1]:.2f} ms"), figures


def check_recordings(path: Path, precision: str, golden: SelfTest, threads: int) -> Iterator[Result]:
    """Golden recordings as :class:`acula_edge.runtime.Bundle` cuts, embeds and scores them, 16-bit and float samples.

    A bundle that carries none gets no verdict on them.
    """
    if not golden.recordings:
        return
    try:
        bundle = load_bundle(path, threads=threads, precision=precision, provider="cpu")
    except AculaEdgeError as error:
        yield "recordings", False, error.problem
        return
    for name, (pcm, rows) in golden.recordings.items():
        try:
            yield _check_recording(bundle, name, pcm, rows, golden)
        except AculaEdgeError as error:
            yield f"{name} recording", False, error.problem


def _check_recording(bundle: Bundle, name: str, pcm: NDArray[np.int16], rows: list[int], golden: SelfTest) -> Result:
    precision = bundle.precision
    tolerance = golden.tolerances[precision]
    title = f"{name} recording"
    embedding = bundle.embed(pcm, bundle.sample_rate_hz)
    as_float = bundle.embed(pcm.astype(np.float32) / PCM_SCALE, bundle.sample_rate_hz)
    if not np.array_equal(embedding, as_float):
        return title, False, "16-bit and float samples of the same sound give other embeddings"
    expected = golden.embeddings[precision][rows].mean(axis=0, dtype=np.float64)
    cosine = _cosine(expected, embedding.astype(np.float64))
    wanted = describe_scores(pool_windows(golden.scores[precision][rows], bundle.tasks), bundle.tasks)
    scored = bundle.score(pcm, bundle.sample_rate_hz)
    if scored["windows"] != len(rows):
        return title, False, f"cut into {scored['windows']} windows, {len(rows)} where the bundle was made"
    found = scored["tasks"]
    errors = [0.0]
    for task, answer in wanted.items():
        score = found[task]["score"]
        if score is not None:  # a recording that is too short is given no value
            errors.append(abs(score - answer["score"]) / max(1.0, abs(answer["score"])))
    # A NaN fails both comparisons.
    passed = bool(cosine >= tolerance["cosine_min"] and max(errors) <= tolerance["score_max_abs"])
    duration_s = len(pcm) / bundle.sample_rate_hz
    detail = f"{duration_s:.2f} s, {len(rows)} window{'s' if len(rows) > 1 else ''}, 16-bit and float samples alike"
    return title, passed, f"{detail}, cosine {cosine:.6f}, scores within {max(errors):.1e}"


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if np.array_equal(first, second):
        return 1.0
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths > 0 else 0.0
