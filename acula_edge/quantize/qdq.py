"""Static INT8: encoder.onnx and calibration windows -> encoder.int8.onnx and model.int8.onnx, in QDQ form.

Several forms of one network are made and judged; the best is kept. Each step is a module of its own:
:mod:`~acula_edge.quantize.placement` (which nodes), :mod:`~acula_edge.quantize.ranges`,
:mod:`~acula_edge.quantize.forms` (rescaled networks), :mod:`~acula_edge.quantize.insertion` (the graph).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from msgspec import UNSET
from numpy.typing import NDArray

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import CalibrationSet, Equalization, Nodes, Quantize, SizeRatios, Smoothing
from acula_edge.progress import track
from acula_edge.quantize.channel_groups import describe, find_groups
from acula_edge.quantize.equalization import find_pairs
from acula_edge.quantize.export import merge_files
from acula_edge.quantize.forms import Form, Measuring, count_forms, list_forms, settle
from acula_edge.quantize.graph import load_graph, save_graph
from acula_edge.quantize.insertion import describe_work
from acula_edge.quantize.insertion import embed as embed
from acula_edge.quantize.insertion import insert_qdq as insert_qdq
from acula_edge.quantize.judging import Judge
from acula_edge.quantize.placement import place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.tuning import FIT_WINDOWS, Tuning, Windows, tune

TRIAL_WINDOWS = 64
DEFAULT_TUNING = Tuning()

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """One INT8 form of the encoder and how far its embedding is from the float one on the judging windows."""

    form: Form
    model: onnx.ModelProto
    sqnr_db: float


def quantize_encoder(
    folder: str | Path,
    profile: str,
    mels: Sequence[Array],
    *,
    method: str = "minmax",
    keep_float: Sequence[str] = (),
    left_float: Mapping[str, str] | None = None,
    calibration: CalibrationSet | None = None,
    parity_mels: Sequence[Array] | None = None,
    tuning: Tuning = DEFAULT_TUNING,
) -> Quantize:
    """Quantize ``encoder.onnx`` in `folder` and merge it with ``frontend.onnx``.

    Args:
        profile: a registered profile; decides the form of the graph.
        mels: calibration spectrograms, [1, F, M] each, of training subjects only (see
            :mod:`acula_edge.quantize.calibration`); read one at a time, so that they need not be in memory.
        method: see :func:`acula_edge.quantize.thresholds.choose_range`.
        keep_float: name patterns of nodes that stay in float besides the heads and the stem.
        left_float: names of nodes that stay in float, each with the reason.
        calibration: what to record about the windows.
        parity_mels: spectrograms that judge: the forms are compared on them, and INT8 with float; by default some of
            the calibration ones.
        tuning: what is done to the best form.

    Returns:
        The content of ``quantize.json``, of which nothing is written but the two models.

    Raises:
        InputError: an unknown profile, method or pattern, or nothing to quantize.
    """
    folder = Path(folder)
    chosen = profiles[profile]
    model = load_graph(folder / ENCODER_FILE)
    placement = place(model, chosen, keep_float, left_float)
    trial = [mels[index] for index in range(0, len(mels), max(1, len(mels) // TRIAL_WINDOWS))][:TRIAL_WINDOWS]
    measuring = Measuring(mels, trial, method, chosen, placement.quantized)
    judge = Judge(model, trial if parity_mels is None else list(parity_mels))

    pairs = find_pairs(model)
    groups = find_groups(model, placement.quantized)
    if all(group.source == "explicit" for group in groups):
        groups = []  # no transformer

    def quantize(form: Form) -> Candidate:
        int8 = insert_qdq(form.network, chosen, placement, form.ranges)
        return Candidate(form, int8, judge(int8).sqnr_db)

    best: Candidate | None = None
    equalized: dict[Any, float | None] = {}
    smoothed: dict[Any, float | None] = {}
    for form in track(list_forms(model, measuring, pairs, groups), "quantizing", count_forms(pairs, groups)):
        candidate = quantize(form)
        sqnr_db = candidate.sqnr_db if np.isfinite(candidate.sqnr_db) else None
        if form.facts["smoothing"] is None:
            equalized[form.facts["balance"]] = sqnr_db
        if form.facts["balance"] is None:
            smoothed[form.facts["smoothing"]] = sqnr_db
        # One at a time: a large encoder's forms do not fit into memory together.
        if best is None or candidate.sqnr_db > best.sqnr_db:
            best = candidate
    assert best is not None
    if best.form.provisional:
        best = quantize(settle(best.form, measuring))

    if parity_mels is None:
        # Bias correction at least is judged on windows that it was not fitted on.
        windows = Windows(trial[::2][:FIT_WINDOWS], Judge(model, trial[1::2] or trial), held_out=False)
    else:
        windows = Windows(trial[:: max(1, len(trial) // FIT_WINDOWS)][:FIT_WINDOWS], judge, held_out=True)
    tuned = tune(best.form, best.model, chosen, placement, windows, tuning)

    save_graph(tuned.model, folder / ENCODER_INT8_FILE)
    merge_files(folder / FRONTEND_FILE, folder / ENCODER_INT8_FILE, folder / MODEL_INT8_FILE)
    sizes, ratios = _sizes(folder)
    exact = ", products fit 16 bits" if chosen.pairs_fit_16_bits else ""
    work = describe_work(tuned.model)
    parity = msgspec.structs.replace(
        judge.parity(tuned.model), windows="calibration" if parity_mels is None else "held out"
    )
    return Quantize(
        profile=chosen.name,  # type: ignore[arg-type]
        method=method,
        activation_type=chosen.activation_type + (" symmetric" if chosen.symmetric_activations else ""),
        weight_type=f"int8 symmetric, per channel{exact}",
        calibration=calibration or CalibrationSet(len(mels)),
        equalization=Equalization(len(pairs), best.form.facts["balance"], *_tried(equalized)),
        smoothing=Smoothing(describe(groups), best.form.facts["smoothing"], *_tried(smoothed)),
        bias_correction=tuned.bias_correction,
        mixed_precision=tuned.mixed_precision,
        sensitivity=tuned.sensitivity,
        nodes=Nodes(len(tuned.placement.quantized), tuned.placement.kept),
        ops=work.ops,
        macs=work.macs,
        int8_mac_share=work.int8_mac_share,
        parity=parity,
        sizes_bytes=sizes,
        size_ratio=ratios,
    )


def _tried(sqnr_db: dict[Any, float | None]) -> tuple[dict[str, float | None], float | None]:
    """SQNR by what was tried, and that of the network as it was."""
    return {str(value): found for value, found in sqnr_db.items() if value is not None}, sqnr_db.get(None)


def _sizes(folder: Path) -> tuple[dict[str, int], SizeRatios]:
    files = (ENCODER_FILE, ENCODER_INT8_FILE, MODEL_FILE, MODEL_INT8_FILE)
    sizes = {name: (folder / name).stat().st_size for name in files if (folder / name).is_file()}
    model = sizes[MODEL_FILE] / sizes[MODEL_INT8_FILE] if MODEL_FILE in sizes else UNSET
    return sizes, SizeRatios(sizes[ENCODER_FILE] / sizes[ENCODER_INT8_FILE], model)
