"""Runs at every stage: what is not there is named, and what is damaged is named too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import write_json
from acula_edge.reporting import write_report
from tests.report.conftest import Json, MakeRun
from tests.report.reading import Page, read_page

SECTIONS = ("data", "tasks", "latency", "size", "parity", "quantization", "training", "provenance", "limits")


def report(run: Path) -> Page:
    write_report(run)
    page = read_page(run)
    for anchor in SECTIONS:
        title, _, words = page.section(anchor).partition(" ")
        assert words, f"section {anchor} holds nothing but {title}"
    return page


def test_the_answer_comes_before_anything_else(complete: Path) -> None:
    page = read_page(complete)
    assert list(page.texts)[:3] == ["", "headline", "data"]
    assert len(page.texts[""].partition("acula-edge report")[2].partition("Made by")[0].split()) < 40
    order = [str(attributes["id"]) for tag, attributes in page.elements if tag == "section"]
    assert order == list(SECTIONS)


def test_a_complete_run_tells_what_was_trained_on_what(complete: Path) -> None:
    data = read_page(complete).section("data")
    for words in (
        "opera-ce, from random initialization, aligned with template reports",
        "base, distilled from the teacher on 3 920 training windows",
        "base-cpu_x86, calibrated on 200 windows of 87 training persons (circor and kauh)",
        "Real recordings: circor and kauh.",
        "no person is in more than one split",
    ):
        assert words in data


def test_persons_and_recordings_are_counted_by_split(complete: Path) -> None:
    page = read_page(complete)
    row = page.row("Persons, and their recordings, by data set and split", "circor")
    assert row[0] == "circor real, 4 kHz"
    assert row[1:5] == [
        "84 persons 252 recordings",
        "12 persons 36 recordings",
        "24 persons 72 recordings",
        "120 persons 360 recordings",
    ]
    assert row[5] == "2.1"


def test_a_person_in_two_splits_is_a_loud_finding(make_run: MakeRun) -> None:
    run = make_run()
    rows = [json.loads(line) for line in (run / "recordings.jsonl").read_text().splitlines()]
    rows[0] |= {"split": "train"}
    (run / "recordings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report(run)
    data = page.section("data")
    assert "unseen in training" not in page.headline and "1 person in more than one split" in page.headline
    assert "1 person found in more than one split: figures on test persons are too good." in data
    assert "no person is in more than one split" not in data


def test_a_run_before_training_names_every_stage_as_missing(make_run: MakeRun) -> None:
    page = report(make_run(stages=False, bundles=0))
    assert "Nothing has been trained yet." in page.headline
    assert "acula-edge export --int8 makes one" in page.headline
    for anchor in ("tasks", "latency", "size", "parity", "quantization"):
        assert "Not measured: no bundle has been exported from this run." in page.section(anchor)
    assert "its data have not been prepared yet" in page.section("data")
    assert "not aligned yet" in page.section("data") and "none distilled yet" in page.section("data")
    assert "no epoch of alignment has been logged" in page.section("training")
    assert "No student was distilled in this run." in page.section("training")
    assert "<td" not in page.source and "0.000" not in page.source


def test_a_run_before_export_says_that_the_encoder_is_aligned(make_run: MakeRun) -> None:
    page = report(make_run(bundles=0))
    assert "The encoder is aligned, but no model has been exported yet." in page.headline
    assert "no INT8 model was exported" in page.section("data")


def test_a_float_bundle_is_not_judged_as_int8(make_run: MakeRun) -> None:
    def float_only(files: dict[str, Json]) -> None:
        benchmark, verify = files["benchmark"], files["verify"]
        benchmark["measurements"] = [row for row in benchmark["measurements"] if "int8" not in row["artifact"]]
        benchmark["comparisons"] = []
        for task in verify["tasks"]:
            for key in ("int8", "int8_vs_student", "int8_vs_teacher", "flips", "flip_rate", "retrained_probe"):
                task[key] = None
        verify["summary"]["means"]["int8"] = verify["summary"]["flips"] = None

    page = report(make_run(int8=False, parts=("verify", "benchmark"), change=float_only))
    assert "This bundle holds the float model only: there is no INT8 model to judge." in page.headline
    assert "Mean AUROC of the float student" in page.headline and "→" not in page.headline
    assert "Float student end to end 2.66 ms" in page.headline
    assert "Speed-up of INT8 end to end not measured" in page.headline
    assert "4.31 MB float, no INT8 model" in page.headline
    assert "No INT8 model was made." in page.section("quantization")
    row = page.row("Values on test persons with 95 % intervals over persons", "Heart")
    assert row[4:] == ["–", "–", "–"]


def test_several_bundles_stand_side_by_side_and_each_for_itself(make_run: MakeRun) -> None:
    page = report(make_run(bundles=2))
    rows = page.tables["Bundles of this run"][1:]
    assert [row[0].split()[0] for row in rows] == ["base-cpu_x86", "small1-cpu_x86"]
    assert all(row[1] == "passed" and row[5] == "1.21 ms" and row[6] == "2.20×" for row in rows)
    assert "This is base-cpu_x86; the run's other bundles stand beside it below." in page.headline
    for anchor in ("tasks-2", "latency-2", "size-2", "parity-2", "quantization-2"):
        assert "small1-cpu_x86" in page.section(anchor)
    assert "base-cpu_x86: " in page.section("limits") and "small1-cpu_x86: " in page.section("limits")


@pytest.mark.parametrize(
    ("part", "anchor", "words"),
    [
        ("verify", "tasks", "Not measured: this bundle has no verify.json."),
        ("benchmark", "latency", "Not measured: this bundle has no benchmark.json."),
        ("quantize", "quantization", "Not recorded: this bundle has no quantize.json."),
        ("audit", "quantization", "Not audited: this bundle has no audit.json."),
    ],
)
def test_a_part_that_was_not_run_is_named(make_run: MakeRun, part: str, anchor: str, words: str) -> None:
    parts = tuple(name for name in ("verify", "benchmark", "quantize", "audit") if name != part)
    page = report(make_run(parts=parts))
    assert words in page.section(anchor)
    if part == "verify":
        assert "nothing is known of its quality" in page.headline
        assert "Mean AUROC, float student → INT8 not measured" in page.headline
        assert "quality was not measured" in page.section("limits")
    if part == "benchmark":
        assert "INT8 end to end not measured" in page.headline
        assert "Latency was not measured." in page.section("limits")


def test_provenance_has_recipe_commit_versions_and_hashes(complete: Path) -> None:
    page = read_page(complete)
    words, manifest = page.section("provenance"), json.loads((complete / "manifest.json").read_text())
    bundle = json.loads((complete / "export" / "base-cpu_x86" / "bundle.json").read_text())
    for text in (
        manifest["recipe_sha256"],
        manifest["provenance"]["commit"],
        "torch 2.14.0",
        *(stage["sha256"] for stage in manifest["stages"].values()),
        *bundle["files"].values(),
    ):
        assert text in words
    assert "was changed after the last stage" not in words


def test_a_recipe_changed_afterwards_is_flagged(make_run: MakeRun) -> None:
    run = make_run()
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 1", 1))
    assert "recipe.yaml was changed after the last stage" in report(run).section("provenance")


def test_not_a_medical_device_is_on_top_and_among_the_limits(complete: Path) -> None:
    page = read_page(complete)
    assert "not a medical device" in page.texts[""]
    assert "This is research software, not a medical device." in page.section("limits")
    assert "not a medical device" in (complete / "report.md").read_text().splitlines()[4]


def test_a_loss_that_is_no_number_is_said_and_not_drawn(make_run: MakeRun) -> None:
    run = make_run()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"stage": "align", "epoch": 9, "loss": NaN, "val_cka": 0.3}\n17\n{"torn')
    page = report(run)
    assert "The loss was not a finite number in 1 epoch: training diverged." in page.section("training")
    assert "nan" not in page.source.lower().split()


def test_an_epoch_run_again_after_a_resume_counts_once(make_run: MakeRun) -> None:
    run = make_run()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"stage": "align", "epoch": 8, "loss": 0.125}\n')
    report(run)
    assert "Training loss: 2.55 after epoch 1, 0.125 after epoch 8." in (run / "report.md").read_text()


@pytest.mark.parametrize("part", ["bundle", "verify", "benchmark", "quantize", "audit"])
def test_a_damaged_file_of_a_bundle_is_named(make_run: MakeRun, part: str) -> None:
    run = make_run()
    file = run / "export" / "base-cpu_x86" / f"{part}.json"
    not_finite = json.dumps({**json.loads(file.read_text()), "window_s": float("nan")})
    for damage in ('{"schema": ', "[]", '{"schema": "acula-edge/other/9"}', "\x00", not_finite):
        file.write_text(damage)
        with pytest.raises(ArtifactError, match=rf"{part}\.json"):
            write_report(run)
        assert not (run / "report.html").exists() and not (run / "report.md").exists()


@pytest.mark.parametrize("name", ["manifest.json", "recordings.jsonl", "set_aside.jsonl"])
def test_a_damaged_file_of_a_run_is_named(make_run: MakeRun, name: str) -> None:
    run = make_run()
    (run / name).write_bytes(b'{"schema": \xff')
    with pytest.raises(InputError, match=name):
        write_report(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"schema": "acula-edge/run/1", "stages": {}})
    with pytest.raises(ArtifactError, match="is not a run"):
        write_report(tmp_path)
