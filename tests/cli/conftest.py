"""A bundle, a corpus and a pipeline that remembers how it was called."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from acula_edge import pipeline
from acula_edge.cli.main import cli
from tests.tiny_bundle import write_tiny_bundle

Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    """Run a command line given as words."""

    def run(*words: object, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words], input=stdin)

    return run


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny-cpu_x86")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of ten persons with one recording each, and an eleventh whose file is text."""
    folder = tmp_path_factory.mktemp("corpus")
    noise = np.random.default_rng(0)
    rows = ["path,subject,finding"]
    for number in range(10):
        soundfile.write(folder / f"{number}.wav", 0.1 * noise.standard_normal(8000), 4000, subtype="PCM_16")
        rows.append(f"{number}.wav,person{number},{'wheeze' if number % 2 else 'clear'}")
    (folder / "text.wav").write_text("this is no sound\n" * 9)
    rows.append("text.wav,person10,clear")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], dict[str, Any]]:
    """Replace one function of the pipeline; its arguments are bound to the real function's signature."""

    def replace(name: str, result: Any) -> dict[str, Any]:
        signature = inspect.signature(getattr(pipeline, name))
        arguments: dict[str, Any] = {}

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            arguments.update(bound.arguments)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(pipeline, name, stand_in)
        return arguments

    return replace


@pytest.fixture
def exported(tmp_path: Path) -> types.SimpleNamespace:
    """A run folder with one exported bundle: only the files that a summary reads."""
    from acula_edge.files import write_json
    from acula_edge.recipe import Recipe
    from acula_edge.run import Run

    run = Run.create(tmp_path / "run", Recipe())
    folder = run.bundle_dir("base", "cpu_x86")
    write_json(folder / "bundle.json", {"schema": "acula-edge/bundle/1"})
    write_json(folder / "verify.json", VERIFICATION)
    write_json(folder / "benchmark.json", BENCHMARK)
    (run.path / "report.html").write_text("<p>")
    return types.SimpleNamespace(run=run, bundle=folder)


VERIFICATION: dict[str, Any] = {
    "schema": "acula-edge/verify/1",
    "tasks": [
        {
            "id": "C1",
            "name": "Heart murmur",
            "metric": "auroc",
            "n_subjects": 47,
            "float_teacher": {"value": 0.84, "ci95": [0.76, 0.91]},
            "float_student": {"value": 0.8312, "ci95": [0.75, 0.9]},
            "int8": {"value": 0.83, "ci95": None},
            "int8_vs_student": {"delta": -0.0012, "ci95": [-0.004, 0.002], "verdict": "non-inferior"},
        },
        {"id": "T10", "name": "Obstruction", "metric": "auroc", "n_subjects": 18, "float_student": None},
    ],
    "summary": {"tasks_missing": [{"id": "T4", "reason": "its data set is not here"}]},
    "gate": {"passed": False, "reasons": ["too few subjects"]},
}

_ROW = {"provider": "CPUExecutionProvider", "threads": 1, "p90_ms": 1.0, "p99_ms": 2.0, "cold_start_ms": 90.0,
        "peak_rss_mb": 70.0, "energy_mj": None}  # fmt: skip
_PAIR = {"reference": "model.onnx", "speedup": 2.5, "speedup_ci95": [2.4, 2.6]}
BENCHMARK: dict[str, Any] = {
    "schema": "acula-edge/benchmark/1",
    "measurements": [{"artifact": "model.int8.onnx", "stage": "end_to_end", "p50_ms": 0.5, **_ROW}],
    "comparisons": [
        {
            **_PAIR,
            "candidate": "model.int8.onnx",
            "accuracy": {
                "tasks": [
                    {"id": "C1", "metric": "auroc", "reference": {"value": 0.8312}, "candidate": {"value": 0.83}}
                ],
                "reason": None,
            },
        },
        {**_PAIR, "candidate": "other.onnx", "accuracy": {"tasks": [], "reason": "not verified"}},
    ],
    "warnings": ["other programs were busy"],
    "environment": {"board": None, "cpu": {"model": "Some CPU"}, "clocks": {"cores": []}, "jetson": None},
    "state": {"processor_c": {"before": None}, "throttled": None, "evidence": []},
    "power": {"sensor": None, "idle_mw": None, "reason": "no sensor"},
}
