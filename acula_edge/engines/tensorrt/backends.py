"""The interface behind which engines are built, and the choice between its two implementations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from acula_edge.engines.tensorrt import python_api, trtexec
from acula_edge.engines.tensorrt.policy import BackendName, BuildPolicy
from acula_edge.engines.tensorrt.versions import INSTALL, Version
from acula_edge.errors import InputError, MissingCapability


class Backend(Protocol):
    """Builds engines. Both implementations write the plan atomically and extend the timing cache."""

    @property
    def name(self) -> str:
        """What records call it."""
        ...

    @property
    def holds_frontend(self) -> bool:
        """Whether it can keep the front end in FP32 in a weakly typed network with FP16 allowed."""
        ...

    def version(self) -> Version:
        """Of the TensorRT behind it."""
        ...

    def build(self, onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version) -> None:
        """Build `plan` from `onnx`.

        Raises:
            ArtifactError: TensorRT refused the model; its own words are given.
        """
        ...

    def inspect(self, plan: Path) -> str:
        """The engine inspector's JSON."""
        ...


@dataclass(frozen=True)
class PythonBackend:
    """TensorRT's Python API."""

    name: str = "python"
    holds_frontend: bool = True

    def version(self) -> Version:
        return python_api.version()

    def build(self, onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version) -> None:
        python_api.build(onnx, plan, timing_cache, policy, version)

    def inspect(self, plan: Path) -> str:
        return python_api.inspect(plan)


@dataclass(frozen=True)
class TrtexecBackend:
    """TensorRT's program ``trtexec``.

    It sets types by layer name only; comparisons among the front end's layers have bool outputs, which no option
    spares, so that FP16 stays off where types are weak.
    """

    program: str
    name: str = "trtexec"
    holds_frontend: bool = False

    def version(self) -> Version:
        return trtexec.version(self.program)

    def build(self, onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version) -> None:
        trtexec.build(self.program, onnx, plan, timing_cache, policy, version)

    def inspect(self, plan: Path) -> str:
        return trtexec.inspect(self.program, plan)


def choose_backend(backend: BackendName) -> Backend:
    """The backend to use; ``auto`` takes the Python API where it is installed, else ``trtexec``.

    Raises:
        InputError: an unknown one.
        MissingCapability: it is not installed here.
    """
    if backend not in ("auto", "python", "trtexec"):
        raise InputError("unknown TensorRT backend", given=backend, allowed=("auto", "python", "trtexec"))
    if backend in ("auto", "python") and python_api.is_installed():
        return PythonBackend()
    program = trtexec.find_program()
    if backend in ("auto", "trtexec") and program is not None:
        return TrtexecBackend(program)
    what = {"auto": "TensorRT", "python": "TensorRT's Python package", "trtexec": "the program trtexec"}[backend]
    raise MissingCapability(f"{what} is not installed here", remedy=INSTALL)
