"""What may join a bundle after it was written, and what may not change in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acula_edge.engines.bundle_files import BUNDLE_FILE, BUNDLE_SCHEMA, list_files, read_bundle, seal
from acula_edge.errors import ArtifactError
from acula_edge.files import write_json


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder that is listed as a bundle is; the files hold no models."""
    for name in ("model.onnx", "selftest.npz", "benchmark.json", "benchmark_samples.npz"):
        (tmp_path / name).write_text(name)
    write_json(tmp_path / BUNDLE_FILE, {"schema": BUNDLE_SCHEMA, "name": "b", **list_files(tmp_path, {})})
    read_bundle(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["benchmark.json", "benchmark_samples.npz", "verify.json", "engine-orin-10.3.0.plan"])
def test_measurements_and_engines_may_be_made_anew(bundle: Path, name: str) -> None:
    (bundle / name).write_text("another")
    assert name in seal(bundle)["files"]
    read_bundle(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "selftest.npz"])
def test_models_and_golden_waveforms_may_not(bundle: Path, name: str) -> None:
    (bundle / name).write_text("another")
    with pytest.raises(ArtifactError, match=name):
        seal(bundle)
    (bundle / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        seal(bundle)
