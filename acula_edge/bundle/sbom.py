"""The bill of materials of a bundle, ``sbom.cdx.json``: CycloneDX 1.6, by the cyclonedx-python-lib of OWASP.

Two kinds of components: the model files, as machine-learning models with their hashes; and the Python packages of the
environment that made them. Those that the device needs have the scope ``required``, the others ``excluded``.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

from acula_edge import __version__
from acula_edge.bundle.layout import SBOM_FILE
from acula_edge.bundle.schema import Bundle
from acula_edge.files import sha256_text, write_text

SPEC_VERSION = "1.6"
MODEL = "machine-learning-model"

RUNTIME_PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr", "click", "rich", "PyYAML", "msgspec")


def write_sbom(bundle: Path, info: Bundle) -> None:
    """Write ``sbom.cdx.json`` into a bundle.

    Args:
        info: content of ``bundle.json``; its ``files`` give the models' hashes.

    Raises:
        ModuleNotFoundError: ``cyclonedx-python-lib`` is not installed; it is part of ``acula-edge[train]``.
    """
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    subject = Component(
        name=info.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="bundle",
        description=info.disclaimer,
        properties=[
            Property(name="acula-edge:profile", value=info.profile),
            Property(name="acula-edge:encoder", value=info.encoder),
            Property(name="acula-edge:student", value=str(info.student)),
            Property(name="acula-edge:recipe_sha256", value=str(info.provenance.recipe_sha256 or None)),
            Property(name="acula-edge:weights_sha256", value=str(info.provenance.weights_sha256 or None)),
        ],
    )
    models = [
        Component(
            name=name,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model/{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for name, digest in info.files.items()
        if name.endswith(".onnx")
    ]
    packages = []
    for name, version in _installed().items():
        needed = name in {_normal(package) for package in (*RUNTIME_PACKAGES, "acula-edge")}
        packages.append(
            Component(
                name=name,
                version=version,
                type=ComponentType.LIBRARY,
                bom_ref=f"pypi/{name}",
                scope=ComponentScope.REQUIRED if needed else ComponentScope.EXCLUDED,
                purl=PackageURL("pypi", None, name, version),
            )
        )
    bom = Bom(components=[*models, *packages], serial_number=UUID(hex=sha256_text(repr(info.files))[:32], version=4))
    bom.metadata.component = subject
    bom.metadata.timestamp = datetime.now(timezone.utc).replace(microsecond=0)
    bom.metadata.tools.components.add(
        Component(name="acula-edge", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool/acula-edge")
    )
    bom.register_dependency(subject, [*models, *(item for item in packages if item.scope is ComponentScope.REQUIRED)])
    write_text(bundle / SBOM_FILE, JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


def model_hashes(sbom: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by file of the models that a bill of materials names."""
    found = {}
    for component in sbom.get("components", ()):
        for entry in component.get("hashes", ()):
            if component["type"] == MODEL and entry["alg"] == "SHA-256":
                found[component["name"]] = entry["content"]
    return found


def _installed() -> dict[str, str]:
    """Version by normalized name of every package in this environment."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[_normal(name)] = distribution.version
    return dict(sorted(found.items()))


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
