"""The speed guard: an INT8 encoder that is slower than the float one here is planned again, or not recommended.

Measuring is the caller's (:mod:`acula_edge.benchmarking.encoders`); this decides. Files change only where INT8 is
slower beyond the interval of the measurement, twice in a row, so that an export whose INT8 is quicker gives the same
bytes every time.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import Quantize, Speed, SpeedTrial
from acula_edge.errors import InputError
from acula_edge.files import write_bytes
from acula_edge.progress import notify
from acula_edge.quantize.execution import Execution, inspect_execution

Measure = Callable[[Path, Path], Mapping[str, Any]]
"""Reference and candidate -> ``verdict`` (``faster``, ``slower``, ``no difference shown``), ``speedup``,
``speedup_ci95`` and whatever else is to be recorded."""

Rebuild = Callable[[Mapping[str, str]], Quantize]
"""Quantizes again with layers left in float, each with its reason; returns the content of ``quantize.json``."""

REASON = "speed: slower on integers than in float on the machine that exported it"
_MACHINES = {"cpu_x86": ("x86_64", "amd64"), "cpu_arm": ("aarch64", "arm64")}
_MADE = (ENCODER_INT8_FILE, MODEL_INT8_FILE)


def is_native(profile: str) -> bool:
    """Whether this machine is of the kind that a profile is for; TensorRT engines are timed where they are built."""
    return platform.machine().lower() in _MACHINES.get(profile, ())


def guard_speed(
    folder: str | Path, profile: str, quantized: Quantize, rebuild: Rebuild, measure: Measure | None
) -> Quantize:
    """Compare ``encoder.int8.onnx`` with ``encoder.onnx`` in `folder`, front end apart, and act on it.

    Args:
        quantized: content of ``quantize.json`` for the INT8 files that lie there.
        rebuild: makes these files again.
        measure: None where speed is not to be measured.

    Returns:
        The content of ``quantize.json`` for the files that lie there now, with what to say of speed.
    """
    folder = Path(folder)
    if measure is None or not is_native(profile):
        reason = (
            "not measured: not asked for"
            if measure is None
            else f"not measured here: {profile} is for another machine than this one ({platform.machine()})"
        )
        return _with(quantized, Speed(False, "int8", reason, []))
    first, execution = _look(folder, measure)
    trail = [_trial([], first, execution)]
    if first["verdict"] == "slower":  # once more: the machine may have been disturbed
        first = dict(measure(folder / ENCODER_FILE, folder / ENCODER_INT8_FILE))
        trail[0].again = first
    if first["verdict"] != "slower":
        return _with(quantized, _conclude(first, trail, replanned=False))
    left = [*execution.fell_back, *execution.islands]
    notify(
        "INT8 is slower than float here (%.2f times as fast): %d layers fell back to float, %d cost more to convert "
        "than integers save; these stay in float now",
        first["speedup"],
        len(execution.fell_back),
        len(execution.islands),
    )
    before = {name: (folder / name).read_bytes() for name in _MADE if (folder / name).is_file()}
    try:
        changed = rebuild(dict.fromkeys(left, REASON)) if left else None
    except InputError:
        changed = None  # nothing would be left on integers
    if changed is None:
        return _with(quantized, _conclude(first, trail, replanned=False))
    second, execution = _look(folder, measure)
    trail.append(_trial(left, second, execution))
    if second["verdict"] != "faster" and second["speedup"] <= first["speedup"]:
        for name, content in before.items():
            write_bytes(folder / name, content)
        return _with(quantized, _conclude(first, trail, replanned=False))
    return _with(changed, _conclude(second, trail, replanned=True))


def _with(quantized: Quantize, speed: Speed) -> Quantize:
    return msgspec.structs.replace(quantized, speed=speed)


def _trial(left: list[str], compared: Mapping[str, Any], execution: Execution) -> SpeedTrial:
    return msgspec.convert({"left_float": left, **compared, **execution.describe()}, SpeedTrial)


def _look(folder: Path, measure: Measure) -> tuple[dict[str, Any], Execution]:
    compared = dict(measure(folder / ENCODER_FILE, folder / ENCODER_INT8_FILE))
    return compared, inspect_execution(folder / ENCODER_INT8_FILE)


def _conclude(shipped: Mapping[str, Any], trail: list[SpeedTrial], *, replanned: bool) -> Speed:
    """INT8 that was slower at first has to be faster to be recommended; else it is enough that it is not slower."""
    verdict, (low, high) = shipped["verdict"], shipped["speedup_ci95"]
    said = f"{shipped['speedup']:.2f} times as fast as float [{low:.2f}, {high:.2f}]"
    was_slower = (trail[0].again["verdict"] if trail[0].again else trail[0].verdict) == "slower"
    good = verdict == "faster" or (verdict != "slower" and not was_slower)
    if good and verdict == "faster":
        reason = f"the INT8 encoder is {said} here"
    elif good:
        reason = f"no difference in speed was shown here ({said}); INT8 is smaller"
    else:
        reason = f"the INT8 encoder is {said} here" + (", even with layers left in float" if len(trail) > 1 else "")
    if replanned and good:
        reason += f", with {len(trail[-1].left_float)} layers left in float"
    return Speed(True, "int8" if good else "float", reason, trail)
