from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.audio.segment import recording_windows
from acula_edge.bundle.folder import check, read_bundle
from acula_edge.bundle.golden import golden_recordings, golden_waves, to_pcm, write_selftest
from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import Input, Provenance
from acula_edge.bundle.sealed import write_sealed_json
from acula_edge.bundle.selftest import read_selftest
from acula_edge.bundle.writer import seal
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import atomic_folder, write_json
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.pipeline.bundling import Description, write_bundle
from acula_edge.quantize.heads import TaskHead
from acula_edge.recipe import DataConfig, QuantizeConfig
from tests.quantize.conftest import RATE_HZ, SAMPLES, SPEC, make_store

DATA = DataConfig(window_s=SAMPLES / RATE_HZ, hop_s=1.0, trim_top_db=None)
ORIGIN = Description("tiny", "opera-ce", Provenance(recipe_sha256="0" * 64))
MODELS = ("frontend.onnx", "encoder.onnx", "model.onnx", "encoder.int8.onnx", "model.int8.onnx")


class Envelope(nn.Module):
    """A front end and an encoder that export in a moment."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.frontend = SPEC
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 16, 3, 2, 1)
        self.projection = nn.Linear(16, 6)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return wave.reshape(1, 64, -1)[:, :, : SPEC.n_mels].abs()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return self.projection(torch.relu(self.second(torch.relu(self.first(mel[:, None])))).mean((2, 3)))


def head() -> TaskHead:
    weight = np.random.default_rng(0).normal(size=(6, 1))
    return TaskHead("M1", "murmur", "binary", ["absent", "present"], "", weight, np.zeros(1), 0.5, "phantom")


def write(folder: Path, int8: bool = True, windows: int = 8) -> Path:
    network = Envelope().eval()
    quantize = QuantizeConfig(calibration_windows=windows)
    store = make_store(6, 1) if int8 else None
    return write_bundle(folder, network, [head()], ORIGIN, data=DATA, quantize=quantize, store=store, frontend=network)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("export") / "tiny-cpu_x86")


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / written.name))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bundle_says_what_it_is(written: Path) -> None:
    info = plain(read_bundle(written))
    assert info["schema"] == "acula-edge/bundle/1"
    assert (info["name"], info["student"], info["encoder"]) == ("tiny-cpu_x86", "tiny", "opera-ce")
    assert info["input"] == {
        "name": "waveform",
        "sample_rate_hz": RATE_HZ,
        "samples": SAMPLES,
        "window_s": DATA.window_s,
        "hop_s": 1.0,
        "trim_top_db": None,
        "dtype": "float32",
        "range": [-1.0, 1.0],
    }
    assert FrontendSpec.from_dict(info["frontend"]) == SPEC
    assert info["embedding_dim"] == 6
    assert info["tasks"] == [
        {
            "id": "M1", "name": "murmur", "dataset": "phantom", "kind": "binary", "labels": ["absent", "present"],
            "unit": "", "threshold": 0.5, "start": 0, "stop": 1,
        }
    ]  # fmt: skip
    assert info["parameters"] == sum(p.numel() for p in Envelope().parameters()) + 7
    assert info["provenance"]["recipe_sha256"] == "0" * 64
    assert {"onnx_vs_torch", "int8_vs_onnx"} == set(info["parity"])
    described = {"quantize.json", "audit.json", "config.json", "ort_config.json"}
    assert set(info["files"]) == {*MODELS, "selftest.npz", "selftest.py", *described}
    assert "medical device" in info["disclaimer"]
    assert check(written) == []
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_without_recordings_only_the_float_model_is_written(tmp_path: Path) -> None:
    info = plain(read_bundle(write(tmp_path / "float", int8=False)))
    assert info["quantization"] is None
    assert not {name for name in info["files"] if "int8" in name or name == "quantize.json"}
    assert list(read_selftest(tmp_path / "float").embeddings) == ["float"]


def test_writing_again_replaces_everything_with_equal_models(bundle: Path) -> None:
    before = contents(bundle)
    write_json(bundle / "verify.json", {"schema": "old"})
    write(bundle)
    after = contents(bundle)
    assert "verify.json" not in after
    for name in (*MODELS, "selftest.npz"):
        assert after[name] == before[name]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond `size_bytes`: what a quota or a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size_bytes", [300, 7000])
def test_a_full_disk_leaves_the_former_bundle_and_nothing_else(bundle: Path, size_bytes: int) -> None:
    before = contents(bundle)
    with files_limited_to(size_bytes), pytest.raises(InputError, match="cannot write"):
        write(bundle)
    assert contents(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_full_disk_leaves_no_half_bundle(tmp_path: Path) -> None:
    with files_limited_to(2000), pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_any_kind_leaves_the_former_bundle(bundle: Path) -> None:
    before = contents(bundle)
    with pytest.raises(KeyboardInterrupt), atomic_folder(bundle) as stage:
        (stage / "model.onnx").write_bytes(b"half")
        raise KeyboardInterrupt
    assert contents(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_file_in_the_way_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write(tmp_path / "here")
    assert (tmp_path / "here").read_text() == "mine"


@pytest.mark.parametrize("name", ["model.int8.onnx", "selftest.npz", "audit.json"])
def test_an_altered_file_is_found(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(ArtifactError, match="is damaged") as caught:
        read_bundle(bundle)
    assert f"{name} was altered" in str(caught.value)
    assert read_bundle(bundle, verify=False).name == bundle.name


def test_missing_files_and_unfinished_folders_are_named(bundle: Path, tmp_path: Path) -> None:
    (bundle / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        check(bundle)
    (bundle / "bundle.json").unlink()
    with pytest.raises(ArtifactError, match="is no bundle"):
        read_bundle(bundle)
    with pytest.raises(ArtifactError, match="is no bundle"):
        read_bundle(tmp_path / "nowhere")


def test_a_listing_that_points_elsewhere_is_refused(bundle: Path) -> None:
    info = json.loads((bundle / "bundle.json").read_text())
    info["files"]["../secret"] = "0"
    write_sealed_json(bundle / "bundle.json", info)
    with pytest.raises(ArtifactError, match=r"says what no such file can\n.*files: \.\./secret"):
        read_bundle(bundle)


def test_sealing_takes_in_what_was_measured(bundle: Path) -> None:
    write_json(bundle / "verify.json", {"schema": "acula-edge/verify/1"})
    assert check(bundle) == ["verify.json"]
    seal(bundle)
    assert "verify.json" in read_bundle(bundle).files
    assert check(bundle) == []
    write_json(bundle / "verify.json", {"schema": "acula-edge/verify/1", "more": 1})
    with pytest.raises(ArtifactError):
        check(bundle)
    seal(bundle)
    assert check(bundle) == []


def test_sealing_does_not_bless_another_model(bundle: Path) -> None:
    shutil.copy(bundle / "model.onnx", bundle / "model.int8.onnx")
    with pytest.raises(ArtifactError, match="is not the file that this bundle was written with"):
        seal(bundle)
    (bundle / "model.int8.onnx").unlink()
    with pytest.raises(ArtifactError):
        seal(bundle)


def run_selftest(folder: Path, precision: str, file: str) -> list[bool]:
    test = read_selftest(folder)
    engine = OrtEngine(folder / file)
    outputs = [engine.run({"waveform": wave[None]}) for wave in test.waves]
    embeddings, scores = (np.concatenate([output[key] for output in outputs]) for key in ("embedding", "scores"))
    return [entry["passed"] for entry in test.compare(precision, embeddings, scores)]


def test_the_golden_waveforms_accept_the_right_model_only(written: Path) -> None:
    assert all(run_selftest(written, "float", "model.onnx"))
    assert all(run_selftest(written, "int8", "model.int8.onnx"))
    test = read_selftest(written)
    broken = test.embeddings["float"] * np.where(np.arange(6) % 2, 1, -1)
    assert not any(entry["passed"] for entry in test.compare("float", broken, test.scores["float"]))
    lost = np.full_like(test.scores["int8"], np.nan)
    entries = test.compare("int8", test.embeddings["int8"], lost)
    assert not any(entry["passed"] for entry in entries)
    json.dumps(entries, allow_nan=False)


def test_golden_waveforms_are_exact_in_16_bits_and_cover_the_corners() -> None:
    waves = golden_waves(RATE_HZ, SAMPLES)
    assert set(waves) == {"heart", "lung", "chirp", "silence", "square", "clipped", "offset", "noise"}
    for wave in waves.values():
        assert wave.shape == (SAMPLES,) and wave.dtype == np.float32
        np.testing.assert_array_equal(to_pcm(wave) / 32768, wave)
    assert not waves["silence"].any()
    assert set(np.unique(waves["square"])) == {np.float32(-1), np.float32(32767 / 32768)}
    assert np.mean(np.abs(waves["clipped"]) > 0.79) > 0.05
    assert np.unique(waves["offset"]).size == 1 and 0.05 < np.std(waves["noise"]) < 0.2


@pytest.mark.parametrize("trim_top_db", [None, 20.0])
def test_golden_recordings_are_kept_as_their_windows(tmp_path: Path, written: Path, trim_top_db: float | None) -> None:
    shutil.copyfile(written / "model.onnx", tmp_path / "model.onnx")
    source = Input(RATE_HZ, SAMPLES, SAMPLES / RATE_HZ, 0.75, trim_top_db)
    write_selftest(tmp_path, source, {"float": "model.onnx"})
    golden = read_selftest(tmp_path)
    made = golden_recordings(RATE_HZ, SAMPLES, round(0.75 * RATE_HZ))
    assert set(golden.recordings) == set(made) == {"short", "long"}
    for name, (pcm, rows) in golden.recordings.items():
        np.testing.assert_array_equal(pcm, to_pcm(made[name]))
        windows = recording_windows(made[name], RATE_HZ, SAMPLES / RATE_HZ, 0.75, trim_top_db)
        np.testing.assert_array_equal(golden.waves[rows], windows)
    assert [len(rows) for _, rows in golden.recordings.values()] == [1, 3]
