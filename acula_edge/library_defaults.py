"""What native libraries read from the environment when they are loaded, set before any of them is.

`acula_edge/__init__` imports this first; processes that it starts inherit it. A value that is already set stays.
"""

from __future__ import annotations

import os

DEFAULTS = {
    # ONNX Runtime (1.32 seen; its docs/Privacy.md): a device id and a database under HOME, and ten seconds later a
    # look-up of the host that it reports to.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub: telemetry, and versions and session id in the user agent when a recipe does name a model there.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # OpenMP threads sleep while they wait. Beside another busy process a spinning one holds the core that the thread
    # which it waits for needs.
    "OMP_WAIT_POLICY": "passive",
}


def set_library_defaults() -> None:
    """Set each of :data:`DEFAULTS` that the environment does not hold, or holds empty."""
    for name, value in DEFAULTS.items():
        os.environ[name] = os.environ.get(name) or value
