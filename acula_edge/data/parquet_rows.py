"""Rows of a Parquet file, read by a process of its own that may take so much memory and time and no more.

What a file's footer says of sizes binds nobody: 16 kB can unpack to gigabytes in ways that only the decoder sees. The
decoder is native code, too. This file is the child's script; it imports pyarrow and the standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BATCH_ROWS = 256
_MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


class ParquetError(ValueError):
    """The file is none that can be read, or beyond a limit."""


def read_parquet(path: Path, max_bytes: int, max_cpu_s: int, max_line: int) -> Iterator[str]:
    """Rows as JSON objects, one a line; cells that are neither text nor a number nor a mapping come as a list.

    Args:
        max_bytes: address space of the child, bytes.
        max_cpu_s: processor time of the child, seconds.
        max_line: longest row as JSON, characters.

    Raises:
        ParquetError: it cannot be read within these limits.
        ModuleNotFoundError: pyarrow is not installed.
    """
    command = [sys.executable, __file__, os.fspath(path), str(max_bytes), str(max_cpu_s), str(max_line)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_MEMORY},
    ) as child:
        assert child.stdout is not None
        try:
            whole = False
            # The child makes ASCII of everything and no line that is longer.
            while line := child.stdout.readline(max_line + 1).decode("ascii"):
                if line.startswith("="):
                    _conclude(json.loads(line[1:]))
                    whole = True
                else:
                    yield line
            child.wait()
            if not whole:
                raise ParquetError(f"reading it takes more than {max_bytes >> 20} MiB or {max_cpu_s} s, or fails")
        finally:
            child.kill()


def rows_of(path: Path, max_line: int) -> Iterator[str]:
    """As :func:`read_parquet`, in this process and without its limits."""
    import pyarrow
    import pyarrow.parquet as parquet

    pyarrow.set_cpu_count(1)
    try:
        for batch in parquet.ParquetFile(path, memory_map=False).iter_batches(_BATCH_ROWS, use_threads=False):
            names = batch.schema.names
            if len(set(names)) < len(names):
                raise ParquetError("two columns have one name")
            for row in batch.to_pylist():
                line = json.dumps(row, default=lambda value: [type(value).__name__])
                if len(line) >= max_line:
                    raise ParquetError(f"a row is longer than {max_line} characters")
                yield line + "\n"
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise ParquetError(" ".join(str(error).split())[:500] or type(error).__name__) from error


def _conclude(outcome: dict[str, Any]) -> None:
    if outcome["missing"]:
        raise ModuleNotFoundError(f"No module named {outcome['missing']!r}", name=outcome["missing"])
    if outcome["error"]:
        raise ParquetError(outcome["error"])


def _main(path: str, max_bytes: str, max_cpu_s: str, max_line: str) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(max_cpu_s), int(max_cpu_s)))
        resource.setrlimit(resource.RLIMIT_AS, (int(max_bytes), int(max_bytes)))
    except (ImportError, ValueError, OSError):  # not every system has them
        pass
    outcome = {"error": "", "missing": ""}
    try:
        for line in rows_of(Path(path), int(max_line)):
            sys.stdout.write(line)
    except ParquetError as error:
        outcome["error"] = str(error)
    except ModuleNotFoundError as error:
        outcome["missing"] = error.name or "pyarrow"
    print("=" + json.dumps(outcome))


if __name__ == "__main__":
    sys.path.pop(0)  # this script's folder holds modules of ours, not pyarrow's
    _main(*sys.argv[1:])
