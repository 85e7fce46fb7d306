"""Which recordings take part in a task and what they count as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acula_edge.data.manifest import Recording
from acula_edge.data.phantom.plan import PhantomConfig, plan_corpus
from acula_edge.data.reader import readers
from acula_edge.errors import InputError
from acula_edge.probe.eligibility import why_not_evaluated, why_not_fitted
from acula_edge.probe.tasks import Task, labels, resolve_tasks, tasks


def recording(dataset: str, split: str = "train", subject: str = "s", **metadata: Any) -> Recording:
    return Recording("r", "", subject, dataset, 4000, 1.0, split=split, metadata=metadata)


@pytest.mark.parametrize(
    ("task", "dataset", "metadata", "value"),
    [
        ("C1", "circor", {"murmur": "Present"}, 1.0),
        ("C1", "circor", {"murmur": "Absent"}, 0.0),
        ("C1", "circor", {"murmur": "Unknown"}, None),
        ("C1", "circor", {"murmur": None}, None),
        ("C1", "circor", {}, None),
        ("C1", "kauh", {"murmur": "Present"}, None),
        ("T10", "kauh", {"diagnosis": "Normal"}, 0.0),
        ("T10", "kauh", {"diagnosis": "Asthma"}, 1.0),
        ("T10", "kauh", {"diagnosis": "COPD"}, 1.0),
        ("T10", "kauh", {"diagnosis": "Heart failure + COPD"}, 1.0),
        ("T10", "kauh", {"diagnosis": "Asthma + lung fibrosis"}, 1.0),
        ("T10", "kauh", {"diagnosis": "Heart failure"}, None),
        ("T10", "kauh", {"diagnosis": "Heart failure + lung fibrosis"}, None),
        ("T10", "kauh", {"diagnosis": None}, None),
        ("P1", "phantom", {"sound": "heart", "murmur": "Present"}, 1.0),
        ("P1", "phantom", {"sound": "lung", "murmur": "Present"}, None),
        ("P2", "phantom", {"sound": "lung", "wheeze": 0, "crackles": 1}, 1.0),
        ("P2", "phantom", {"sound": "lung", "wheeze": 0, "crackles": 0}, 0.0),
        ("P2", "phantom", {"sound": "lung", "wheeze": 0}, None),
        ("P2", "phantom", {"sound": "heart", "wheeze": 1, "crackles": 1}, None),
        ("P3", "phantom", {"cough": 1}, 1.0),
        ("P3", "phantom", {"cough": 0}, 0.0),
        ("P3", "phantom", {"cough": "yes"}, None),
        ("P4", "phantom", {"sound": "lung", "respiratory_rate": 17}, 17.0),
        ("P4", "phantom", {"sound": "lung", "respiratory_rate": float("nan")}, None),
        ("P4", "phantom", {"sound": "lung", "respiratory_rate": True}, None),
        ("P4", "phantom", {"sound": "heart", "respiratory_rate": 17}, None),
    ],
)
def test_targets(task: str, dataset: str, metadata: dict[str, Any], value: float | None) -> None:
    assert tasks[task].value(recording(dataset, **metadata)) == value


def test_every_task_says_where_its_data_come_from() -> None:
    assert {"C1", "T10", "P1", "P2", "P3", "P4"} <= set(tasks)
    for name in tasks:
        task = tasks[name]
        assert task.id == name and task.target_text and task.protocol
        assert (task.corpus is None) == (task.dataset not in readers)
        assert bool(task.licence and task.access) == (task.corpus is not None)
    assert tasks["C1"].assumed and not tasks["T10"].assumed


def test_the_published_tasks_are_the_18_of_the_specification_whatever_else_is_registered() -> None:
    """The only list of them; SPEC sections 2.3 and 2.4."""
    eighteen = ["C1", "C2", "T1", "T2", *(f"T{n}" for n in range(5, 12)), *(f"T{n}" for n in range(13, 20))]
    assert [task.id for task in resolve_tasks(["published"], [])] == eighteen
    for name in tasks:
        protocol = tasks[name].published_probe, tasks[name].published_split
        assert None not in protocol or not tasks[name].published


def test_a_task_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(InputError, match="classes go with auroc"):
        Task("X", "x", "d", "heart", labels("a", {}), "a", metric="mae", labels=("no", "yes"))
    with pytest.raises(InputError, match="names its classes"):
        Task("X", "x", "d", "heart", labels("a", {}), "a")


def test_all_means_every_task_that_the_data_can_answer() -> None:
    present = [recording("kauh", diagnosis="Normal")]
    assert [task.id for task in resolve_tasks(["all"], present)] == ["T10"]
    assert [task.id for task in resolve_tasks(["P*", "C1", "P1"], present)] == ["C1", "P1", "P2", "P3", "P4"]
    with pytest.raises(InputError, match="no task named 'C11'") as error:
        resolve_tasks(["C11"], present)
    assert "did you mean 'C1'?" in str(error.value)


def test_what_a_task_lacks_is_named() -> None:
    task = tasks["C1"]
    absent = why_not_evaluated(task, [recording("kauh")])
    assert absent is not None and absent.startswith("data not found: this run holds no recordings of circor (open")
    assert absent.endswith("--data circor=DIR adds them")
    some = [
        recording("circor", subject=f"{murmur}{n}", murmur=murmur) for n in range(4) for murmur in ("Present", "Absent")
    ]
    assert why_not_fitted(task, some) is None
    assert why_not_evaluated(task, some) == "no usable recordings in the test split"
    assert why_not_fitted(task, some[:-1]) == "3 subjects with murmur absent in the train split, 4 needed"
    one_class = [*some, recording("circor", "test", murmur="Absent")]
    assert why_not_evaluated(task, one_class) == "0 subjects with murmur present in the test split, 1 needed"
    assert why_not_evaluated(task, [*one_class, recording("circor", "test", murmur="Present")]) is None


def test_what_many_classes_and_leaving_one_out_lack() -> None:
    task = tasks["T11"]
    train = [recording(task.dataset, subject=f"{g}{n}", severity=g) for n in range(3) for g in task.labels]
    test = [recording(task.dataset, "test", subject=f"t{g}", severity=g) for g in task.labels]
    assert why_not_evaluated(task, [*train, *test]) is None
    assert why_not_evaluated(task, [*train[:-1], *test]) == "2 subjects with COPD4 in the train split, 3 needed"
    assert why_not_evaluated(task, [*train, *test[1:]]) == "0 subjects with COPD0 in the test split, 1 needed"

    lungs = tasks["T13"]
    heard = [recording("mmlung", "test", f"s{n}", sound="deep breath", fvc_l=3.0 + n) for n in range(4)]
    assert why_not_evaluated(lungs, heard) is None
    assert why_not_evaluated(lungs, [*heard[:3], heard[0]]) == "3 subjects with any target in the test split, 4 needed"
    leaving = replace(tasks["C1"], evaluation="leave-one-subject-out")
    reason = "leaving one subject out is for regressions only"
    assert why_not_evaluated(leaving, [recording("circor", murmur="Present")]) == reason


@pytest.mark.parametrize(("task", "sounds"), [("P1", {"heart"}), ("P2", {"lung"}), ("P3", {"lung", "ambient"})])
def test_phantom_tasks_find_both_classes_in_the_generated_corpus(task: str, sounds: set[str]) -> None:
    plans = plan_corpus(PhantomConfig(subjects=60))
    values = [tasks[task].value(recording("phantom", **plan.facts)) for plan in plans]
    assert {plan.facts["sound"] for plan, value in zip(plans, values, strict=True) if value is not None} == sounds
    assert min(values.count(0.0), values.count(1.0)) >= 10


def test_phantom_respiratory_rate_is_that_of_the_plan() -> None:
    plans = [plan for plan in plan_corpus(PhantomConfig(subjects=30)) if plan.facts["sound"] == "lung"]
    for plan in plans:
        assert tasks["P4"].value(recording("phantom", **plan.facts)) == plan.facts["respiratory_rate"]


@pytest.mark.real_data
def test_counts_on_the_real_recordings(shared_dir: Path) -> None:
    """KAUH: 267 excerpts less six with conflicting labels. CirCor: whole patients of the public training set."""
    kauh = readers["kauh"].read(shared_dir / "data" / "kauh-lung-10s", {}).recordings
    values = [tasks["T10"].value(item) for item in kauh]
    assert (values.count(0.0), values.count(1.0), values.count(None)) == (93, 120, 48)
    circor = readers["circor"].read(shared_dir / "data" / "circor-digiscope", {}).recordings
    values = [tasks["C1"].value(item) for item in circor]
    assert (values.count(0.0), values.count(1.0), values.count(None)) == (441, 357, 66)
