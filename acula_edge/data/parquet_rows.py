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
    """The columns that are left out, with their types, as a JSON object, then rows as JSON objects, one a line.

    Dates and times are ISO texts, durations seconds, decimals numbers. Columns of anything else (lists, mappings,
    bytes) are left out, but for a mapping called ``metadata``.

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
        file = parquet.ParquetFile(path, memory_map=False)
        fields = list(file.schema_arrow)
        if len({field.name for field in fields}) < len(fields):
            raise ParquetError("two columns have one name")
        kept = [field for field in fields if _plain(field.type) or _is_metadata(field)]
        yield json.dumps({field.name: str(field.type)[:80] for field in fields if field not in kept}) + "\n"
        names = [field.name for field in kept]
        for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            columns = [_whole_microseconds(batch.column(name)).to_pylist() for name in names]
            for values in zip(*columns, strict=True):
                line = json.dumps(dict(zip(names, values, strict=True)), default=_simple)
                if len(line) >= max_line:
                    raise ParquetError(f"a row is longer than {max_line} characters")
                yield line + "\n"
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        raise ParquetError(" ".join(str(error).split())[:500] or type(error).__name__) from error


def _plain(kind: Any) -> bool:
    """Whether cells of a type are texts or numbers, or become some."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return bool(texts or numbers or types.is_null(kind) or (types.is_temporal(kind) and not types.is_interval(kind)))


def _is_metadata(field: Any) -> bool:
    from pyarrow import types

    return bool(field.name == "metadata" and types.is_struct(field.type))


def _whole_microseconds(column: Any) -> Any:
    """The column; times in nanoseconds, which Python does not have, are cut."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    if types.is_duration(kind) and kind.unit == "ns":
        return column.cast(pyarrow.duration("us"), safe=False)
    return column.cast(pyarrow.time64("us"), safe=False) if kind == pyarrow.time64("ns") else column


def _simple(value: Any) -> Any:
    """A cell that JSON does not have: ISO text of a date or time, seconds of a duration, number of a decimal."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    try:
        return float(value)
    except (TypeError, ValueError):
        return [type(value).__name__]


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
