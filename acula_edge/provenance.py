"""What made an artifact: versions, commit, machine; enough to make it again, nothing that identifies a person."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "acula-edge", "numpy", "scipy", "torch", "torchaudio", "transformers", "timm", "onnx", "onnxruntime",
    "onnxscript", "optimum-onnx", "tensorrt", "soundfile", "soxr", "scikit-learn",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of the packages that matter, those installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, with ``-dirty``; None when it is installed."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("-dirty" if dirty.stdout.strip() else "")


def provenance() -> dict[str, Any]:
    """Versions, commit, Python, platform and operating system of this process."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "os": platform.platform(),
        "commit": git_commit(),
        "packages": versions(),
    }
