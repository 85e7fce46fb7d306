"""Versions of TensorRT, as its package and its programs write them."""

from __future__ import annotations

import re
from pathlib import Path

from acula_edge.command_line import command_line
from acula_edge.errors import MissingCapability

Version = tuple[int, int, int]

OLDEST: Version = (10, 0, 0)

INSTALL = (
    "on a Jetson: sudo apt install tensorrt (it comes with JetPack); elsewhere: "
    'pip install "acula-edge[tensorrt]" with NVIDIA\'s package index within reach'
)


def version_text(version: Version) -> str:
    """``10.3.0``"""
    return ".".join(str(part) for part in version)


def audit_line(onnx: Path, version: Version) -> str:
    """The command that says what in a model this TensorRT does not take."""
    asked = ("--profile", "tensorrt", "--tensorrt", version_text(version))
    return command_line("acula-edge", "audit", onnx, *asked)


def parse_version(text: str) -> Version:
    """Version from ``10.3.0`` or from trtexec's banner ``[TensorRT v100300]``.

    Raises:
        MissingCapability: neither.
    """
    banner = re.search(r"TensorRT v(\d{6,})", text)
    if banner:
        number = int(banner[1])
        return number // 10000, number // 100 % 100, number % 100
    older = re.search(r"TensorRT v(\d)(\d)(\d\d)\b", text)
    if older:
        return int(older[1]), int(older[2]), int(older[3])
    dotted = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if dotted:
        return int(dotted[1]), int(dotted[2]), int(dotted[3] or 0)
    raise MissingCapability("TensorRT does not say which version it is", given=text[:80], remedy=INSTALL)


def check_version(version: Version) -> None:
    """Refuse versions that this package was not written for.

    Raises:
        MissingCapability: older than TensorRT 10.
    """
    if version < OLDEST:
        raise MissingCapability(
            "this TensorRT is too old", given=version_text(version), allowed="10.0 or later", remedy=INSTALL
        )
