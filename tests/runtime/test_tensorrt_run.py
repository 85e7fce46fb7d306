"""A bundle on a TensorRT engine, with stand-ins for TensorRT and CUDA after their documentation: none is at hand.

The stand-in for the GPU's memory is this machine's, and the stand-in for the engine is the bundle's own ONNX model, so
that addresses, copies, names, and what becomes of the results are those of the real thing.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.benchmarking.artifact import engine_artifacts
from acula_edge.bundle.writer import seal
from acula_edge.engines import tensorrt as engines
from acula_edge.engines.ort import CPU, OrtEngine
from acula_edge.engines.tensorrt import Gpu, python_api, records
from acula_edge.engines.tensorrt.records import SCHEMA, platform_text
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import sha256_file, write_json
from acula_edge.runtime import load_bundle
from tests.tiny_bundle import RATE_HZ, SAMPLES, make_sound, write_tiny_bundle

ORIN = Gpu("NVIDIA Jetson Orin Nano", "8.7")


class Cuda(types.ModuleType):
    """``cuda.bindings.runtime``: every function returns a tuple whose first entry is the error code."""

    def __init__(self, fails: str = "") -> None:
        super().__init__("cuda.bindings.runtime")
        self.blocks: dict[int, Any] = {}
        self.fails = fails
        self.cudaMemcpyKind = enum.IntEnum("cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2})

    def _code(self, name: str) -> int:
        return 2 if name == self.fails else 0

    def cudaStreamCreate(self) -> tuple[int, int]:
        return self._code("cudaStreamCreate"), 77

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return self._code("cudaMalloc"), ctypes.addressof(block)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[int]:
        device = target if kind == self.cudaMemcpyKind.cudaMemcpyHostToDevice else source
        assert device in self.blocks and len(self.blocks[device]) == size and stream == 77
        ctypes.memmove(target, source, size)
        return (self._code("cudaMemcpyAsync"),)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:
        return (self._code("cudaStreamSynchronize"),)

    def cudaFree(self, pointer: int) -> tuple[int]:
        del self.blocks[pointer]
        return (0,)


def tensorrt_double(model: Path, version: str = "10.3.0") -> types.ModuleType:
    """The parts of ``tensorrt`` that running needs; the engine computes `model`."""
    module = types.ModuleType("tensorrt")
    session = OrtEngine(model)
    tensors = {**session.inputs, **session.outputs}

    class Mode(enum.Enum):
        INPUT = 1
        OUTPUT = 2

    class Context:
        def __init__(self) -> None:
            self.addresses: dict[str, int] = {}

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def _memory(self, name: str) -> np.ndarray:
            shape = tensors[name].shape
            count = int(np.prod(shape))  # type: ignore[arg-type]
            buffer = (ctypes.c_float * count).from_address(self.addresses[name])
            return np.frombuffer(buffer, dtype=np.float32).reshape(shape)

        def execute_async_v3(self, stream: int) -> bool:
            assert stream == 77
            outputs = session.run({name: self._memory(name).copy() for name in session.inputs})
            for name, value in outputs.items():
                self._memory(name)[...] = value
            return True

    class Engine:
        num_io_tensors = len(tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(tensors)[index]

        def get_tensor_shape(self, name: str) -> tuple[Any, ...]:
            return tensors[name].shape

        def get_tensor_dtype(self, name: str) -> str:
            return "float32"

        def get_tensor_mode(self, name: str) -> Mode:
            return Mode.INPUT if name in session.inputs else Mode.OUTPUT

        def create_execution_context(self) -> Context:
            return Context()

    class Logger:
        WARNING = 1

        def __init__(self, level: int) -> None: ...

    class Runtime:
        def __init__(self, logger: Logger) -> None: ...

        def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
            return Engine() if data == b"plan" else None

    for name, value in {
        "__version__": version, "Builder": object, "Logger": Logger, "Runtime": Runtime, "TensorIOMode": Mode,
        "nptype": np.dtype,
    }.items():  # fmt: skip
        setattr(module, name, value)
    return module


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with an engine that was built for the machine that this test pretends to be."""
    folder = write_tiny_bundle(tmp_path / "bundle")
    plan = folder / "engine-orin-10.3.0.plan"
    plan.write_bytes(b"plan")
    record = {
        "schema": SCHEMA,
        "gpu": ORIN.name,
        "compute_capability": ORIN.compute_capability,
        "tensorrt": "10.3.0",
        "platform": platform_text(),
        "precision": "int8",
        "model": {"file": "model.int8.onnx", "sha256": sha256_file(folder / "model.int8.onnx")},
        "engine": {"file": plan.name, "sha256": sha256_file(plan)},
        "mark": mark_of(monkeypatch, tmp_path / "machine-id", sha256_file(plan)),
    }
    write_json(plan.with_suffix(".json"), record)
    seal(folder)
    pretend(monkeypatch, folder)
    return folder


