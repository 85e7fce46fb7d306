"""ONNX Runtime sessions whose threads and provider are what was asked for, never what happened to be there."""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.engines.ort_memory import USE_SHARED_ARENA, limit_memory
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.limits import MAX_MODEL_IO_ELEMENTS, MAX_RANK
from acula_edge.untrusted.onnx_file import inspect_onnx, read_metadata
from acula_edge.untrusted.own_files import is_own

CPU = "CPUExecutionProvider"
FITS_16_BITS = ("acula-edge.products", "fit 16 bits")
"""Entry of a model's metadata: its integer products fit into 16 bits (:mod:`acula_edge.quantize.profiles`)."""

_INSTALL = {
    "CUDAExecutionProvider": "pip install onnxruntime-gpu",
    "TensorrtExecutionProvider": "pip install onnxruntime-gpu (on a Jetson: NVIDIA's wheel), with TensorRT beside it",
}
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int16)": np.int16}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its name, shape (a name in place of a dimension that is not fixed) and element type."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class OrtEngine:
    """A model in ONNX Runtime. Several threads may run it at once.

    The file is looked through first (:func:`acula_edge.untrusted.onnx_file.inspect_onnx`), unless this process made it
    (:mod:`acula_edge.untrusted.own_files`), and computes on the CPU in
    the memory of :mod:`acula_edge.engines.ort_memory`. No library of custom operators is ever registered.

    Args:
        path: an ``.onnx`` file.
        threads: that ONNX Runtime computes one inference with.
        provider: the execution provider that must be used.
        provider_options: of that provider.
        made_here: whether ONNX Runtime wrote it for this process: it is not looked through, and is an ``.ort`` file.

    Attributes:
        provider: the one in use, as the session itself reports it.
        inputs, outputs: by name.

    Raises:
        ArtifactError: no such file, one that is not allowed, or not a model that this ONNX Runtime can run.
        MissingCapability: this machine or this build of ONNX Runtime lacks the provider.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int = 1,
        provider: str = CPU,
        provider_options: Mapping[str, Any] | None = None,
        made_here: bool = False,
    ) -> None:
        import onnxruntime

        if threads < 1:
            raise InputError("an engine needs at least one thread", given=threads)
        self.path = Path(path)
        if not self.path.is_file():
            raise ArtifactError(f"there is no model {self.path}")
        _check_available(provider)
        facts = None if made_here or is_own(self.path) else inspect_onnx(self.path)
        options = session_options(self.path, threads)
        if provider == CPU:
            limit_memory()
            options.add_session_config_entry(*USE_SHARED_ARENA)
        if not made_here:
            options.add_session_config_entry("session.load_model_format", "ONNX")
        left_out = [] if facts is None or facts.constants_small else ["ConstantFolding"]
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path),
                options,
                providers=[(provider, dict(provider_options or {}))],
                disabled_optimizers=left_out,
                enable_fallback=0,
            )
        except _runtime_errors() as error:
            raise ArtifactError(
                f"ONNX Runtime {onnxruntime.__version__} cannot load {self.path}", given=_first_line(error)
            ) from error
        self._session.disable_fallback()
        self.provider = self._session.get_providers()[0]
        if self.provider != provider:
            raise MissingCapability(
                f"ONNX Runtime did not use {provider}: it fell back to another provider",
                given=self.provider,
                remedy=_INSTALL.get(provider),
            )
        if self._session.get_session_options().intra_op_num_threads != threads:
            raise MissingCapability(
                "ONNX Runtime did not take the number of threads",
                given=self._session.get_session_options().intra_op_num_threads,
                allowed=str(threads),
            )
        self.threads = threads
        try:
            self.inputs = {item.name: _spec(item) for item in self._session.get_inputs()}
            self.outputs = {item.name: _spec(item) for item in self._session.get_outputs()}
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{self.path} has inputs or outputs whose names are no text", given=error) from error
        for spec in (*self.inputs.values(), *self.outputs.values()):
            _check_size(spec, self.path)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One inference.

        Raises:
            InputError: an input is missing, unknown, or of another shape than the model's.
        """
        if feeds.keys() != self.inputs.keys():
            raise InputError(f"{self.path.name} takes other inputs", given=sorted(feeds), allowed=sorted(self.inputs))
        arrays = {name: self._fit(spec, feeds[name]) for name, spec in self.inputs.items()}
        try:
            values = self._session.run(list(self.outputs), arrays)
        except _runtime_errors() as error:
            raise ArtifactError(f"{self.path.name} failed while running", given=_first_line(error)) from error
        return dict(zip(self.outputs, values, strict=True))

    def _fit(self, spec: TensorSpec, value: NDArray[Any]) -> NDArray[Any]:
        dtype = _DTYPES.get(spec.dtype)
        array = np.ascontiguousarray(value, dtype=dtype)
        fixed = all(
            size == wanted for size, wanted in zip(array.shape, spec.shape, strict=False) if isinstance(wanted, int)
        )
        if array.ndim != len(spec.shape) or not fixed:
            raise InputError(
                f"the input {spec.name} of {self.path.name} has another shape",
                given=list(array.shape),
                allowed=list(spec.shape),
            )
        return array


def session_options(path: Path, threads: int) -> Any:
    """The onnxruntime.SessionOptions with which every session on a CPU runs `path`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    if _saturates() and FITS_16_BITS not in read_metadata(path).items():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def available_providers() -> list[str]:
    """Execution providers of this build of ONNX Runtime, best first."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


@functools.cache
def _saturates() -> bool:
    """Whether this CPU's UINT8 x INT8 kernels overflow: x86 without VNNI adds pairs of products in 16 bits.

    Weights may be scaled so that they never overflow; for others ONNX Runtime has slower exact kernels. Elsewhere those
    are not asked for: they cost time, and on CPUs with AMX the option replaces kernels that are exact already.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
    return not any(name in flags for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def _check_available(provider: str) -> None:
    available = available_providers()
    if provider not in available:
        raise MissingCapability(
            f"ONNX Runtime has no {provider} here",
            given=", ".join(available),
            remedy=_INSTALL.get(provider, f"use provider={CPU!r}"),
        )


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Everything that ONNX Runtime raises: its exceptions share no base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    # Messages quote a model's names, which need not be text.
    return (*found, RuntimeError, MemoryError, UnicodeDecodeError)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _check_size(spec: TensorSpec, path: Path) -> None:
    sizes = [size for size in spec.shape if isinstance(size, int)]
    if not spec.dtype.startswith("tensor(") or len(spec.shape) > MAX_RANK or math.prod(sizes) > MAX_MODEL_IO_ELEMENTS:
        raise ArtifactError(
            f"{path} takes or gives what is no tensor of a usual size",
            given=f"{spec.name}: {spec.dtype} {list(spec.shape)}",
            allowed=f"{MAX_MODEL_IO_ELEMENTS} elements in {MAX_RANK} dimensions",
        )


def _spec(item: Any) -> TensorSpec:
    return TensorSpec(item.name, tuple(item.shape), item.type)
