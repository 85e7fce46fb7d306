"""A bundle runs on what was asked for, or says what is there instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from acula_edge.engines.ort import CPU, OrtEngine
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.runtime import load_bundle
from tests.tiny_bundle import RATE_HZ, make_sound, write_tiny_bundle


@pytest.mark.parametrize("provider", ["cpu", "auto", CPU])
def test_the_cpu_is_used_and_told(bundle_dir: Path, provider: str) -> None:
    loaded = load_bundle(bundle_dir, provider=provider)
    assert loaded.provider == CPU and loaded.threads == 1
    expected = "the bundle holds no TensorRT engine" if provider == "auto" else "it was asked for"
    assert loaded.provider_because == expected


def test_a_provider_that_is_not_here_is_an_error_that_names_what_is(bundle_dir: Path) -> None:
    with pytest.raises(MissingCapability, match="CUDAExecutionProvider") as caught:
        load_bundle(bundle_dir, provider="cuda")
    assert CPU in str(caught.value)
    assert caught.value.exit_code == 4
    with pytest.raises(InputError, match="no such provider") as wrong:
        load_bundle(bundle_dir, provider="cudaa")
    assert "'cuda'" in str(wrong.value)


def test_an_engine_that_is_not_there_or_not_of_this_machine_is_never_used_in_silence(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(ArtifactError, match="no engine") as caught:
        load_bundle(folder, provider="tensorrt")
    assert "build-engine" in str(caught.value)
    (folder / "engine-elsewhere-10.3.0.plan").write_bytes(b"plan")
    (folder / "engine-elsewhere-10.3.0.json").write_text(json.dumps({"schema": "acula-edge/engine/1"}))
    with pytest.raises((MissingCapability, ArtifactError)):
        load_bundle(folder, provider="tensorrt")
    loaded = load_bundle(folder, provider="auto")
    assert loaded.provider == CPU
    assert loaded.provider_because.startswith("its TensorRT engine is not used: ")
    assert loaded.score(make_sound(3.0), RATE_HZ)["windows"] == 3


def test_threads_are_those_of_the_session(bundle_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OrtEngine(bundle_dir / "model.onnx", threads=2)
    assert engine._session.get_session_options().intra_op_num_threads == 2
    options = onnxruntime.SessionOptions()
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_session_options", lambda self: options)
    with pytest.raises(MissingCapability, match="number of threads"):
        OrtEngine(bundle_dir / "model.onnx", threads=2)


def test_two_threads_compute_what_one_does(bundle_dir: Path) -> None:
    sound = make_sound(3.0)
    one, two = (load_bundle(bundle_dir, threads=threads).embed(sound, RATE_HZ) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5)


def test_a_device_that_records_at_the_bundles_rate_needs_no_resampler(bundle_dir: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "sys.modules['soxr'] = sys.modules['soundfile'] = None\n"
        "from acula_edge.runtime import load_bundle\n"
        f"bundle = load_bundle({str(bundle_dir)!r})\n"
        "pcm = (np.random.default_rng(0).standard_normal(9000) * 3000).astype(np.int16)\n"
        f"bundle.score(pcm, {RATE_HZ}); print(len(list(bundle.stream([pcm], {RATE_HZ}))))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 10
