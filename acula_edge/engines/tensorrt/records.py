"""The JSON file beside an engine: where it belongs, what it was built from, and whether that holds here."""

from __future__ import annotations

import hmac
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acula_edge.command_line import command_line
from acula_edge.engines.tensorrt.caches import slug
from acula_edge.engines.tensorrt.hardware import Gpu
from acula_edge.engines.tensorrt.policy import Precision
from acula_edge.engines.tensorrt.versions import Version, version_text
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, sha256_file

SCHEMA = "acula-edge/engine/1"
MACHINE_ID = Path("/etc/machine-id")
LAYERS_SUFFIX = ".layers.json"


def engine_name(gpu: Gpu, version: Version, precision: Precision = "int8") -> str:
    """File name of an engine: it says by itself where it belongs."""
    suffix = "" if precision == "int8" else f"-{precision}"
    return f"engine-{slug(gpu.name)}-{version_text(version)}{suffix}.plan"


def platform_text() -> str:
    """``Linux aarch64``"""
    return f"{platform.system()} {platform.machine()}"


def mark(plan_sha256: str) -> str | None:
    """What only this machine can say of an engine: HMAC of its hash by ``/etc/machine-id``; None where there is none.

    Whoever loads an engine runs it as a program. A file that claims to fit this GPU may come from anywhere; one with
    this mark was built here (or by someone who can read this machine's files).
    """
    try:
        key = MACHINE_ID.read_bytes().strip()
    except OSError:
        return None
    return hmac.new(key, b"acula-edge engine " + plan_sha256.encode(), "sha256").hexdigest() if key else None


def check_mark(plan: Path, facts: Mapping[str, Any]) -> None:
    """Refuse an engine whose JSON, which :func:`check_engine` gave, does not carry this machine's mark.

    Raises:
        ArtifactError: it was built elsewhere, or nobody can tell.
    """
    expected = mark(str(facts["engine"]["sha256"]))
    if expected is None or not hmac.compare_digest(expected.encode(), str(facts.get("mark")).encode()):
        raise ArtifactError(
            f"{plan.name} does not show that it was built on this machine",
            given="an engine is a program, and is not run unasked",
            remedy=f"name it (run --provider tensorrt), or {_rebuild(plan, dict(facts))}",
        )


def list_engines(folder: str | Path) -> list[Path]:
    """Engines in a folder, by name."""
    return sorted(Path(folder).glob("engine-*.plan"))


def check_engine(plan: str | Path, gpu: Gpu, version: Version) -> dict[str, Any]:
    """Refuse an engine that was built elsewhere, for another TensorRT, or from another model than the one beside it.

    Args:
        plan: the engine; its JSON lies beside it.
        gpu: of this machine (:func:`acula_edge.engines.tensorrt.find_gpu`).
        version: of TensorRT here.

    Returns:
        What its JSON says.

    Raises:
        ArtifactError: it does not belong here; every difference is named.
    """
    plan = Path(plan)
    if not plan.is_file():
        raise ArtifactError(f"there is no engine {plan}", remedy=_rebuild(plan, {}))
    facts = read_json(plan.with_suffix(".json"), schema=SCHEMA)
    if not all(isinstance(facts[name], dict) for name in ("engine", "model")) or not _is_name(facts["model"]["file"]):
        raise ArtifactError(f"{plan.with_suffix('.json')} is no record of an engine", remedy=_rebuild(plan, {}))
    here = {
        "GPU": gpu.name,
        "compute capability": gpu.compute_capability,
        "TensorRT": version_text(version),
        "platform": platform_text(),
    }
    there = {
        "GPU": facts["gpu"],
        "compute capability": facts["compute_capability"],
        "TensorRT": facts["tensorrt"],
        "platform": facts["platform"],
    }
    differences = [
        f"{name} {there[name]}, here {value}"
        for name, value in here.items()
        if value != there[name] and None not in (value, there[name])
    ]
    if sha256_file(plan) != facts["engine"]["sha256"]:
        differences.append("the plan was altered after it was built")
    model = plan.parent / facts["model"]["file"]
    if model.is_file() and sha256_file(model) != facts["model"]["sha256"]:
        differences.append(f"{model.name} is another model than it was built from")
    if differences:
        raise ArtifactError(
            f"the engine {plan.name} does not belong here",
            given="; ".join(differences),
            allowed="the GPU, the TensorRT and the model that it was built with: engines are not portable",
            remedy=_rebuild(plan, facts),
        )
    assert isinstance(facts, dict)
    return facts


def _rebuild(plan: Path, facts: dict[str, Any]) -> str:
    precision = facts.get("precision", "int8")
    options = () if precision == "int8" else ("--precision", precision)
    return f"build it on this device: {command_line('acula-edge', 'build-engine', plan.parent, *options)}"


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and "\0" not in name
