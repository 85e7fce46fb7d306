"""Disks that are full or may not be written: exit code 2, what was there stays, and nothing is left lying about."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from acula_edge.data.prepare import prepare
from acula_edge.errors import InputError
from acula_edge.files import atomic_folder, atomic_path
from acula_edge.run import Run
from acula_edge.training import Assignment, Optimization, fit
from tests.pipeline.conftest import acula_edge, leftovers, snapshot, write_recipe

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1


def obey_permissions() -> None:
    """Root may write anywhere; take that right from the process that is about to start."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Writing beyond `size` bytes fails as it does on a full disk, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_during_export_leaves_the_former_bundle(copied_run: Run) -> None:
    bundle = copied_run.bundle_dir("tiny", "cpu_x86")
    before = snapshot(bundle)
    # Recordings are decoded anew where a run was moved; they are larger than the model.
    prepare(copied_run.recipe, copied_run)
    # Enough for encoder.onnx, too little for model.onnx.
    limit = len(before["model.onnx"]) - 1
    assert len(before["encoder.onnx"]) < limit
    done = acula_edge(
        "export", "run", "--int8",
        folder=copied_run.path.parent,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "model.onnx" in done.stderr
    assert "File too large" in done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    assert leftovers(copied_run.path) == []


def test_a_run_that_may_not_be_written_stays_as_it_is(copied_run: Run) -> None:
    before = snapshot(copied_run.path)
    folders = [copied_run.path, *(path for path in copied_run.path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = acula_edge("export", "run", "--int8", folder=copied_run.path.parent, preexec_fn=obey_permissions)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(copied_run.path) == before


def test_training_into_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    (tmp_path / "archive").mkdir(mode=0o555)
    done = acula_edge("train", "--out", "archive/run", folder=tmp_path, preexec_fn=obey_permissions)
    assert done.returncode == 2, done.stderr
    assert "cannot write archive/run" in done.stderr
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "archive").iterdir()) == []


def test_a_training_state_that_does_not_fit_is_an_error_a_user_can_mend(tmp_path: Path) -> None:
    class Wide(nn.Module):
        best_figure = "none"
        items = 4

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(100_000))

        def load(self, assignment: Assignment) -> None:
            return None

        def forward(self, assignment: Assignment, loaded: None) -> tuple[torch.Tensor, dict[str, float]]:
            return self.weight.sum(), {}

        def begin(self) -> None:
            return None

        def validate(self) -> dict[str, float]:
            return {}

    settings = Optimization(epochs=1, batch_size=4, learning_rate=0.1, weight_decay=0.0, device="cpu")
    with no_file_above(200_000), pytest.raises(InputError, match="File too large"):
        fit(Wide(), settings, tmp_path / "state", log=lambda **_: None)
    assert list((tmp_path / "state").iterdir()) == []


def test_weights_that_do_not_fit_leave_the_former_ones(tmp_path: Path) -> None:
    def write(value: float, count: int) -> None:
        with atomic_folder(tmp_path / "encoder") as folder:
            save_file({"weight": np.full(count, value)}, folder / "model.safetensors")

    write(1.0, 10)
    before = snapshot(tmp_path)
    with no_file_above(200_000), pytest.raises(InputError, match="File too large"):
        write(2.0, 100_000)
    with no_file_above(200_000), pytest.raises(InputError, match="File too large"), atomic_path(tmp_path / "x") as path:
        save_file({"weight": np.zeros(100_000)}, path)
    assert snapshot(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
