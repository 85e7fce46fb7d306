"""What a bundle runs on: by name, asserted, and never another than was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from acula_edge.bundle.folder import listed
from acula_edge.bundle.schema import Bundle
from acula_edge.command_line import command_line
from acula_edge.engines.ort import CPU, TensorSpec
from acula_edge.errors import AculaEdgeError, ArtifactError, InputError, MissingCapability, did_you_mean

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
_ORT_NAMES = {"auto": CPU, "cpu": CPU, "cuda": "CUDAExecutionProvider"}
_SUFFIX = "ExecutionProvider"


class Engine(Protocol):
    """A model that runs: in ONNX Runtime, or as a TensorRT engine."""

    @property
    def provider(self) -> str:
        """What it really runs on."""
        ...

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """By name."""
        ...

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One inference."""
        ...


def ort_provider(name: str) -> str:
    """ONNX Runtime's name of a provider; its own names (``OpenVINOExecutionProvider``) are taken as they are.

    Raises:
        InputError: there is no such provider.
    """
    if name in _ORT_NAMES:
        return _ORT_NAMES[name]
    if isinstance(name, str) and name.endswith(_SUFFIX):
        return name
    raise InputError(
        "there is no such provider",
        given=repr(name),
        allowed=[*PROVIDERS, f"ONNX Runtime's own names (...{_SUFFIX})"],
        remedy=did_you_mean(str(name), PROVIDERS),
    )


def find_engine(path: Path, info: Bundle, precision: str, *, required: bool) -> tuple[Engine | None, str]:
    """The TensorRT engine of a bundle that was built here, for the model of this precision.

    An engine is a program: TensorRT runs what is in it. One that nobody asked for by name is only taken where it
    carries this machine's mark (:func:`acula_edge.engines.tensorrt.records.mark`).

    Args:
        info: content of ``bundle.json``: only an engine that it lists is taken.
        required: whether one was asked for by name, and its absence is an error.

    Returns:
        The engine, or None; and why it is that.

    Raises:
        ArtifactError: `required`, and there is none or none belongs here (every difference is named).
        MissingCapability: `required`, and this machine lacks a GPU, TensorRT, or CUDA's bindings.
    """
    plans = sorted(path.glob("engine-*.plan"))
    if not plans:
        if required:
            raise ArtifactError(
                f"the bundle {path} holds no engine", remedy=command_line("acula-edge", "build-engine", path)
            )
        return None, "the bundle holds no TensorRT engine"
    try:
        for plan in plans:
            listed(path, info, plan.name)
            listed(path, info, plan.with_suffix(".json").name)
        return _open(plans, precision, named=required)
    except AculaEdgeError as error:
        if required:
            raise
        return None, f"its TensorRT engine is not used: {error.problem}" + (f": {error.given}" if error.given else "")


def _open(plans: list[Path], precision: str, *, named: bool) -> tuple[Engine, str]:
    from acula_edge.engines.tensorrt import check_engine, find_gpu
    from acula_edge.engines.tensorrt.inference import TensorRtEngine
    from acula_edge.engines.tensorrt.python_api import is_installed, version
    from acula_edge.engines.tensorrt.records import check_mark
    from acula_edge.engines.tensorrt.versions import INSTALL

    gpu = find_gpu()
    if not is_installed():
        raise MissingCapability("TensorRT's Python package is not installed here", remedy=INSTALL)
    refusals = []
    for plan in plans:
        try:
            facts = check_engine(plan, gpu, version())
            if not named:
                check_mark(plan, facts)
        except ArtifactError as error:
            refusals.append(error)
            continue
        made = str(facts["precision"])
        if ("int8" if made.startswith("int8") else "float") == precision:
            return TensorRtEngine(plan), f"{plan.name} was built here"
        refusals.append(ArtifactError(f"{plan.name} is of another precision", given=made, allowed=precision))
    raise refusals[0]
