"""The fixed input of a measurement: neither silence nor anyone's recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.golden import golden_waves
from acula_edge.bundle.layout import FRONTEND_FILE
from acula_edge.bundle.schema import Bundle
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError

_LEVEL = 0.1


def input_arrays(engine: OrtEngine) -> dict[str, NDArray[Any]]:
    """Seeded noise in the shape of every input; integers are zeros.

    Raises:
        InputError: a dimension other than the first is not fixed, or an element type is not a number.
    """
    draw = np.random.default_rng(0)
    feeds: dict[str, NDArray[Any]] = {}
    for spec in engine.inputs.values():
        shape = [1 if position == 0 and not isinstance(size, int) else size for position, size in enumerate(spec.shape)]
        if not all(isinstance(size, int) for size in shape):
            raise InputError(
                f"the input {spec.name} of {engine.path} has a size that is not fixed",
                given=list(spec.shape),
                remedy="export the model for one fixed size",
            )
        sizes = [int(size) for size in shape]
        if "int" in spec.dtype:
            feeds[spec.name] = np.zeros(sizes, dtype=spec.dtype.removeprefix("tensor(").removesuffix(")"))
        elif spec.dtype in ("tensor(float)", "tensor(double)", "tensor(float16)"):
            dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}.get(spec.dtype, np.float16)
            feeds[spec.name] = np.clip(draw.standard_normal(sizes) * _LEVEL, -1, 1).astype(dtype)
        else:
            raise InputError(f"the input {spec.name} of {engine.path} is not numeric", given=spec.dtype)
    return feeds


def bundle_inputs(bundle: Path, info: Bundle) -> dict[str, dict[str, NDArray[Any]]]:
    """What a bundle's models are fed: a synthetic heartbeat, and its spectrogram by the bundle's own front end.

    Returns:
        Inputs by stage: ``frontend`` and ``end_to_end`` take "waveform" [1, T], ``encoder`` takes "mel" [1, F, M].
    """
    wave = golden_waves(info.input.sample_rate_hz, info.input.samples)["heart"][None]
    feeds: dict[str, dict[str, NDArray[Any]]] = {"frontend": {"waveform": wave}, "end_to_end": {"waveform": wave}}
    frontend = bundle / FRONTEND_FILE
    if frontend.is_file():
        feeds["encoder"] = {"mel": OrtEngine(frontend).run({"waveform": wave})["mel"]}
    return feeds
