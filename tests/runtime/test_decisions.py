"""States of a stream: no flicker around the threshold, and no decision that is older than allowed."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from acula_edge.bundle.schema import ScoredTask
from acula_edge.errors import ArtifactError, InputError
from acula_edge.runtime import Bundle, load_bundle
from acula_edge.runtime.answers import TaskColumns
from acula_edge.runtime.decisions import Decisions, Hysteresis, read_smoothing
from acula_edge.smoothing import SmoothingSettings, describe_smoothing
from tests.tiny_bundle import RATE_HZ, SAMPLES, TASKS, make_sound

COLUMNS = tuple(TaskColumns.of(msgspec.convert(task, ScoredTask)) for task in TASKS)
PLAIN = SmoothingSettings(time_constant_s=0)


def row(binary: float, classes: tuple[float, float, float] = (0.2, 0.5, 0.3), value: float = 60.0) -> np.ndarray:
    return np.array([[binary, *classes, value]], dtype=np.float32)


def labels(scores: list[float], settings: SmoothingSettings = PLAIN) -> list[str | None]:
    decisions = Decisions(COLUMNS, settings)
    return [decisions.add(row(score), float(end), True)["M"]["label"] for end, score in enumerate(scores)]


def test_thresholds_lie_at_equal_distance_in_log_odds() -> None:
    bounds = Hysteresis.around(0.9, 0.2)
    assert bounds.leave < 0.9 < bounds.enter < 1
    logits = [math.log(p / (1 - p)) for p in (bounds.leave, 0.9, bounds.enter)]
    assert np.diff(logits) == pytest.approx([0.2, 0.2])


def test_a_score_around_the_threshold_does_not_flicker() -> None:
    assert labels([0.49, 0.52, 0.48, 0.53]) == ["absent"] * 4
    assert labels([0.49, 0.56, 0.48, 0.51, 0.44]) == ["absent", "present", "present", "present", "absent"]
    assert labels([0.51, 0.46, 0.44]) == ["present", "present", "absent"], "the first window is judged plainly"


def test_smoothing_lets_63_percent_through_after_its_time_constant() -> None:
    decisions = Decisions(COLUMNS, SmoothingSettings(time_constant_s=10.0))
    decisions.add(row(0.5, value=0.0), 10.0, True)
    state = decisions.add(row(0.5, value=100.0), 20.0, True)
    assert state["R"]["score"] == pytest.approx(100 * (1 - math.exp(-1)))
    once = Decisions(COLUMNS, SmoothingSettings(time_constant_s=10.0))
    once.add(row(0.5, value=0.0), 10.0, True)
    for end_s in np.arange(11.0, 21.0):
        many = once.add(row(0.5, value=100.0), float(end_s), True)
    assert many["R"]["score"] == pytest.approx(state["R"]["score"]), "whatever the hop"


def test_a_class_changes_once_another_is_clearly_more_probable() -> None:
    decisions = Decisions(COLUMNS, PLAIN)
    found = [
        decisions.add(row(0.1, classes), float(end), True)["K"]
        for end, classes in enumerate([(0.1, 0.5, 0.4), (0.1, 0.44, 0.46), (0.1, 0.2, 0.7), (0.1, 0.4, 0.5)])
    ]
    assert [state["label"] for state in found] == ["b", "b", "c", "c"]
    assert [state["since_s"] for state in found] == [0.0, 0.0, 2.0, 2.0]
    assert [state["score"] for state in found] == pytest.approx([0.5, 0.44, 0.7, 0.5], rel=1e-5)


def test_what_is_not_measurable_changes_nothing_until_the_decision_is_too_old() -> None:
    decisions = Decisions(COLUMNS, dataclasses.replace(PLAIN, forget_s=3.0))
    assert decisions.add(row(0.9), 0.0, False)["M"] == {
        "score": None, "label": None, "since_s": None, "age_s": None, "positive": None,
        "enter": pytest.approx(0.549834), "leave": pytest.approx(0.450166),
    }  # fmt: skip
    decisions.add(row(0.9), 1.0, True)
    held = decisions.add(row(0.1), 4.0, False)["M"]
    assert (held["label"], held["positive"], held["since_s"], held["age_s"]) == ("present", True, 1.0, 3.0)
    assert decisions.add(row(0.1), 4.5, False)["M"]["label"] is None
    again = decisions.add(row(0.51), 5.0, True)["M"]
    assert again["label"] == "present" and again["score"] == pytest.approx(0.51)


def test_a_task_without_a_threshold_has_a_smoothed_score_and_no_decision() -> None:
    columns = (dataclasses.replace(COLUMNS[0], threshold=None), *COLUMNS[1:])
    state = Decisions(columns, PLAIN).add(row(0.7), 0.0, True)["M"]
    assert state["score"] == pytest.approx(0.7) and state["label"] is None and state["enter"] is None


def test_a_stream_tells_the_state_beside_each_windows_scores(bundle: Bundle) -> None:
    silence, sound = np.zeros(SAMPLES, np.float32), make_sound(8.0)
    updates = list(bundle.stream([np.concatenate([silence, sound])], RATE_HZ))
    assert updates[0].state["M"]["label"] is None and updates[-1].state["M"]["label"] is not None
    assert updates[-1].to_dict()["state"]["K"]["label"] in ("a", "b", "c")
    assert list(updates[-1].state) == list(updates[-1].tasks)


def test_settings_travel_in_the_bundle_and_a_bundle_without_has_the_defaults(bundle_dir: Path, tmp_path: Path) -> None:
    assert load_bundle(bundle_dir).smoothing == SmoothingSettings()
    settings = SmoothingSettings(time_constant_s=3.0, margin_log_odds=0.5, forget_s=9.0)
    assert read_smoothing(json.loads(json.dumps(describe_smoothing(settings)))) == settings
    with pytest.raises(ArtifactError, match="version"):
        read_smoothing({"schema": "acula-edge/smoothing/9"})
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_smoothing({"schema": "acula-edge/smoothing/1"})


@pytest.mark.parametrize(
    "values", [{"time_constant_s": -1.0}, {"margin_log_odds": math.nan}, {"forget_s": 0.0}], ids=str
)
def test_impossible_settings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        SmoothingSettings(**values)
