"""Words, tones and marks that all sections share."""

from __future__ import annotations

from collections.abc import Mapping

from acula_edge.bundle.schema import Comparison
from acula_edge.reporting.document import Tone
from acula_edge.reporting.numbers import MISSING

TEACHER, STUDENT, INT8 = "float_teacher", "float_student", "int8"
MODELS = (TEACHER, STUDENT, INT8)

MODEL_NAMES = {TEACHER: "float teacher", STUDENT: "float student", INT8: "INT8"}
MODEL_STYLES = {TEACHER: "teacher", STUDENT: "student", INT8: "int8"}
MODEL_SHAPES = {TEACHER: "square", STUDENT: "circle", INT8: "diamond"}

VERDICT_TONES: Mapping[str, Tone] = {
    "identical": "good",
    "non-inferior": "good",
    "inconclusive": "caution",
    "inferior": "bad",
}

STAGE_NAMES = {"frontend": "front end", "encoder": "encoder", "end_to_end": "end to end"}

MODEL_LEGEND = tuple((f"{MODEL_STYLES[model]} {MODEL_SHAPES[model]}", MODEL_NAMES[model]) for model in MODELS)


def verdict_of(comparison: Comparison | None) -> str:
    """The verdict of a comparison, a dash where there is none."""
    return MISSING if comparison is None else comparison.verdict


def tone_of(verdict: str) -> Tone:
    """How a verdict is colored."""
    return VERDICT_TONES.get(verdict, "quiet")
