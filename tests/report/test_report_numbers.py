"""Numbers as a reader wants them, and scales that never divide by nothing."""

from __future__ import annotations

import math

import pytest

from acula_edge.reporting import numbers
from acula_edge.reporting.charts.drawing import fit, wrap
from acula_edge.reporting.charts.scale import Scale, round_step, span


@pytest.mark.parametrize(
    "write",
    [
        numbers.fixed,
        numbers.signed,
        numbers.significant,
        numbers.milliseconds,
        numbers.times,
        numbers.size,
        numbers.count,
        numbers.probability,
        numbers.percent,
        numbers.duration,
    ],
)
def test_what_does_not_exist_is_a_dash_and_never_zero(write: object) -> None:
    assert callable(write)
    assert write(None) == "–"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.8609, 3, "0.861"),
        (9.996, 3, "10.0"),
        (14.83, 3, "14.8"),
        (182.4, 3, "182"),
        (4321.0, 3, "4321"),
        (0.00012, 2, "0.00012"),
        (1.19e-6, 2, "1.2 × 10⁻⁶"),
        (-4.56e-5, 2, "−4.6 × 10⁻⁵"),
        (0.0, 2, "0.0"),
    ],
)
def test_significant_digits_survive_at_every_size(value: float, digits: int, text: str) -> None:
    assert numbers.significant(value, digits).replace("\u00a0", " ") == text


def test_signs_are_typographic_and_zero_has_none() -> None:
    assert numbers.signed(-0.0012) == "−0.0012"
    assert numbers.signed(0.0012) == "+0.0012"
    assert numbers.signed(-0.00001) == numbers.signed(0.00001) == "0.0000"
    assert numbers.signed_interval((-0.004, 0.002)) == "−0.0040 to +0.0020"
    assert numbers.with_interval("0.842", numbers.interval(None)) == "0.842 (no interval)"


def test_p_values_are_bounds_where_digits_end() -> None:
    assert [numbers.probability(p) for p in (0.0, 0.00099, 0.0407, 0.9999)] == [
        "< 0.001",
        "< 0.001",
        "0.041",
        "> 0.999",
    ]


def test_sizes_and_counts_have_units_and_groups() -> None:
    written = [numbers.size(n) for n in (999, 73_700, 1_281_137)]
    assert [text.replace("\u00a0", " ") for text in written] == ["999 B", "73.7 kB", "1.28 MB"]
    assert numbers.count(1, "person") == "1\u00a0person" and numbers.count(1167074) == "1\u202f167\u202f074"


@pytest.mark.parametrize("values", [[0.0], [1.0, 1.0], [-3e-9, -3e-9], [0.5, 0.5000001], [-0.4, 0.01], [1e6, 1e7]])
def test_an_axis_shows_any_values_with_air_and_ticks(values: list[float]) -> None:
    low, high = span(values)
    assert low < min(values) <= max(values) < high
    scale = Scale(low, high, 10.0, 110.0)
    assert all(10 <= scale(value) <= 110 for value in [*values, *scale.ticks()])
    assert 1 <= len(scale.ticks(5)) <= 8 and all(map(math.isfinite, scale.ticks(5)))
    assert scale.decimals() >= 0


@pytest.mark.parametrize("size", [3e-7, 0.0149, 0.2, 1.0, 37.0])
def test_steps_are_one_two_or_five_times_a_power_of_ten(size: float) -> None:
    step = round_step(size)
    assert size <= step * 1.001 and f"{step:.0e}"[0] in "125"


def test_words_are_broken_or_cut_to_their_room() -> None:
    lines = wrap("P2 Adventitious lung sound (phantom)", 200)
    assert len(lines) == 2 and " ".join(lines) == "P2 Adventitious lung sound (phantom)"
    assert wrap("", 200) == []
    assert fit("a" * 40, 100, 12).endswith("…") and fit("short", 100, 12) == "short"
