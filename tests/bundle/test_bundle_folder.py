"""What may join a bundle after it was written, and what may not change in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.schema import Bundle
from acula_edge.bundle.writer import seal
from acula_edge.errors import ArtifactError
from tests.tiny_bundle import describe_input, write_info


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder that is listed as a bundle is; the files hold no models."""
    for name in ("model.onnx", "selftest.npz", "benchmark.json", "benchmark_samples.npz"):
        (tmp_path / name).write_text(name)
    facts = {"name": "b", "disclaimer": "", "input": describe_input(), "embedding_dim": 1, "tasks": []}
    write_info(tmp_path, {"schema": Bundle.SCHEMA, **facts})
    read_bundle(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["benchmark.json", "benchmark_samples.npz", "verify.json", "engine-orin-10.3.0.plan"])
def test_measurements_and_engines_may_be_made_anew(bundle: Path, name: str) -> None:
    (bundle / name).write_text("another")
    seal(bundle)
    assert name in read_bundle(bundle).files


@pytest.mark.parametrize("name", ["model.onnx", "selftest.npz"])
def test_models_and_golden_waveforms_may_not(bundle: Path, name: str) -> None:
    (bundle / name).write_text("another")
    with pytest.raises(ArtifactError, match=name):
        seal(bundle)
    (bundle / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        seal(bundle)
