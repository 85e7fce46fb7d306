"""Verdicts, intervals and the gate: what verify.json says is what the reader finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from acula_edge.files import read_json
from acula_edge.reporting import write_report
from acula_edge.reporting.numbers import fixed, interval, probability, signed, signed_interval
from tests.report.conftest import Json, MakeRun
from tests.report.reading import Page, read_page

VALUES = "Values on test persons with 95 % intervals over persons"
TEACHER = "Against the float teacher"
SUBGROUPS = "By sex, age, device and site"
GATE = "Limits of the recipe, written down before anything was measured"


def report(make_run: MakeRun, **kinds: Any) -> tuple[Page, Json]:
    kept: Json = {}
    change = kinds.pop("change", None)

    def keep(files: dict[str, Json]) -> None:
        if change is not None:
            change(files)
        kept.update(files)

    run = make_run(change=keep, **kinds)
    write_report(run)
    return read_page(run), kept


def verify_of(run: Path) -> Json:
    verify: Json = read_json(run / "export" / "base-cpu_x86" / "verify.json")
    return verify


@pytest.mark.parametrize("phantom", [False, True])
def test_every_value_interval_difference_and_verdict_is_in_the_task_table(make_run: MakeRun, phantom: bool) -> None:
    page, files = report(make_run, phantom=phantom)
    for task in files["verify"]["tasks"]:
        row = page.row(VALUES, task["name"])
        digits, places = (3, 4) if task["metric"] == "auroc" else (2, 3)
        assert task["id"] in row[0] and (task["unit"] in row[0])
        assert row[1].startswith(str(task["n_subjects"]))
        for cell, model in zip(row[2:5], ("float_teacher", "float_student", "int8"), strict=True):
            assert cell == f"{fixed(task[model]['value'], digits)} {interval(task[model]['ci95'], digits)}"
        pair = task["int8_vs_student"]
        assert row[5] == f"{signed(pair['delta'], places)} {signed_interval(pair['ci95'], places)}"
        assert row[6].startswith(pair["verdict"])
        if pair["verdict"] != "identical":
            assert probability(pair["p_noninferiority"]) in row[6]


def test_the_task_table_ends_with_the_means(complete: Path) -> None:
    page, verify = read_page(complete), verify_of(complete)
    means, delta = verify["summary"]["means"], verify["summary"]["mean_delta"]["int8_vs_student"]
    row = page.row(VALUES, "Mean AUROC")
    assert row[2:5] == [fixed(means[model]) for model in ("float_teacher", "float_student", "int8")]
    assert row[5] == f"{signed(delta['delta'])} {signed_interval(delta['ci95'])}"


def test_a_verdict_that_adjustment_takes_away_is_named_in_table_and_headline(make_run: MakeRun) -> None:
    def adjust(files: dict[str, Json]) -> None:
        files["verify"]["summary"]["verdicts_holm"] = {
            "int8_vs_student": {"C1": {"p_adjusted": 0.0871, "verdict": "inconclusive"}}
        }

    page, _ = report(make_run, change=adjust)
    assert "adjusted for several tasks: inconclusive, p 0.087" in page.row(VALUES, "Heart murmur")[6]
    assert "Adjusted for the number of tasks (Holm), C1 is inconclusive." in page.headline


def test_comparisons_with_the_teacher_have_their_own_table(complete: Path) -> None:
    page, verify = read_page(complete), verify_of(complete)
    for task in verify["tasks"]:
        row = page.row(TEACHER, task["name"])
        assert row[1].startswith(signed(task["student_vs_teacher"]["delta"]))
        assert row[3].startswith(signed(task["int8_vs_teacher"]["delta"]))
        assert row[2].startswith("inconclusive") and row[4].startswith("inconclusive")


def test_thresholds_flips_and_the_second_question_are_reported(complete: Path) -> None:
    page, verify = read_page(complete), verify_of(complete)
    row = page.row("Beyond the first question", "Heart murmur")
    task = verify["tasks"][0]
    assert row[1] == "sensitivity 0.74 specificity 0.81"
    assert row[3] == "7 1.2 % of 604"
    assert row[5].startswith(fixed(task["retrained_probe"]["int8"]["value"]))
    assert row[6] == "0.061 → 0.061 at even odds"
    assert "Calibration error: mean gap" in page.section("tasks")
    assert "In all 14 decisions of INT8 at the student's thresholds differ (1.0 %)." in page.section("tasks")


def test_subgroups_stand_with_value_difference_and_interval(make_run: MakeRun) -> None:
    page, files = report(make_run, phantom=True)
    rows = page.tables[SUBGROUPS][1:]
    expected = [
        (task, group)
        for task in files["verify"]["tasks"]
        for group in task["subgroups"]
        if group["n_test"] != task["n_test"]
    ]
    assert len(rows) == len(expected) == 7
    for row, (task, group) in zip(rows, expected, strict=True):
        digits, places = (3, 4) if task["metric"] == "auroc" else (2, 3)
        assert task["id"] in row[0] and row[1] == f"{group['group']} {group['column']}"
        assert row[2] == f"{group['n_subjects']} {group['n_test']} recordings"
        assert row[3:5] == [fixed(group[model], digits) for model in ("float_student", "int8")]
        pair = group["int8_vs_student"]
        assert row[5] == f"{signed(pair['delta'], places)} {signed_interval(pair['ci95'], places)}"
    assert not [row for row in rows if "Littmann" in row[1]], "a group that is the whole test set says nothing new"
    words = page.section("tasks")
    assert "7 differences with 95 % intervals, not adjusted for their number" in words
    assert "fewer than 10 test persons (of each class, for AUROC): P1 2 groups by age (4 persons); P2 2 groups" in words


def test_without_groups_there_is_no_table_of_them(make_run: MakeRun) -> None:
    def forget(files: dict[str, Json]) -> None:
        for task in files["verify"]["tasks"]:
            for name in ("subgroups", "subgroups_too_small", "subgroup_comparisons", "ece_change"):
                del task[name]
            for model in ("float_teacher", "float_student", "int8"):
                task[model].pop("ece", None)

    page, _ = report(make_run, change=forget)
    assert SUBGROUPS not in page.tables and "Not shown, because" not in page.section("tasks")
    assert page.row("Beyond the first question", "Heart murmur")[6] == "–"
    assert "Calibration error: mean gap" not in page.section("tasks")


def test_the_headline_does_not_call_inconclusive_good(complete: Path) -> None:
    page = read_page(complete)
    assert "passed the quality gate; whether it is as good as float stays open on 1 of 2 tasks." in page.headline
    assert ("div", {"class": "headline caution", "id": "headline"}) in page.elements
    assert "non-inferior on 1 and inconclusive on 1 of 2 tasks" in page.headline


def test_the_headline_says_good_where_every_task_is(make_run: MakeRun) -> None:
    def settle(files: dict[str, Json]) -> None:
        for task, verdict in zip(files["verify"]["tasks"], ("non-inferior", "identical"), strict=True):
            task["int8_vs_student"] |= {"verdict": verdict, "reason": None}

    page, _ = report(make_run, change=settle)
    assert "The INT8 model passed the quality gate: as good as its float student on all 2 tasks." in page.headline
    assert ("div", {"class": "headline good", "id": "headline"}) in page.elements


def test_a_gate_that_lets_an_inferior_task_pass_does_not_make_it_good(make_run: MakeRun) -> None:
    page, _ = report(make_run, phantom=True, passed=True)
    assert "it is worse than its float student on 1 of 4 tasks" in page.headline
    assert ("div", {"class": "headline caution", "id": "headline"}) in page.elements


def test_a_refused_gate_is_the_headline_with_its_reasons(make_run: MakeRun) -> None:
    page, _ = report(make_run, phantom=True, passed=False)
    assert "The quality gate refused the INT8 model: the INT8 model is inferior on P3." in page.headline
    assert "passed the quality gate" not in page.source
    assert ("div", {"class": "headline bad", "id": "headline"}) in page.elements
    assert page.row(GATE, "Tasks with the verdict inferior")[1:] == ["0", "1 on P3", "broken"]


def test_every_criterion_of_the_gate_stands_with_limit_and_finding(complete: Path) -> None:
    page, verify = read_page(complete), verify_of(complete)
    rows = page.tables[GATE][1:]
    assert len(rows) == len(verify["gate"]["criteria"])
    assert page.row(GATE, "Mean loss of AUROC")[1:] == ["0.0100", "0.0012", "kept"]
    assert page.row(GATE, "Largest loss")[2] == "0.0012 on C1"
    assert page.row(GATE, "Mean cosine")[1:3] == ["0.9700", "0.9974"]
    assert page.row(GATE, "Tasks with the verdict inconclusive")[3] == "does not apply"


def test_a_criterion_without_a_finding_is_not_zero(make_run: MakeRun) -> None:
    def forget(files: dict[str, Json]) -> None:
        files["verify"]["gate"]["criteria"]["max_mean_drop"] |= {"value": None, "passed": None}

    page, _ = report(make_run, change=forget)
    assert page.row(GATE, "Mean loss of AUROC")[2:] == ["not measured", "does not apply"]


def test_tasks_that_were_not_evaluated_are_listed_with_the_reason(make_run: MakeRun) -> None:
    page, _ = report(make_run, phantom=True)
    assert "Tasks not evaluated C1: no recordings of the data set circor" in page.section("tasks")


def test_assumed_definitions_and_few_persons_are_limits(complete: Path) -> None:
    page = read_page(complete)
    assert "The definition of C1 is assumed" in page.section("limits")
    assert "T10 rest on fewer than 50 test persons" in page.section("limits")
    assert "stays open with this many persons" in page.section("limits")


def test_phantom_tasks_are_called_phantom_on_top(make_run: MakeRun) -> None:
    page, _ = report(make_run, phantom=True)
    assert "All tasks are phantom tasks, on generated sounds: they say nothing about patients." in page.headline
    real, _ = report(make_run, name="real")
    assert "phantom" not in real.headline


def test_parity_tells_forms_and_windows_apart(make_run: MakeRun) -> None:
    def add(files: dict[str, Json]) -> None:
        parity = files["verify"]["parity"]
        parity["int8_vs_student"]["n"] = 72
        parity["int8_vs_onnx"] = {**parity["int8_vs_student"], "n": 100, "windows": "calibration"}

    page, _ = report(make_run, change=add)
    rows = {row[0]: row[1:] for row in page.tables["How close the forms of the model are"][1:]}
    assert rows["PyTorch → ONNX float 7 windows"][3] == "2.0 × 10⁻⁶"
    assert rows["ONNX float → INT8 72 test recordings"][:3] == ["0.9974", "0.9812", "22.4 dB"]
    assert "ONNX float → INT8 100 calibration windows" in rows