def mark_of(monkeypatch: pytest.MonkeyPatch, machine_id: Path, plan_sha256: str) -> str | None:
    """This machine's mark of an engine, while it has this id."""
    machine_id.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    monkeypatch.setattr(records, "MACHINE_ID", machine_id)
    return records.mark(plan_sha256)


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, *, gpu: Gpu = ORIN, fails: str = "", **double: str) -> Cuda:
    cuda = Cuda(fails)
    package = types.ModuleType("cuda")
    bindings = types.ModuleType("cuda.bindings")
    for name, module in {
        "cuda": package, "cuda.bindings": bindings, "cuda.bindings.runtime": cuda,
        "tensorrt": tensorrt_double(folder / "model.int8.onnx", **double),
    }.items():  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    for module in (engines, python_api):
        monkeypatch.setattr(module, "find_gpu", lambda: gpu)
    return cuda


@pytest.mark.parametrize("provider", ["auto", "tensorrt"])
def test_an_engine_that_was_built_here_is_used(built: Path, provider: str) -> None:
    loaded = load_bundle(built, provider=provider)
    assert loaded.provider == "TensorRT" and "was built here" in loaded.provider_because
    sound = make_sound(5.0)
    expected = load_bundle(built, provider="cpu").score(sound, RATE_HZ)
    assert loaded.score(sound, RATE_HZ) == expected
    assert len(list(loaded.stream([sound], RATE_HZ))) == expected["windows"]


@pytest.mark.parametrize("left", ["another", ""])
def test_an_engine_of_a_stranger_is_only_run_where_it_is_asked_for(built: Path, left: str) -> None:
    """Its JSON may say that it fits this GPU; this machine's mark it cannot have."""
    records.MACHINE_ID.write_text(left)
    loaded = load_bundle(built)
    assert loaded.provider == CPU and "does not show that it was built on this machine" in loaded.provider_because
    assert engine_artifacts(built, {}) == []
    records.MACHINE_ID.unlink()
    assert load_bundle(built).provider == CPU
    assert load_bundle(built, provider="tensorrt").provider == "TensorRT"


def test_several_threads_take_turns(built: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    loaded = load_bundle(built)
    sounds = [make_sound(3.0, seed=seed) for seed in range(6)]
    alone = [loaded.embed(sound, RATE_HZ) for sound in sounds]
    with ThreadPoolExecutor(6) as pool:
        np.testing.assert_array_equal(list(pool.map(lambda sound: loaded.embed(sound, RATE_HZ), sounds)), alone)


def test_an_engine_of_another_gpu_or_version_is_refused_by_name(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, built, gpu=Gpu("NVIDIA Jetson Thor", "11.0"))
    with pytest.raises(ArtifactError, match="Thor"):
        load_bundle(built, provider="tensorrt")
    assert "Thor" in load_bundle(built).provider_because
    pretend(monkeypatch, built, version="10.13.2")
    with pytest.raises(ArtifactError, match=r"10\.13\.2"):
        load_bundle(built, provider="tensorrt")
    pretend(monkeypatch, built)
    with pytest.raises(ArtifactError, match="another precision"):
        load_bundle(built, provider="tensorrt", precision="float")


def test_what_is_missing_is_named(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda", "cuda.bindings", "cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingCapability, match="CUDA's bindings"):
        load_bundle(built, provider="tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingCapability, match="TensorRT's Python package"):
        load_bundle(built, provider="tensorrt")


def test_errors_of_cuda_and_wrong_inputs_are_told(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, built, fails="cudaMalloc")
    with pytest.raises(ArtifactError, match="cudaMalloc"):
        load_bundle(built, provider="tensorrt")
    cuda = pretend(monkeypatch, built)
    from acula_edge.engines.tensorrt.inference import TensorRtEngine

    engine = TensorRtEngine(built / "engine-orin-10.3.0.plan")
    with pytest.raises(InputError, match="takes other inputs"):
        engine.run({"wave": np.zeros((1, SAMPLES), np.float32)})
    with pytest.raises(InputError, match="another shape"):
        engine.run({"waveform": np.zeros((1, 5), np.float32)})
    assert len(cuda.blocks) == 3
    engine.close()
    assert not cuda.blocks
