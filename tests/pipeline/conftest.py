"""The whole line once, with nothing faked, on a phantom corpus of thirty persons; every test looks at its result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from acula_edge.cli.main import cli
from acula_edge.run import Run

ROOT = Path(__file__).resolve().parents[2]

# Weights are averaged, so that resuming has to bring back all that a training holds, and the last epoch counts, which
# is the one that is killed. Nothing useful is learned in three epochs: the gate's limits are far away. The speed guard
# is off, since bytes of exports are compared and what a guard does depends on the clock.
RECIPE: dict[str, Any] = {
    "name": "small",
    "data": {
        "sources": {"phantom": {"reader": "phantom", "options": {"subjects": 30, "duration_s": 4.5}}},
        "split": {"val_fraction": 0.25},
        "window_s": 2.05,
        "hop_s": 2.05,
    },
    "frontend": {"sample_rate_hz": 4000, "n_fft": 256, "hop_length": 128, "fmin_hz": 25, "fmax_hz": 2000},
    "encoder": {"name": "mobilenet", "options": {"variant": "mobilenetv4_conv_small_035"}},
    "reports": {"variants": 2},
    "align": {"text_components": 4, "epochs": 3, "batch_size": 8, "ema_decay": 0.5, "device": "cpu"},
    "distill": {"student": "tiny", "embedding_dim": 32, "epochs": 2, "batch_size": 16, "device": "cpu"},
    "quantize": {"calibration_windows": 16, "speed_guard": False},
    "verify": {
        "bootstrap": 50,
        "gate": {"max_mean_drop": 1, "max_task_drop": 1, "min_cosine": -1, "refuse_inferior": False},
    },
    "zero_shot": {"prompts": "phantom"},
    "benchmark": {"mode": "smoke"},
}


def write_recipe(folder: Path, **sections: Any) -> None:
    """Write the small recipe as the folder's ``acula-edge.yaml``, some sections changed."""
    (folder / "acula-edge.yaml").write_text(yaml.safe_dump({**RECIPE, **sections}))


def one_thread() -> dict[str, str]:
    """Environment of a process that computes the same to the last bit each time."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": path}


def run_python(*words: object, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder, on one thread."""
    line = [sys.executable, *map(str, words)]
    return subprocess.run(line, cwd=folder, env=one_thread(), capture_output=True, text=True, **options)


def acula_edge(*words: object, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Type ``acula-edge WORDS`` in a folder."""
    return run_python("-m", "acula_edge", *words, folder=folder, **options)


@dataclass(frozen=True)
class WholeLine:
    """What ``acula-edge train`` and ``acula-edge export --int8`` left, and said."""

    run: Run
    bundle: Path
    train: subprocess.CompletedProcess[str]
    export: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def whole_line(tmp_path_factory: pytest.TempPathFactory) -> WholeLine:
    """The two lines typed with no further word in a folder that holds nothing but ``acula-edge.yaml``. Only read it."""
    folder = tmp_path_factory.mktemp("whole-line")
    write_recipe(folder)
    train = acula_edge("train", folder=folder)
    assert train.returncode == 0, train.stderr
    export = acula_edge("export", "--int8", folder=folder)
    assert export.returncode == 0, export.stderr
    run = Run(folder / "runs" / "latest")
    return WholeLine(run, run.bundle_dir("tiny", "cpu_x86"), train, export)


@pytest.fixture
def copied_run(whole_line: WholeLine, tmp_path: Path) -> Run:
    """A copy of the run, to be spoiled."""
    shutil.copytree(whole_line.run.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Type ``acula-edge WORDS`` in an empty folder, within this process."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders, and stores that were never finished."""
    found = [path for path in folder.rglob("*") if path.name.startswith(".") or path.suffix in (".part", ".journal")]
    return [str(path.relative_to(folder)) for path in found]
