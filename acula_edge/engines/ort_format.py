"""A bundle's model as an ``.ort`` file, for builds of ONNX Runtime that hold only the operators of one model.

ONNX Runtime's own converter does the work. What it writes is optimized for the kind of processor that it is told, so
that nothing is left to optimize where the file is loaded: builds without optimizers (``--minimal_build``) take it. The
list of operators beside it is what such a build is made from.
"""

from __future__ import annotations

import contextlib
import io
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import MODEL_FILE, MODEL_FILES
from acula_edge.bundle.selftest import read_selftest
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import write_bytes
from acula_edge.untrusted.onnx_file import inspect_onnx

OPERATORS_SUFFIX = ".required_operators.config"
# Kinds of processor that the converter knows, and what they call themselves.
TARGETS = {"arm": ("aarch64", "arm64", "armv7l", "armv8l"), "amd64": ("x86_64", "amd64")}
_TARGET_OF_PROFILE = {"cpu_arm": "arm", "cpu_x86": "amd64"}


def write_ort_format(
    bundle: str | Path, out: str | Path, precision: str = "int8", target: str | None = None
) -> dict[str, Any]:
    """Convert a bundle's model, and check the result on the golden waveforms.

    Args:
        bundle: its folder; nothing is written there, as an ``.ort`` file belongs to one build of one program.
        out: folder for the file and the list of its operators.
        precision: ``int8`` or ``float``.
        target: ``arm`` (32 and 64 bit) or ``amd64``; by default what the bundle's profile is for.

    Returns:
        ``model`` and ``operators`` (paths), ``target``, ``bytes``, and ``waveforms``, as the self-test has them; None
        where the file is for another kind of processor than this one, and so was not run.

    Raises:
        ArtifactError: the bundle is damaged, has no such model, or the file computes something else.
        InputError: an unknown target, or none given and the profile tells none.
    """
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    folder, out = Path(bundle), Path(out)
    info = read_bundle(folder)
    target = target or _TARGET_OF_PROFILE.get(info.profile or "")
    if target not in TARGETS:
        raise InputError(
            "an .ort file is for one kind of processor", given=target or info.profile, allowed=TARGETS,
            remedy="name it with --target",
        )  # fmt: skip
    name = Path(MODEL_FILES.get(precision, MODEL_FILE)).stem
    if f"{name}.onnx" not in info.files:
        raise ArtifactError(f"the bundle {folder} has no {precision} model", remedy="acula-edge export --int8")
    if not inspect_onnx(folder / f"{name}.onnx").constants_small:
        # The converter computes them, in memory that has no limit.
        raise ArtifactError(f"{folder / name}.onnx makes values of any size from constants, and is not converted")
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary)
        # It prints what it does, and looks at every file beside the model.
        (stage / f"{name}.onnx").write_bytes((folder / f"{name}.onnx").read_bytes())
        with contextlib.redirect_stdout(io.StringIO()):
            convert_onnx_models_to_ort(
                stage / f"{name}.onnx", optimization_styles=[OptimizationStyle.Fixed], target_platform=target
            )
        made = [stage / f"{name}.ort", stage / f"{name}{OPERATORS_SUFFIX}"]
        native = platform.machine().lower() in TARGETS[target]
        waveforms = _compare(folder, made[0], precision) if native else None
        out.mkdir(parents=True, exist_ok=True)
        for file in made:
            write_bytes(out / file.name, file.read_bytes())
    model, operators = (out / file.name for file in made)
    return {
        "bundle": info.name,
        "model": str(model),
        "operators": str(operators),
        "target": target,
        "bytes": model.stat().st_size,
        "waveforms": waveforms,
    }


def _compare(folder: Path, model: Path, precision: str) -> list[dict[str, Any]]:
    golden = read_selftest(folder)
    engine = OrtEngine(model, made_here=True)
    outputs = [engine.run({"waveform": wave[None]}) for wave in golden.waves]
    embeddings, scores = (np.concatenate([output[name] for output in outputs]) for name in ("embedding", "scores"))
    waveforms = golden.compare(precision, embeddings, scores)
    failed = [entry["name"] for entry in waveforms if not entry["passed"]]
    if failed:
        raise ArtifactError(f"the .ort file of {folder} computes something else", given=", ".join(failed))
    return waveforms
