"""Training shared by two processes, as accelerate and torchrun start them: one run, the same figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from acula_edge import pipeline
from tests.group import run_together

# One decoupled step size that moves little: what two orders of summation differ in must not grow.
SETTINGS = (
    "data.sources.phantom.options.subjects=16", "data.window_s=2.56", "data.hop_s=2.56", "data.split.val_fraction=0.3",
    "align.crop_s=2.56", "align.epochs=2", "align.batch_size=8", "align.learning_rate=1.0e-6", "reports.variants=1",
    "align.self_supervised={cola: 0.1}", "align.device=cpu",
)  # fmt: skip


@pytest.mark.timeout(300)
def test_two_processes_leave_the_run_that_one_leaves(tmp_path: Path) -> None:
    alone = pipeline.train("phantom", overrides=SETTINGS, out=tmp_path / "alone")
    code = (
        "from acula_edge import pipeline\n"
        f"run = pipeline.train('phantom', overrides={SETTINGS!r}, out={str(tmp_path / 'shared')!r})\n"
        f"pipeline.train(out=run.path, resume=True)\n"
    )
    for ended in run_together(code, timeout_s=240):
        assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in (tmp_path / "shared" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]  # the main process alone writes
    for row, other in zip(rows, alone.metrics("align"), strict=True):
        assert row.keys() == other.keys()
        for name in row.keys() - {"stage", "seconds"}:
            assert row[name] == pytest.approx(other[name], rel=1e-2, abs=1e-3), name
    assert not (tmp_path / "shared" / "checkpoints" / "align").exists()
    weights = load_file(tmp_path / "shared" / "encoder" / "model.safetensors")
    for name, value in load_file(alone.encoder_dir / "model.safetensors").items():
        assert weights[name] == pytest.approx(value, rel=1e-2, abs=1e-4), name
