"""Cold start and peak memory of one ONNX file, in a process that does nothing else.

    python -m acula_edge.benchmarking.footprint model.int8.onnx --threads 1

prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError

_MODULE = "acula_edge.benchmarking.footprint"
_TIMEOUT_S = 120
_BYTES_PER_MB = 1e6


def measure_footprint(path: str | Path, threads: int = 1) -> dict[str, Any]:
    """Run `path` once in a fresh process.

    Returns:
        ``cold_start_ms``: from before the import of the runtime to the first output; its parts ``import_ms``,
        ``load_ms``, ``first_run_ms``; ``peak_rss_mb`` of the process, and ``baseline_rss_mb`` before the model was
        loaded (Python, NumPy and the runtime). Memory is None where the system does not tell.

    Raises:
        ArtifactError: the file does not run by itself.
    """
    command = [sys.executable, "-m", _MODULE, str(path), "--threads", str(threads)]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment, check=True)
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(f"{path} did not finish its first run in {_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or [f"exit status {error.returncode}"]
        raise ArtifactError(f"{path} does not run in a process of its own", given=last[0]) from error
    values = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(values, dict)
    return values


def peak_rss_mb() -> float | None:
    """Most memory that this process ever had resident, in MB (10^6 bytes); None where the system does not tell."""
    return _memory_mb("VmHWM")


def rss_mb() -> float | None:
    """Memory that this process has resident now, in MB; None where the system does not tell."""
    return _memory_mb("VmRSS")


def _memory_mb(field: str) -> float | None:
    # getrusage() would not do: on Linux its maximum outlives exec, so a child starts with its parent's peak.
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / _BYTES_PER_MB
    return None


def main() -> None:
    """Measure the file named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    started = time.perf_counter()
    import onnxruntime  # noqa: F401  (the engine would import it later, inside load_ms)

    from acula_edge.benchmarking.inputs import input_arrays
    from acula_edge.engines.ort import OrtEngine

    imported = time.perf_counter()
    baseline_mb = rss_mb()
    engine = OrtEngine(arguments.path, threads=arguments.threads)
    loaded = time.perf_counter()
    engine.run(input_arrays(engine))
    ran = time.perf_counter()
    print(
        json.dumps(
            {
                "cold_start_ms": (ran - started) * 1e3,
                "import_ms": (imported - started) * 1e3,
                "load_ms": (loaded - imported) * 1e3,
                "first_run_ms": (ran - loaded) * 1e3,
                "peak_rss_mb": peak_rss_mb(),
                "baseline_rss_mb": baseline_mb,
            }
        )
    )


if __name__ == "__main__":
    main()
