"""`acula-edge bundle verify`: every claim that a bundle makes about itself, checked. NumPy-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acula_edge.engines.bundle_files import damaged_files, file_names, read_bundle

SCHEMA = "acula-edge/bundle-check/1"


def verify_bundle(folder: str | Path) -> dict[str, Any]:
    """Check a bundle's evidence.

    Returns:
        ``passed``, ``verdict`` and ``checks``: list of ``name, passed, detail``.

    Raises:
        ArtifactError: the folder is no bundle.
    """
    folder = Path(folder)
    info = read_bundle(folder, verify=False)
    damaged = damaged_files(folder, info["files"])
    unknown = [name for name in file_names(folder) if name not in info["files"]]
    checks = [
        {
            "name": "files",
            "passed": not damaged,
            "detail": "; ".join(damaged) or f"{len(info['files'])} files are as they were written",
        },
        {
            "name": "unknown files",
            "passed": not unknown,
            "detail": ", ".join(unknown) or "none",
        },
    ]
    passed = all(check["passed"] for check in checks)
    return {
        "schema": SCHEMA,
        "bundle": info["name"],
        "verdict": "passed" if passed else "failed",
        "passed": passed,
        "checks": checks,
    }
