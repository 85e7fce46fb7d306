"""Where measured tactics are kept between builds."""

from __future__ import annotations

import os
import re
from pathlib import Path

from acula_edge.engines.tensorrt.hardware import Gpu
from acula_edge.engines.tensorrt.versions import Version, version_text
from acula_edge.errors import InputError
from acula_edge.files import write_bytes
from acula_edge.progress import notify


def slug(text: str) -> str:
    """Lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def timing_cache_path(gpu: Gpu, version: Version) -> Path:
    """A file of the user's cache folder; tactics hold for one GPU and one version.

    ``$XDG_CACHE_HOME/acula-edge/tensorrt/timing-<gpu>-<capability>-<version>.cache``, by default below ``~/.cache``.
    """
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    capability = slug(gpu.compute_capability or "unknown")
    name = f"timing-{slug(gpu.name)}-{capability}-{version_text(version)}.cache"
    return Path(root) / "acula-edge" / "tensorrt" / name


def read_cache(path: Path) -> bytes:
    """Content of a timing cache; nothing where there is none yet or it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def store_cache(path: Path, content: bytes) -> None:
    """Write a timing cache, whole or not at all; an engine is not lost because its cache cannot be kept."""
    try:
        write_bytes(path, content)
    except InputError as error:
        notify("the timing cache could not be kept: %s", error.problem)
