"""Makes the Python process that is started with ``ACULA_EDGE_LINGER_S`` live that long at least, but not its children.

ONNX Runtime's telemetry looks its host up some ten seconds after the import: a verb of two seconds would hide it.
"""

import atexit
import os
import time

if until := os.environ.pop("ACULA_EDGE_LINGER_S", ""):
    _end, _exit = time.monotonic() + float(until), os._exit

    def _linger() -> None:
        time.sleep(max(0.0, _end - time.monotonic()))

    def _exit_late(status: int) -> None:
        _linger()
        _exit(status)

    atexit.register(_linger)
    os._exit = _exit_late  # type: ignore[assignment]
