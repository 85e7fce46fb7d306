"""What is done to the best INT8 form of a network: biases corrected, and layers left in float if quality asks for it.

Each step is kept only if windows that it was not fitted on say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from acula_edge.bundle.schema import BeforeAfter, BiasCorrection, FitAndJudge, MixedPrecision
from acula_edge.bundle.schema import Sensitivity as SensitivityFacts
from acula_edge.quantize.bias import correct_biases
from acula_edge.quantize.forms import Form
from acula_edge.quantize.insertion import insert_qdq
from acula_edge.quantize.judging import Judge
from acula_edge.quantize.placement import Placement, leave_float, weighted_nodes
from acula_edge.quantize.planning import REASON, plan_precision
from acula_edge.quantize.profiles import Profile
from acula_edge.quantize.sensitivity import Sensitivities, measure_sensitivity

# Sensitivity makes two graphs per layer and bias correction one session: beyond so many layers neither is done unasked.
MOST_LAYERS = 64
FIT_WINDOWS = 32
SENSITIVITY_WINDOWS = 16

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Tuning:
    """Which steps are taken.

    Attributes:
        bias_correction: try it, keep it if it helps.
        sensitivity: measure every layer's, and record it.
        min_cosine: leave layers in float where the mean cosine of embeddings stays below this; None leaves all as
            they are placed.
    """

    bias_correction: bool = True
    sensitivity: bool = False
    min_cosine: float | None = None


@dataclass(frozen=True)
class Windows:
    """Spectrograms for tuning, [1, F, M] each.

    Attributes:
        fit: biases and sensitivities are measured on these.
        judge: the float network's answers on others.
        held_out: whether those who judge are other persons than those whom ranges were measured on.
    """

    fit: Sequence[Array]
    judge: Judge
    held_out: bool


@dataclass(frozen=True)
class Tuned:
    """The outcome.

    Attributes:
        model: QDQ graph.
        placement: that it was made by.
        bias_correction, mixed_precision, sensitivity: for ``quantize.json``; UNSET for what was not asked for.
    """

    model: onnx.ModelProto
    placement: Placement
    bias_correction: BiasCorrection
    mixed_precision: MixedPrecision | UnsetType
    sensitivity: SensitivityFacts | UnsetType


def tune(
    form: Form, int8: onnx.ModelProto, profile: Profile, placement: Placement, windows: Windows, tuning: Tuning
) -> Tuned:
    """Improve an INT8 graph.

    Args:
        form: the float network that `int8` was made from, and its ranges.
        placement: that it was made by.
    """
    names = weighted_nodes(form.network, placement)
    model, corrected = _correct(form, int8, names, windows, tuning)
    mixed: MixedPrecision | UnsetType = UNSET
    sensitivities: Sensitivities | None = None

    def measure() -> Sensitivities:
        few = windows.fit[:: max(1, len(windows.fit) // SENSITIVITY_WINDOWS)][:SENSITIVITY_WINDOWS]
        return measure_sensitivity(form, profile, placement, Judge(form.network, few))

    if tuning.min_cosine is not None:
        reached = windows.judge(model).cosine_mean
        mixed = MixedPrecision(tuning.min_cosine, reached, needed=False)
        if reached < tuning.min_cosine and len(names) > 1:
            sensitivities = measure()

            def build(left: Sequence[str]) -> tuple[onnx.ModelProto, Placement, BiasCorrection]:
                fewer = leave_float(form.network, profile, placement, dict.fromkeys(left, REASON))
                int8 = insert_qdq(form.network, profile, fewer, form.ranges)
                rest = weighted_nodes(form.network, fewer)
                model, corrected = _correct(form, int8, rest, windows, tuning)
                return model, fewer, corrected

            plan = plan_precision(sensitivities, lambda left: windows.judge(build(left)[0]), tuning.min_cosine)
            model, placement, corrected = build(plan.left_float)
            mixed = MixedPrecision(tuning.min_cosine, reached, True, plan.met, list(plan.left_float), plan.trail)
    if sensitivities is None and tuning.sensitivity and len(names) <= MOST_LAYERS:
        sensitivities = measure()
    described: SensitivityFacts | UnsetType = UNSET
    if sensitivities is not None:
        described = sensitivities.describe()
    elif tuning.sensitivity:
        described = SensitivityFacts(reason=f"{len(names)} layers; measured unasked up to {MOST_LAYERS}")
    return Tuned(model, placement, corrected, mixed, described)


def _correct(
    form: Form, int8: onnx.ModelProto, names: Sequence[str], windows: Windows, tuning: Tuning
) -> tuple[onnx.ModelProto, BiasCorrection]:
    """The graph with corrected biases if that brings it closer to float, and what to say of it."""
    if not tuning.bias_correction:
        return int8, BiasCorrection(False, "not asked for")
    if len(names) > MOST_LAYERS:
        return int8, BiasCorrection(False, f"{len(names)} layers; tried up to {MOST_LAYERS}")
    if not windows.fit:
        return int8, BiasCorrection(False, "there is no window to fit it on")
    corrected = correct_biases(int8, form.network, names, windows.fit)
    before, after = windows.judge(int8), windows.judge(corrected)
    kept = after.sqnr_db > before.sqnr_db
    return corrected if kept else int8, BiasCorrection(
        kept,
        sqnr_db=BeforeAfter(before.describe().sqnr_db, after.describe().sqnr_db),
        n_windows=FitAndJudge(len(windows.fit), len(windows.judge.mels)),
        judged_by="other persons" if windows.held_out else "other windows",
    )
