"""Each verb hands on what was typed, and prints what came back."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from click.testing import Result

from acula_edge.errors import GateRefused
from acula_edge.run import Run

Invoke = Callable[..., Result]
Called = Callable[[str, Any], dict[str, Any]]


def test_train_with_no_further_word(invoke: Invoke, called: Called) -> None:
    arguments = called("train", Run("runs/latest"))
    result = invoke("train")
    assert result.exit_code == 0, result.output
    assert arguments == {"recipe": None, "data": {}, "overrides": (), "out": Path("runs/latest"), "resume": False}
    assert result.stdout == "runs/latest\n"
    assert result.stderr == "next: acula-edge export --int8\n"


def test_train_hands_on_every_option(invoke: Invoke, called: Called, corpus: Path, tmp_path: Path) -> None:
    arguments = called("train", Run(tmp_path / "r"))
    words = ("--data", f"mine={corpus}", "--data", f"b={corpus}", "--set", "seed=1", "--set", "align.epochs=2")
    result = invoke("train", "auscultation", *words, "--out", tmp_path / "r", "--resume")
    assert result.exit_code == 0, result.output
    assert arguments == {
        "recipe": "auscultation",
        "data": {"mine": corpus, "b": corpus},
        "overrides": ("seed=1", "align.epochs=2"),
        "out": tmp_path / "r",
        "resume": True,
    }
    assert f"next: acula-edge export --int8 {tmp_path / 'r'}" in result.stderr


def test_train_on_evaluated_persons_is_a_setting_of_the_recipe(invoke: Invoke, called: Called, tmp_path: Path) -> None:
    arguments = called("train", Run(tmp_path / "r"))
    assert invoke("train", "--set", "seed=1", "--include-evaluation-subjects").exit_code == 0
    assert arguments["overrides"] == ("seed=1", "data.guard.include_evaluation_subjects=true")


def test_export_with_no_further_word_takes_the_recipe(
    invoke: Invoke, called: Called, exported: types.SimpleNamespace
) -> None:
    arguments = called("export", exported.bundle)
    result = invoke("export", "--int8")
    assert result.exit_code == 0, result.output
    assert arguments["run"] == Path("runs/latest")
    assert (arguments["int8"], arguments["gate"], arguments["profile"]) == (True, True, None)
    assert arguments["student"] is None
    assert f"bundle: {exported.bundle}" in result.stdout
    assert f"report: {exported.run.path / 'report.html'}" in result.stdout


def test_export_hands_on_every_option(invoke: Invoke, called: Called, exported: types.SimpleNamespace) -> None:
    arguments = called("export", exported.bundle)
    result = invoke(
        "export",
        "runs/x",
        "--student",
        "none",
        "--profile",
        "tensorrt",
        "--no-gate",
        "--json",
        "--set",
        "quantize.method=mse",
    )
    assert result.exit_code == 0, result.output
    assert arguments == {
        "run": Path("runs/x"), "int8": False, "student": "none", "profile": "tensorrt", "gate": False,
        "overrides": ("quantize.method=mse",),
    }  # fmt: skip
    printed = json.loads(result.stdout)
    assert printed["bundle"] == str(exported.bundle)
    assert printed["verify"]["tasks"][0]["id"] == "C1"
    assert printed["benchmark"]["measurements"][0]["energy_mj"] is None


def test_a_refused_export_shows_its_figures_and_ends_with_3(
    invoke: Invoke, called: Called, exported: types.SimpleNamespace
) -> None:
    called("export", GateRefused("the quality gate refused it"))
    result = invoke("export", exported.run.path, "--int8")
    assert result.exit_code == 3
    assert "non-inferior" in result.stdout
    assert "error: the quality gate refused it" in result.stderr


def test_demo_ends_with_its_figures(invoke: Invoke, called: Called, exported: types.SimpleNamespace) -> None:
    arguments = called("demo", exported.run.path / "report.html")
    result = invoke("demo", "--out", exported.run.path)
    assert result.exit_code == 0, result.output
    assert arguments == {"out": exported.run.path}
    assert "report.html" in result.stdout


def test_a_summary_shows_intervals_verdicts_and_what_is_missing(
    invoke: Invoke, called: Called, exported: types.SimpleNamespace
) -> None:
    called("export", exported.bundle)
    result = invoke("export", "--int8")
    assert "0.840 [0.760, 0.910]" in result.stdout
    assert "-0.0012 [-0.0040, +0.0020]" in result.stdout
    assert "gate: refused" in result.stdout
    assert "too few subjects" in result.stdout
    assert "not evaluated: T4: its data set is not here" in result.stderr
    assert "warning: other programs were busy" in result.stderr


def test_a_speed_up_stands_only_beside_an_accuracy(
    invoke: Invoke, called: Called, exported: types.SimpleNamespace
) -> None:
    called("export", exported.bundle)
    lines = invoke("export", "--int8").stdout.splitlines()
    (stated,) = [line for line in lines if line.startswith("model.int8.onnx against")]
    assert "2.50 times [2.40, 2.60]" in stated and "C1 AUROC 0.831 -> 0.830" in stated
    (withheld,) = [line for line in lines if line.startswith("other.onnx against")]
    assert "2.5" not in withheld and "not verified" in withheld


def test_verify_splits_the_tasks(invoke: Invoke, called: Called, exported: types.SimpleNamespace) -> None:
    verification = json.loads((exported.bundle / "verify.json").read_text())
    arguments = called("verify", verification)
    result = invoke("verify", exported.bundle, "--tasks", "C1, T10")
    assert result.exit_code == 0, result.output
    assert arguments == {"target": exported.bundle, "tasks": ["C1", "T10"], "zero_shot": None}
    invoke("verify", exported.bundle, "--zero-shot", "mine.yaml")
    assert arguments == {"target": exported.bundle, "tasks": None, "zero_shot": "mine.yaml"}
    assert json.loads(invoke("verify", "--json").stdout) == verification


@pytest.mark.parametrize(("options", "mode"), [((), None), (("--quick",), "quick"), (("--full",), "full")])
def test_benchmark_modes(
    invoke: Invoke, called: Called, exported: types.SimpleNamespace, options: tuple[str, ...], mode: str | None
) -> None:
    arguments = called("benchmark", json.loads((exported.bundle / "benchmark.json").read_text()))
    result = invoke("benchmark", "a.onnx", "b.onnx", *options, "--json", "out.json")
    assert result.exit_code == 0, result.output
    paths = [Path("a.onnx"), Path("b.onnx")]
    assert arguments == {"paths": paths, "mode": mode, "json": Path("out.json"), "threads": None}
    assert "model.int8.onnx" in result.stdout and "not measured: no sensor" in result.stdout


def test_benchmark_prints_json_on_request(invoke: Invoke, called: Called, exported: types.SimpleNamespace) -> None:
    arguments = called("benchmark", json.loads((exported.bundle / "benchmark.json").read_text()))
    result = invoke("benchmark", exported.bundle, "--json", "-")
    assert arguments["json"] is None
    assert json.loads(result.stdout)["schema"] == "acula-edge/benchmark/1"


def test_distill_and_report_print_their_path(invoke: Invoke, called: Called, exported: types.SimpleNamespace) -> None:
    arguments = called("distill", exported.run)
    assert invoke("distill", exported.run.path, "--student", "tiny").stdout.strip().endswith("student/tiny")
    assert arguments == {"run": exported.run.path, "student": "tiny", "resume": False}
    arguments = called("report", exported.run.path / "report.html")
    assert invoke("report", exported.run.path).stdout == f"{exported.run.path / 'report.html'}\n"
    assert arguments == {"run": exported.run.path}


def test_doctor_lists_what_is_registered(invoke: Invoke) -> None:
    found = json.loads(invoke("doctor", "--json").stdout)
    listed = {"encoders", "students", "objectives", "teachers", "tasks", "profiles", "readers"}
    assert listed <= set(found["registered"])
    assert "base" in found["registered"]["students"]
    text = invoke("doctor").stdout
    assert "build-engine" in text and "opera-ce" in text


def test_recipes_list_show_and_check(invoke: Invoke) -> None:
    names = [row["name"] for row in json.loads(invoke("recipes", "list", "--json").stdout)]
    assert {"phantom", "auscultation"} <= set(names)
    shown = json.loads(invoke("recipes", "show", "phantom", "--set", "align.epochs=2", "--json").stdout)
    assert shown["align"]["epochs"] == 2
    for name in names:
        assert json.loads(invoke("recipes", "check", name, "--json").stdout)["valid"] is True


def test_a_shown_recipe_is_the_same_recipe(invoke: Invoke, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    copy.write_text(invoke("recipes", "show", "auscultation").stdout)
    first, second = (json.loads(invoke("recipes", "check", r, "--json").stdout) for r in ("auscultation", copy))
    assert first["sha256"] == second["sha256"]


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("encoder.name=mobilnet", "mobilenet"),
        ("distill.student=bsae", "base"),
        ("align.objectives={infonec: 1.0}", "infonce"),
        ("verify.tasks=[C11]", "C1"),
        ("reports.writer=templates", "template"),
        ("data.sources.x={reader: kauhh}", "kauh"),
    ],
)
def test_a_recipe_that_names_what_does_not_exist(invoke: Invoke, override: str, meant: str) -> None:
    result = invoke("recipes", "check", "auscultation", "--set", override)
    assert result.exit_code == 2
    assert override.partition("=")[0] in result.stderr
    assert f"did you mean '{meant}'?" in result.stderr


def test_data_check_counts_and_writes_nothing(invoke: Invoke, corpus: Path) -> None:
    before = sorted(corpus.rglob("*"))
    result = invoke("data", "check", "manifest", "--root", corpus / "manifest.csv", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["recordings"], facts["subjects"], facts["set_aside"]) == (10, 10, 1)
    (aside,) = facts["set_aside_recordings"]
    assert aside["path"].endswith("text.wav") and aside["reason"]
    assert sorted(corpus.rglob("*")) == before
    assert "wheeze" not in result.output
    assert "text.wav" in invoke("data", "check", "manifest", "--root", corpus).stdout


def test_data_prepare_then_reports(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    result = invoke("data", "prepare", "manifest", "--root", corpus, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    run = Run.open(tmp_path / "run")
    assert len(run.recordings()) == 10
    assert str(run.recordings_path) in result.stderr
    result = invoke("data", "reports", run.recordings_path, "--set", "reports.variants=2")
    assert result.exit_code == 2 and "reports.mapping" in result.stderr
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("facts: [{fact: wheeze, column: finding, values: {wheeze: present, clear: absent}}]\n")
    words = ("--set", "reports.variants=2", "--set", f"reports.mapping={mapping}")
    result = invoke("data", "reports", run.recordings_path, *words)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (run.path / "reports.jsonl").read_text().splitlines()]
    tested = {recording.key for recording in run.recordings("test")}
    assert rows and tested
    assert not tested & {row["recording"] for row in rows}
    again = invoke("data", "prepare", "manifest", "--root", corpus, "--out", tmp_path / "run", "--set", "seed=7")
    assert again.exit_code == 2 and "another recipe" in again.stderr


@pytest.mark.parametrize("words", [("data", "check", "circr"), ("data", "check", "circor")], ids=" ".join)
def test_data_check_of_what_is_not_there(invoke: Invoke, words: tuple[str, ...]) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert "circor" in result.stderr and "Traceback" not in result.stderr


def test_selftest_passes_and_finds_damage(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    import shutil

    assert "passed" in invoke("selftest", bundle).stdout
    damaged = Path(shutil.copytree(bundle, tmp_path / "damaged"))
    with open(damaged / "model.onnx", "ab") as file:
        file.write(b"\0")
    result = invoke("selftest", damaged, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["passed"] is False


def test_run_scores_files_and_standard_input_alike(invoke: Invoke, bundle: Path, corpus: Path) -> None:
    path = corpus / "1.wav"
    result = invoke("run", bundle, path, "--json")
    assert result.exit_code == 0, result.output
    named = json.loads(result.stdout)
    piped = json.loads(invoke("run", bundle, "-", "--json", stdin=path.read_bytes()).stdout)
    assert named.pop("audio") == str(path)
    assert piped.pop("audio") == "-"
    assert piped == named
    table = invoke("run", bundle, path).stdout
    assert all(task in table for task in named["tasks"])


def test_run_goes_on_after_a_recording_that_cannot_be_read(invoke: Invoke, bundle: Path, corpus: Path) -> None:
    result = invoke("run", bundle, corpus / "text.wav", corpus / "1.wav", "--json")
    assert result.exit_code == 2
    assert "text.wav" in result.stderr
    assert [json.loads(line)["audio"] for line in result.stdout.splitlines()] == [str(corpus / "1.wav")]


def test_run_streams_raw_samples_as_it_streams_a_file(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    import numpy as np

    pcm = (3000 * np.random.default_rng(0).standard_normal(60000)).astype("<i2")
    path = tmp_path / "long.wav"
    soundfile.write(path, pcm, 4000, subtype="PCM_16")
    lines = invoke("run", bundle, path, "--stream", "--json").stdout.splitlines()
    raw = invoke("run", bundle, "-", "--stream", "--rate", 4000, "--json", stdin=pcm.tobytes()).stdout.splitlines()
    assert len(lines) > 1
    assert [json.loads(line)["tasks"] for line in lines] == [json.loads(line)["tasks"] for line in raw]
    assert "s\n" in invoke("run", bundle, path, "--stream").stdout


def test_audit_judges_by_profile(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    result = invoke("audit", bundle / "model.onnx", "--profile", "cpu_x86", "--json")
    findings = json.loads(result.stdout)
    assert result.exit_code == (0 if findings["passed"] else 2)
    missing = invoke("audit", tmp_path / "none.onnx", "--profile", "cpu_x86")
    assert missing.exit_code == 2 and "none.onnx" in missing.stderr


def test_build_engine_refuses_a_bundle_of_another_profile(invoke: Invoke, bundle: Path) -> None:
    result = invoke("build-engine", bundle)
    assert result.exit_code == 2
    assert "--profile tensorrt" in result.stderr
