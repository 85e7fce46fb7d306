"""benchmark.json: what it holds, what it refuses, and the accuracy beside every speed-up. No timing is judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge import pipeline
from acula_edge.benchmarking import artifact, session
from acula_edge.benchmarking.artifact import Artifact
from acula_edge.benchmarking.bundle import benchmark_bundle, benchmark_models
from acula_edge.benchmarking.energy import Meter
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.footprint import measure_footprint
from acula_edge.benchmarking.machine_state import State
from acula_edge.benchmarking.measure import PLANS, Plan
from acula_edge.benchmarking.session import write_copy
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.json_files import write_facts
from acula_edge.bundle.layout import BENCHMARK_SAMPLES_FILE as SAMPLES
from acula_edge.bundle.schema import Verify
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import sha256_file
from tests.benchmark.recorded_machines import orin_nano
from tests.complete import complete
from tests.tiny_bundle import write_tiny_bundle

BRIEF = Plan(loops=2, loop_s=0.01, warmup_runs=2, warmup_s=0.0, pairs=3, block_s=0.002)
TEACHER = "float teacher, PyTorch"
LATENCIES = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "cold_start_ms", "peak_rss_mb", "rtf")


@pytest.fixture(scope="module")
def footprint(bundle_dir: Path) -> dict[str, Any]:
    """Real figures of one model; test_footprint.py looks at them more closely."""
    return measure_footprint(bundle_dir / "model.onnx")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch, footprint: dict[str, Any]) -> None:
    """Smoke mode, shorter still: no half second of watching the machine, and one process for all footprints."""
    monkeypatch.setitem(PLANS, "smoke", BRIEF)
    monkeypatch.setattr(artifact, "measure_footprint", lambda path, threads: footprint)
    monkeypatch.setattr(session, "measure_disturbance", lambda: {"busy_cores": 0.0, "stolen_cores": 0.0})


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny-cpu_x86")


@pytest.fixture
def copy(bundle_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_dir, tmp_path / "copy"))


def verification() -> dict[str, Any]:
    def row(value: float) -> dict[str, Any]:
        return {"value": value, "ci95": [value - 0.05, value + 0.05]}

    task = {"id": "M", "metric": "auroc", "n_subjects": 40}
    return {"tasks": [{**task, "float_teacher": None, "float_student": row(0.81), "int8": row(0.8)}]}


def test_every_model_is_measured_by_stage_with_its_own_hash(copy: Path) -> None:
    result = benchmark_bundle(copy, mode="smoke")
    rows = {row["artifact"]: row for row in result["measurements"]}
    assert {name: (row["stage"], row["precision"]) for name, row in rows.items()} == {
        "frontend.onnx": ("frontend", "float32"),
        "encoder.onnx": ("encoder", "float32"),
        "encoder.int8.onnx": ("encoder", "int8"),
        "model.onnx": ("end_to_end", "float32"),
        "model.int8.onnx": ("end_to_end", "int8"),
    }
    for name, row in rows.items():
        assert row["provider"] == "CPUExecutionProvider" and row["threads"] == 1
        assert row["sha256"] == sha256_file(copy / name) and row["size_bytes"] == (copy / name).stat().st_size
        assert all(row[key] > 0 for key in LATENCIES), row
        assert row["p90_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["loops"] == 2 and row["n"] >= 2
    assert result["window_s"] == 2.0 and result["bundle"] == "tiny-cpu_x86"
    assert result["environment"]["packages"]["onnxruntime"]


def test_what_was_not_measured_is_null_with_a_reason(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acula_edge.benchmarking.energy.find_sensor", lambda machine: None)
    monkeypatch.setattr(artifact, "read_state", lambda machine: State({}, None, None))
    result = benchmark_bundle(copy, mode="smoke", extra={TEACHER: lambda: None})
    for row in result["measurements"]:
        assert row["energy_mj"] is None and "no energy sensor" in row["not_measured"]["energy_mj"]
    teacher = result["measurements"][-1]
    assert teacher["artifact"] == TEACHER and teacher["stage"] == "end_to_end"
    assert teacher["cold_start_ms"] is None and teacher["peak_rss_mb"] is None and teacher["sha256"] is None
    assert set(teacher["not_measured"]) == {"energy_mj", "cold_start_ms", "peak_rss_mb", "processor_c", "clock_mhz"}
    assert teacher["clock_mhz"] is None and teacher["processor_c"] == {"before": None, "after": None}


def test_energy_is_stated_above_idle_with_what_the_sensor_saw(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sensor:
        scope = "a rail"

        def start(self) -> None: ...

        def stop_mj(self) -> float:
            return 5.0

    monkeypatch.setattr(session.Meter, "open", lambda machine, idle_s: Meter(Sensor(), 1e-6))
    result = benchmark_bundle(copy, mode="smoke")
    assert result["power"] == {"sensor": "a rail", "idle_mw": 1e-6, "reason": None}
    for row in result["measurements"]:
        assert 0 < row["energy_mj"] <= row["energy_gross_mj"] <= 5.0 and row["energy_scope"] == "a rail"
        assert "energy_mj" not in row["not_measured"]


def test_what_became_of_the_machine_is_told(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([State({"cpu-thermal": 40.0 + 5 * number}, 1000.0, None) for number in range(100)])
    monkeypatch.setattr(session, "read_state", lambda machine: next(looks))
    monkeypatch.setattr(artifact, "read_state", lambda machine: next(looks))
    machine = orin_nano(tmp_path / "orin", held=False)
    monkeypatch.setattr(session, "describe_environment", lambda _: describe_environment(machine))
    result = benchmark_bundle(copy, mode="smoke")
    assert result["state"]["processor_c"]["before"] == 40.0
    assert result["state"]["processor_c"]["max"] == result["state"]["processor_c"]["after"] > 100
    assert result["measurements"][0]["processor_c"] == {"before": 45.0, "after": 50.0}
    assert result["measurements"][0]["clock_mhz"] == 1000.0
    assert any("sudo jetson_clocks" in warning for warning in result["warnings"])
    assert any("warmed from 40" in warning for warning in result["warnings"])
    assert result["environment"]["jetson"]["power_mode"] == "25W"


def test_pairs_are_int8_against_float_and_the_deployed_model_against_each_extra(copy: Path) -> None:
    result = benchmark_bundle(copy, mode="smoke", extra={TEACHER: lambda: None, "other": lambda: None})
    assert [(pair["reference"], pair["candidate"], pair["stage"]) for pair in result["comparisons"]] == [
        ("encoder.onnx", "encoder.int8.onnx", "encoder"),
        ("model.onnx", "model.int8.onnx", "end_to_end"),
        (TEACHER, "model.int8.onnx", "end_to_end"),
        ("other", "model.int8.onnx", "end_to_end"),
    ]
    for pair in result["comparisons"]:
        assert pair["pairs"] == BRIEF.pairs
        low, high = pair["speedup_ci95"]
        assert low <= pair["speedup"] <= high


def test_accuracy_of_the_same_files_stands_beside_every_speed_up(copy: Path) -> None:
    unverified = benchmark_bundle(copy, mode="smoke")
    assert all("not verified" in pair["accuracy"]["reason"] for pair in unverified["comparisons"])

    write_facts(copy / "verify.json", complete(Verify, {**verification(), "schema": Verify.SCHEMA}))
    result = benchmark_bundle(copy, mode="smoke", extra={TEACHER: lambda: None, "other": lambda: None})
    accuracy = {pair["reference"]: pair["accuracy"] for pair in result["comparisons"]}
    (task,) = accuracy["model.onnx"]["tasks"]
    assert (task["id"], task["reference"]["value"], task["candidate"]["value"]) == ("M", 0.81, 0.8)
    assert accuracy[TEACHER]["tasks"][0]["reference"] is None
    assert accuracy[TEACHER]["tasks"][0]["candidate"]["value"] == 0.8
    assert accuracy["other"]["tasks"] == [] and "only one" in accuracy["other"]["reason"]


def test_each_row_carries_the_accuracy_of_its_file(copy: Path) -> None:
    write_facts(copy / "verify.json", complete(Verify, {**verification(), "schema": Verify.SCHEMA}))
    rows = {row["artifact"]: row["accuracy"] for row in benchmark_bundle(copy, mode="smoke")["measurements"]}
    assert [task["value"] for task in rows["model.int8.onnx"]["tasks"]] == [0.8]
    assert [task["value"] for task in rows["encoder.onnx"]["tasks"]] == [0.81]
    assert rows["frontend.onnx"] == {"tasks": [], "reason": "verify.json does not evaluate it"}


def test_a_copy_takes_its_samples_along(copy: Path, tmp_path: Path) -> None:
    result = benchmark_bundle(copy, mode="smoke")
    write_copy(result, copy, tmp_path / "away" / "pi5.json")
    written = json.loads((tmp_path / "away" / "pi5.json").read_text())
    assert written == {**result, "samples_file": "pi5_samples.npz"}
    assert (tmp_path / "away" / "pi5_samples.npz").read_bytes() == (copy / SAMPLES).read_bytes()

    write_copy({**result, "samples_file": None}, copy, tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text())["samples_file"] is None
    assert not (tmp_path / "none_samples.npz").exists()


def test_files_are_written_and_hold_the_raw_samples(copy: Path) -> None:
    result = benchmark_bundle(copy, mode="smoke", extra={TEACHER: lambda: None})
    assert json.loads((copy / "benchmark.json").read_text()) == result
    assert result["schema"] == "acula-edge/benchmark/1" and result["samples_file"] == SAMPLES
    with np.load(copy / SAMPLES) as samples:
        for row in result["measurements"]:
            raw, loop = samples[row["samples_key"]], samples[f"loop/{row['artifact']}"]
            assert raw.size == row["n"] == loop.size and loop.max() + 1 == row["loops"]
            medians = [np.median(raw[loop == number]) for number in range(row["loops"])]
            assert np.median(medians) == pytest.approx(row["p50_ms"], rel=1e-4)
            assert np.percentile(raw, 99) == pytest.approx(row["p99_ms"], rel=1e-4)
        for pair in result["comparisons"]:
            ratio = samples[f"{pair['samples_key']}/reference"] / samples[f"{pair['samples_key']}/candidate"]
            assert np.median(ratio) == pytest.approx(pair["speedup"])


def test_another_folder_leaves_the_bundle_untouched(copy: Path, tmp_path: Path) -> None:
    benchmark_bundle(copy, mode="smoke", out=tmp_path / "elsewhere")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["benchmark.json", SAMPLES]
    assert not (copy / "benchmark.json").exists()
    read_bundle(copy)


def test_altered_models_are_refused_before_anything_is_measured(copy: Path) -> None:
    (copy / "encoder.onnx").write_bytes((copy / "encoder.onnx").read_bytes() + b"\0")
    with pytest.raises(ArtifactError, match=r"encoder\.onnx was altered"):
        benchmark_bundle(copy, mode="smoke")
    assert not (copy / "benchmark.json").exists()


def test_a_float_bundle_is_measured_without_int8(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "float", int8=False)
    result = benchmark_bundle(folder, mode="smoke", extra={TEACHER: lambda: None})
    assert len(result["measurements"]) == 4
    assert [(pair["reference"], pair["candidate"]) for pair in result["comparisons"]] == [(TEACHER, "model.onnx")]


def test_plain_models_are_compared_with_the_first(bundle_dir: Path, tmp_path: Path) -> None:
    files = [bundle_dir / "model.onnx", bundle_dir / "model.int8.onnx"]
    before = sorted(path.name for path in bundle_dir.iterdir())
    result = benchmark_models(files, mode="smoke")
    assert [(row["artifact"], row["precision"], row["stage"]) for row in result["measurements"]] == [
        ("model.onnx", "float32", "end_to_end"),
        ("model.int8.onnx", "int8", "end_to_end"),
    ]
    (pair,) = result["comparisons"]
    assert (pair["reference"], pair["candidate"]) == ("model.onnx", "model.int8.onnx")
    assert result["samples_file"] is None and result["measurements"][0]["rtf"] is None
    assert sorted(path.name for path in bundle_dir.iterdir()) == before

    twins = [bundle_dir / "model.onnx", Path(shutil.copy(bundle_dir / "model.onnx", tmp_path / "model.onnx"))]
    names = [row["artifact"] for row in benchmark_models(twins, mode="smoke")["measurements"]]
    assert len(set(names)) == 2


def test_bad_requests_are_refused(bundle_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mode"):
        benchmark_bundle(bundle_dir, mode="slow")
    with pytest.raises(InputError, match="nothing"):
        benchmark_models([], mode="smoke")
    with pytest.raises(ArtifactError, match="no bundle"):
        benchmark_bundle(tmp_path, mode="smoke")
    with pytest.raises(ArtifactError, match="no model"):
        benchmark_models([tmp_path / "absent.onnx"], mode="smoke")


def test_a_bundle_outside_its_run_stays_as_it_was_made_when_the_result_goes_elsewhere(
    copy: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    result = pipeline.benchmark([copy], mode="smoke", json=tmp_path / "away" / "here.json", threads=2)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert all(row["threads"] == 2 for row in result["measurements"])
    assert sorted(path.name for path in (tmp_path / "away").iterdir()) == ["here.json", "here_samples.npz"]

    pipeline.benchmark([copy], mode="smoke")
    assert (copy / "benchmark.json").is_file()
    read_bundle(copy)


def test_an_engine_built_here_is_measured_and_one_from_elsewhere_is_named(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(artifact, "notify", lambda message, *values: said.append(message % values))
    (copy / "engine-orin-10.3.0.plan").write_bytes(b"plan")
    assert len(benchmark_bundle(copy, mode="smoke")["measurements"]) == 5
    assert len(said) == 1 and said[0].startswith("engine-orin-10.3.0.plan is not measured: ")

    ours = Artifact("engine-orin-10.3.0.plan", "end_to_end", "int8-fp16", "TensorRT", 1, lambda: None)
    monkeypatch.setattr(artifact, "_open_engine", lambda plan, feed: ours)
    result = benchmark_bundle(copy, mode="smoke", extra={TEACHER: lambda: None})
    row = result["measurements"][5]
    assert (row["artifact"], row["provider"], row["precision"]) == (ours.name, "TensorRT", "int8-fp16")
    assert row["accuracy"]["tasks"] == [] and "engine" in row["not_measured"]["cold_start_ms"]
    pairs = [(pair["reference"], pair["candidate"]) for pair in result["comparisons"]]
    assert pairs[2:] == [("model.int8.onnx", ours.name), (TEACHER, "model.int8.onnx")]
