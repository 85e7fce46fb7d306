"""The GPU that an engine is built for."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from acula_edge.errors import MissingCapability

BOARD_FILE = Path("/proc/device-tree/model")

# From NVIDIA's list of CUDA GPUs; nvidia-smi on a Jetson does not say it.
_JETSON_CAPABILITIES = {"Thor": "11.0", "Orin": "8.7", "Xavier": "7.2"}


@dataclass(frozen=True)
class Gpu:
    """A GPU; an unknown compute capability is None."""

    name: str
    compute_capability: str | None


def find_gpu() -> Gpu:
    """The first NVIDIA GPU; a Jetson goes by the name of its board.

    Raises:
        MissingCapability: there is none.
    """
    jetson = BOARD_FILE.read_text(errors="replace").strip("\0 \n") if BOARD_FILE.is_file() else ""
    if "Jetson" in jetson:
        known = next((value for name, value in _JETSON_CAPABILITIES.items() if name in jetson), None)
        return Gpu(jetson, known)
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        lines = done.stdout.splitlines() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    if lines and lines[0].strip():
        name, _, capability = (part.strip() for part in lines[0].partition(","))
        return Gpu(name, capability if re.fullmatch(r"\d+\.\d+", capability) else None)
    raise MissingCapability(
        "there is no NVIDIA GPU here; an engine is built on the device that will run it",
        remedy="copy the bundle to that device and run there: acula-edge build-engine BUNDLE",
    )
