"""What the report says of biases, mixed precision, sensitivity and the speed guard."""

from __future__ import annotations

from typing import Any

import pytest

from acula_edge.report.document import Chart, Notice, Text
from acula_edge.report.evidence import Bundle
from acula_edge.report.sections.quantization import quantization_blocks
from acula_edge.report.sections.tuning import bias_words, precision_words, sensitivity_blocks, speed_blocks

STEP = {
    "speedup": 0.5,
    "speedup_ci95": [0.4, 0.6],
    "integer_layers": 3,
    "conversions": 6,
    "islands": ["encoder/a/Conv"],
}


def test_biases_say_where_they_were_judged_and_whether_they_were_kept() -> None:
    tried = {"kept": True, "sqnr_db": {"before": 29.47, "after": 30.22}, "n_windows": {"judge": 58}}
    words = bias_words({**tried, "judged_by": "other persons"})
    assert "29.5 → 30.2" in words and "58" in words and "other persons" in words
    assert bias_words({**tried, "kept": False}).startswith("left out")
    assert bias_words({"kept": False, "reason": "not asked for"}) == ""


def test_mixed_precision_says_whether_the_target_is_met() -> None:
    assert precision_words({}) == ""
    easy = {"min_cosine": 0.97, "cosine_mean": 0.9998, "needed": False}
    assert precision_words(easy) == "not needed: mean cosine 0.9998, 0.9700 wanted"
    trail = [{"left_float": [], "cosine_mean": 0.9}, {"left_float": ["a"], "cosine_mean": 0.96}]
    hard = {**easy, "cosine_mean": 0.9, "needed": True, "met": False, "left_float": ["a"], "trail": trail}
    assert "0.9000 → 0.9600" in precision_words(hard) and "still below" in precision_words(hard)
    assert "still below" not in precision_words({**hard, "met": True})


@pytest.mark.parametrize("recommended", ["float", "int8"])
def test_a_recommendation_of_float_cannot_be_overlooked(recommended: str) -> None:
    speed = {"measured": True, "recommended": recommended, "reason": "it is so", "trail": [STEP, STEP]}
    heading, first, *steps = speed_blocks({**speed, "trail": [STEP, {**STEP, "left_float": ["encoder/a/Conv"]}]})
    assert isinstance(first, Notice) == (recommended == "float")
    assert "it is so" in first.text
    assert [step.text.split(":")[0] for step in steps] == ["As planned", "With 1\N{NO-BREAK SPACE}layer left in float"]
    assert all("encoder/a/Conv" in step.text for step in steps)


def test_what_was_not_measured_says_why() -> None:
    _, said = speed_blocks({"measured": False, "recommended": "int8", "reason": "not measured here: other machine"})
    assert said == Text("INT8 against float was not measured here: other machine.")
    assert speed_blocks({}) == []


def layer(name: str, sqnr_db: float | None) -> dict[str, Any]:
    loss = {"sqnr_db": sqnr_db, "cosine_mean": 1.0, "probe_loss": None}
    return {"node": f"encoder/{name}", "operator": "Conv", "macs": 1, "alone": loss, "spared": None}


def test_the_chart_has_a_bar_for_every_layer_and_names_the_worst() -> None:
    layers = [layer("first", 40.0), layer("worst", 20.0), layer("exact", None)]
    found = sensitivity_blocks({"layers": layers, "whole": {"sqnr_db": 20.0}, "n_windows": 16}, "b")
    (chart,) = [block for block in found if isinstance(block, Chart)]
    assert "most from encoder/worst" in chart.description and "10.00" in chart.description
    for svg in (chart.wide, chart.narrow):
        assert svg.count('class="bar ') == 3
        assert "10.000 %" in svg and "1.000 %" in svg


def test_the_chart_keeps_to_the_most_sensitive_of_many_layers() -> None:
    layers = [layer(f"l{number}", 20.0 + number) for number in range(30)]
    *_, chart = sensitivity_blocks({"layers": layers, "whole": {"sqnr_db": 10.0}, "n_windows": 16}, "b")
    assert isinstance(chart, Chart)
    assert "encoder/l0" in chart.description or "l0" in chart.wide
    assert "l19" in chart.wide and "l20" not in chart.wide
    assert "20 most sensitive of 30" in chart.description.replace("\N{NO-BREAK SPACE}", " ")


def test_older_bundles_have_none_of_it() -> None:
    blocks = quantization_blocks(Bundle("base-cpu_x86", {}, quantize={"method": "minmax"}))
    assert not any(isinstance(block, Chart) for block in blocks)
