"""Runs in every Python process of a verb under test, children included.

``ACULA_EDGE_LOADS`` names a file to which each process that loads ONNX Runtime adds a line: the value of the variable
that keeps it silent, at the moment at which the library will read it. ``ACULA_EDGE_LINGER_S`` makes the process that is
started with it (not its children) live that long at least: the library looks its host up some ten seconds after the
import, and a verb of two seconds would hide it.
"""

import os
import sys
import threading
import time

LIBRARY = "onnxruntime.capi.onnxruntime_pybind11_state"

if loads := os.environ.get("ACULA_EDGE_LOADS", ""):

    def _note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "import" and arguments[0] == LIBRARY:
            with open(loads, "a", encoding="utf-8") as file:
                file.write(f"{os.environ.get('ORT_DISABLE_TELEMETRY')}\n")

    sys.addaudithook(_note)

if until := os.environ.pop("ACULA_EDGE_LINGER_S", ""):
    # Python waits for a thread before it calls what was registered for its exit, which ends ONNX Runtime's threads.
    _clock, _exit = threading.Thread(target=time.sleep, args=(float(until),)), os._exit

    def _exit_late(status: int) -> None:
        _clock.join()
        _exit(status)

    _clock.start()
    os._exit = _exit_late  # type: ignore[assignment]
