"""Running a finished engine: TensorRT's Python API and CUDA's own Python bindings, nothing else.

Written against the documented interfaces of TensorRT 10 and 11 (``execute_async_v3``, addresses by tensor name) and of
cuda-python 12 and 13. No machine with TensorRT was at hand: tests run it against stand-ins for both.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.engines.ort import TensorSpec
from acula_edge.engines.tensorrt.python_api import open_engine
from acula_edge.errors import ArtifactError, InputError, MissingCapability


@dataclass(frozen=True)
class _Binding:
    """One input or output: its memory here and on the GPU."""

    host: NDArray[Any]
    device: int


class TensorRtEngine:
    """An engine with fixed shapes, run like a model in ONNX Runtime.

    Several threads may run it; they take turns, since an execution context serves one at a time.

    Args:
        plan: built on this device, see :func:`acula_edge.engines.tensorrt.check_engine`.

    Attributes:
        provider: ``TensorRT``.
        inputs, outputs: by name.

    Raises:
        ArtifactError: the engine does not belong here, cannot be read, or has shapes that are not fixed.
        MissingCapability: no GPU or no bindings of CUDA for Python.
    """

    provider = "TensorRT"

    def __init__(self, plan: str | Path) -> None:
        import tensorrt

        self.path = Path(plan)
        self._cuda = _cuda_runtime()
        self._engine = open_engine(self.path)
        self._context = self._engine.create_execution_context()
        self._lock = threading.Lock()
        self._stream = self._call("cudaStreamCreate")
        self._bindings: dict[str, _Binding] = {}
        self.inputs: dict[str, TensorSpec] = {}
        self.outputs: dict[str, TensorSpec] = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
            if any(size < 0 for size in shape):
                raise ArtifactError(f"the input {name} of {self.path.name} has no fixed shape", given=list(shape))
            host = np.zeros(shape, dtype=tensorrt.nptype(self._engine.get_tensor_dtype(name)))
            self._bindings[name] = binding = _Binding(host, int(self._call("cudaMalloc", host.nbytes)))
            self._context.set_tensor_address(name, binding.device)
            is_input = self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
            (self.inputs if is_input else self.outputs)[name] = TensorSpec(name, shape, str(host.dtype))

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One inference.

        Raises:
            InputError: an input is missing, unknown, or of another shape than the engine's.
            ArtifactError: it failed while running.
        """
        if feeds.keys() != self.inputs.keys():
            raise InputError(f"{self.path.name} takes other inputs", given=sorted(feeds), allowed=sorted(self.inputs))
        kinds = self._cuda.cudaMemcpyKind
        with self._lock:
            for name, spec in self.inputs.items():
                if feeds[name].shape != spec.shape:
                    raise InputError(
                        f"the input {name} of {self.path.name} has another shape",
                        given=list(feeds[name].shape),
                        allowed=list(spec.shape),
                    )
                binding = self._bindings[name]
                binding.host[...] = feeds[name]
                self._copy(binding.device, binding.host.ctypes.data, binding.host.nbytes, kinds.cudaMemcpyHostToDevice)
            if not self._context.execute_async_v3(int(self._stream)):
                raise ArtifactError(f"{self.path.name} failed while running")
            for name in self.outputs:
                binding = self._bindings[name]
                self._copy(binding.host.ctypes.data, binding.device, binding.host.nbytes, kinds.cudaMemcpyDeviceToHost)
            self._call("cudaStreamSynchronize", self._stream)
            return {name: self._bindings[name].host.copy() for name in self.outputs}

    def close(self) -> None:
        """Give the GPU's memory back."""
        for binding in self._bindings.values():
            self._call("cudaFree", binding.device)
        self._bindings.clear()

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        self._call("cudaMemcpyAsync", target, source, size, kind, self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        """A function of CUDA's runtime: its result after the error code, None where there is none."""
        error, *results = getattr(self._cuda, name)(*arguments)
        if int(error) != 0:
            raise ArtifactError(f"{name} failed while running {self.path.name}", given=error)
        return results[0] if results else None


def _cuda_runtime() -> Any:
    """``cuda.bindings.runtime``, under its older name on JetPack 6's cuda-python."""
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingCapability(
        "an engine needs CUDA's bindings for Python, which are not installed here",
        remedy="pip install cuda-python, of the CUDA version of this device (nvcc --version, or dpkg -l cuda-cudart*)",
    )
