"""What the report says of biases, mixed precision, sensitivity and the speed guard."""

from __future__ import annotations

from typing import Any

import pytest

from acula_edge.bundle.schema import BiasCorrection, MixedPrecision, Quantize, Sensitivity, Speed
from acula_edge.bundle.schema import Bundle as BundleFacts
from acula_edge.reporting.document import Chart, Notice, Text
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.sections.quantization import quantization_blocks
from acula_edge.reporting.sections.tuning import (
    bias_words,
    precision_words,
    sensitivity_blocks,
    smoothing_words,
    speed_blocks,
)
from tests.complete import complete

STEP = {
    "speedup": 0.5,
    "speedup_ci95": [0.4, 0.6],
    "integer_layers": 3,
    "conversions": 6,
    "islands": ["encoder/a/Conv"],
}


def test_biases_say_where_they_were_judged_and_whether_they_were_kept() -> None:
    tried = {"kept": True, "sqnr_db": {"before": 29.47, "after": 30.22}, "n_windows": {"judge": 58}}
    words = bias_words(complete(BiasCorrection, {**tried, "judged_by": "other persons"}))
    assert "29.5 → 30.2" in words and "58" in words and "other persons" in words
    assert bias_words(complete(BiasCorrection, {**tried, "kept": False})).startswith("left out")
    assert bias_words(BiasCorrection(False, "not asked for")) == ""


@pytest.mark.parametrize(
    ("exponent", "words"),
    [(0.65, "exponent 0.65: SQNR 17.5 → 23.6"), ("per layer", "exponent per layer: SQNR 17.5 → 23.9"), (None, "none,")],
)
def test_smoothing_says_what_was_chosen_and_what_it_gained(exponent: float | str | None, words: str) -> None:
    tried = {"exponent": exponent, "sqnr_db": {"0.65": 23.58, "per layer": 23.9}, "plain_sqnr_db": 17.49}
    assert smoothing_words(complete(Quantize, {"smoothing": tried})).startswith(words)
    assert smoothing_words(complete(Quantize, {})) == ""


def test_mixed_precision_says_whether_the_target_is_met() -> None:
    assert precision_words(None) == ""
    easy = {"min_cosine": 0.97, "cosine_mean": 0.9998, "needed": False}
    assert precision_words(complete(MixedPrecision, easy)) == "not needed: mean cosine 0.9998, 0.9700 wanted"
    trail = [{"left_float": [], "cosine_mean": 0.9}, {"left_float": ["a"], "cosine_mean": 0.96}]
    hard = {**easy, "cosine_mean": 0.9, "needed": True, "met": False, "left_float": ["a"], "trail": trail}
    words = precision_words(complete(MixedPrecision, hard))
    assert "0.9000 → 0.9600" in words and "still below" in words
    assert "still below" not in precision_words(complete(MixedPrecision, {**hard, "met": True}))


@pytest.mark.parametrize("recommended", ["float", "int8"])
def test_a_recommendation_of_float_cannot_be_overlooked(recommended: str) -> None:
    speed = {"measured": True, "recommended": recommended, "reason": "it is so", "trail": [STEP, STEP]}
    heading, first, *steps = speed_blocks(
        complete(Speed, {**speed, "trail": [STEP, {**STEP, "left_float": ["encoder/a/Conv"]}]})
    )
    assert isinstance(first, Notice) == (recommended == "float")
    assert "it is so" in first.text
    assert [step.text.split(":")[0] for step in steps] == ["As planned", "With 1\N{NO-BREAK SPACE}layer left in float"]
    assert all("encoder/a/Conv" in step.text for step in steps)


def test_what_was_not_measured_says_why() -> None:
    _, said = speed_blocks(Speed(False, "int8", "not measured here: other machine", []))
    assert said == Text("INT8 against float was not measured here: other machine.")
    assert speed_blocks(None) == []


def layer(name: str, sqnr_db: float | None) -> dict[str, Any]:
    loss = {"sqnr_db": sqnr_db, "cosine_mean": 1.0, "probe_loss": None}
    return {"node": f"encoder/{name}", "operator": "Conv", "macs": 1, "alone": loss, "spared": None}


def test_the_chart_has_a_bar_for_every_layer_and_names_the_worst() -> None:
    layers = [layer("first", 40.0), layer("worst", 20.0), layer("exact", None)]
    found = sensitivity_blocks(
        complete(Sensitivity, {"layers": layers, "whole": {"sqnr_db": 20.0}, "n_windows": 16}), "b"
    )
    (chart,) = [block for block in found if isinstance(block, Chart)]
    assert "most from encoder/worst" in chart.description and "10.00" in chart.description
    for svg in (chart.wide, chart.narrow):
        assert svg.count('class="bar ') == 3
        assert "10.000 %" in svg and "1.000 %" in svg


def test_the_chart_keeps_to_the_most_sensitive_of_many_layers() -> None:
    layers = [layer(f"l{number}", 20.0 + number) for number in range(30)]
    *_, chart = sensitivity_blocks(
        complete(Sensitivity, {"layers": layers, "whole": {"sqnr_db": 10.0}, "n_windows": 16}), "b"
    )
    assert isinstance(chart, Chart)
    assert "encoder/l0" in chart.description or "l0" in chart.wide
    assert "l19" in chart.wide and "l20" not in chart.wide
    assert "20 most sensitive of 30" in chart.description.replace("\N{NO-BREAK SPACE}", " ")


def test_what_was_not_done_is_not_shown() -> None:
    blocks = quantization_blocks(Bundle("base-cpu_x86", complete(BundleFacts, {}), quantize=complete(Quantize, {})))
    assert not any(isinstance(block, Chart) for block in blocks)
