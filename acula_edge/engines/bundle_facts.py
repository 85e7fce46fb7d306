"""What ``bundle.json`` says, checked once: types and sizes of everything that a device computes with.

Entries that are missing are not looked for: earlier versions wrote fewer, and whoever needs one gets an error that
names it (:class:`acula_edge.untrusted.json_file.Fields`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError
from acula_edge.limits import (
    MAX_BUNDLE_FILES,
    MAX_EMBEDDING_DIM,
    MAX_SAMPLE_RATE_HZ,
    MAX_TASKS,
    MAX_WINDOW_OVERLAP,
    MAX_WINDOW_SAMPLES,
    MIN_SAMPLE_RATE_HZ,
)

_SHA256 = re.compile("[0-9a-f]{64}")
_MAX_TEXT = 4096
_MAX_NAME = 255

Check = Callable[[Any], bool]


def check_facts(info: Mapping[str, Any], path: Path) -> None:
    """Check the content of a ``bundle.json``.

    Args:
        path: of the file, for the error.

    Raises:
        ArtifactError: an entry is of another type than it always is, or beyond the limits (named).
    """
    problem = _object(info, _BUNDLE, "")
    if problem is None:
        problem = _contradiction(info)
    if problem is not None:
        raise ArtifactError(
            f"{path} says what no bundle can", given=problem[:300], remedy="copy it again from where it was made"
        )


def is_plain_name(name: object) -> bool:
    """Whether a text names a file in a folder itself: no folder, no way out of it, not hidden, nothing unprintable."""
    return (
        isinstance(name, str)
        and 0 < len(name.encode(errors="replace")) <= _MAX_NAME
        and not name.startswith(".")
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
    )


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high

    return check


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_TASKS and all(map(_text, value))


def _files(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= MAX_BUNDLE_FILES and all(map(_file, value, value.values()))


def _file(name: Any, sha256: Any) -> bool:
    return is_plain_name(name) and isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256))


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


_RATE = _whole(MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)
_SAMPLES = _whole(1, MAX_WINDOW_SAMPLES)
_SECONDS = _number(1e-6, float(MAX_WINDOW_SAMPLES))
_INPUT = {
    "name": _text, "sample_rate_hz": _RATE, "samples": _SAMPLES, "window_s": _SECONDS, "hop_s": _SECONDS,
    "trim_top_db": _optional(_number(0, 1000)), "dtype": _text,
}  # fmt: skip
_MEL = {"name": _text, "frames": _SAMPLES, "bands": _SAMPLES}
_TASK = {
    "id": _text, "name": _text, "dataset": _text, "kind": _text, "labels": _optional(_texts), "unit": _optional(_text),
    "threshold": _optional(_number(0, 1)), "start": _whole(0, MAX_EMBEDDING_DIM), "stop": _whole(0, MAX_EMBEDDING_DIM),
}  # fmt: skip
_FRONTEND = {
    "file": is_plain_name, "kind": _text, "level": is_plain_name, "sample_rate_hz": _RATE, "samples": _SAMPLES,
    "hop_samples": _SAMPLES, "hops": _SAMPLES,
}  # fmt: skip
_BUNDLE: dict[str, Any] = {
    "files": _files, "sizes_bytes": _mapping, "name": _text, "disclaimer": _text, "profile": _text,
    "encoder": _optional(_text), "student": _optional(_text), "recommended": _optional(_text),
    "embedding_dim": _whole(1, MAX_EMBEDDING_DIM), "input": _INPUT, "mel": _MEL, "tasks": [_TASK],
    "frontends": [_FRONTEND], "frontend": _mapping, "provenance": _mapping, "quality": _optional(_mapping),
    "smoothing": _optional(_mapping), "zero_shot": _optional(_mapping),
}  # fmt: skip


def _object(value: Any, entries: Mapping[str, Any], place: str) -> str | None:
    """The first entry of an object that is not what it must be, or None."""
    if not isinstance(value, dict):
        return f"{place or 'it'} is no object"
    for name, check in entries.items():
        if name not in value:
            continue
        here, found = f"{place}.{name}" if place else name, value[name]
        if isinstance(check, Mapping):
            problem = _object(found, check, here)
        elif isinstance(check, list):
            problem = _list(found, check[0], here)
        else:
            problem = None if check(found) else f"{here}: {_culprit(found) if check is _files else str(found)[:80]}"
        if problem is not None:
            return problem
    return None


def _culprit(files: Any) -> str:
    """The entry of a list of files that is wrong, where the list itself is one."""
    if isinstance(files, dict) and len(files) <= MAX_BUNDLE_FILES:
        files = next(f"{name}: {sha256}" for name, sha256 in files.items() if not _file(name, sha256))
    return str(files)[:80]


def _list(value: Any, entries: Mapping[str, Any], place: str) -> str | None:
    if not isinstance(value, list) or len(value) > MAX_TASKS:
        return f"{place} is no list of at most {MAX_TASKS}"
    problems = (_object(item, entries, f"{place}[{number}]") for number, item in enumerate(value))
    return next((problem for problem in problems if problem is not None), None)


def _contradiction(info: Mapping[str, Any]) -> str | None:
    """What entries that are right by themselves say together, or None."""
    tasks = info.get("tasks") or []
    names = [task["id"] for task in tasks if "id" in task]
    if len(set(names)) < len(names):
        return "two tasks have one id"
    source = info.get("input", {})
    if "hop_s" not in source:
        return None
    windows = [source, *(entry for entry in info.get("frontends") or [] if entry.get("kind") == "native")]
    for window in windows:
        if "samples" in window and "sample_rate_hz" in window:
            hop = round(source["hop_s"] * window["sample_rate_hz"])
            if hop < 1 or math.ceil(window["samples"] / hop) > MAX_WINDOW_OVERLAP:
                return f"input.hop_s: {source['hop_s']}; at most {MAX_WINDOW_OVERLAP} windows may overlap"
    for entry in info.get("frontends") or []:
        if entry.get("hops", 1) * entry.get("hop_samples", 1) > MAX_WINDOW_SAMPLES:
            return f"frontends: chunks of more than {MAX_WINDOW_SAMPLES} samples"
    return None
