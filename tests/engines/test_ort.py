from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from acula_edge.engines import ort
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError, MissingCapability

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x + x"""
    shape = [1, 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], "add")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    path = tmp_path_factory.mktemp("ort") / "double.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_run_takes_and_gives_names(model: Path) -> None:
    engine = OrtEngine(model, threads=2)
    assert engine.provider == "CPUExecutionProvider"
    assert engine.threads == 2
    assert engine.inputs["x"].shape == (1, 3)
    out = engine.run({"x": np.array([[1, 2, 3]], np.float64)})
    assert list(out) == ["y"]
    np.testing.assert_array_equal(out["y"], np.array([[2, 4, 6]], np.float32))


def test_threads_are_what_was_asked_for(model: Path) -> None:
    options = OrtEngine(model, threads=3)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    with pytest.raises(InputError, match="at least one thread"):
        OrtEngine(model, threads=0)


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"z": np.zeros((1, 3))},
        {"x": np.zeros((1, 4))},
        {"x": np.zeros(3)},
        {"x": np.zeros((1, 3)), "z": np.zeros(1)},
    ],
    ids=["none", "name", "shape", "rank", "too many"],
)
def test_inputs_that_do_not_fit_are_refused(model: Path, feeds: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError):
        OrtEngine(model).run(feeds)


def test_a_missing_provider_names_the_remedy(model: Path) -> None:
    with pytest.raises(MissingCapability, match="pip install onnxruntime-gpu") as caught:
        OrtEngine(model, provider="CUDAExecutionProvider")
    assert caught.value.exit_code == 4


def test_a_provider_that_falls_back_is_not_accepted(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A GPU build of ONNX Runtime lists CUDA also where no GPU is, and then quietly runs on the CPU.
    monkeypatch.setattr(ort, "available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises((MissingCapability, ArtifactError)):
        OrtEngine(model, provider="CUDAExecutionProvider")


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\x00\x01 not a model")
    (tmp_path / "b.onnx").write_bytes(b"")
    for name in ("a.onnx", "b.onnx", "missing.onnx"):
        with pytest.raises(ArtifactError, match=name):
            OrtEngine(tmp_path / name)


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "avx2 fma", True),
        ("x86_64", "avx512f avx512_vnni", False),
        ("AMD64", "avx2 avx_vnni", False),
        ("aarch64", "asimddp", False),
        ("x86_64", None, True),
    ],
)
def test_exact_kernels_are_asked_for_where_the_quick_ones_overflow(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: str | None, expected: bool
) -> None:
    def read(path: Path, encoding: str) -> str:
        if flags is None:
            raise OSError
        return flags

    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", read)
    assert ort._saturates.__wrapped__() is expected


def test_engines_need_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, acula_edge.engines.ort, acula_edge.engines.tensorrt, acula_edge.bundle.folder\n"
        "assert not {'torch', 'onnx', 'onnxruntime', 'tensorrt', 'transformers'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(("entries", "asked"), [({"a": "b"}, "1"), ({"a": "b", **dict([ort.FITS_16_BITS])}, None)])
def test_exact_kernels_are_asked_for_only_where_products_could_overflow(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[str, str], asked: str | None
) -> None:
    described = onnx.load(model)
    described.doc_string = " ".join(ort.FITS_16_BITS)  # a text is no entry
    onnx.helper.set_model_props(described, entries)
    onnx.save(described, tmp_path / "described.onnx")
    monkeypatch.setattr(ort, "_saturates", lambda: True)
    options = OrtEngine(tmp_path / "described.onnx")._session.get_session_options()
    try:
        found = options.get_session_config_entry("session.x64quantprecision")
    except RuntimeError:  # ONNX Runtime's way to say that an entry was never set
        found = None
    assert found == asked
