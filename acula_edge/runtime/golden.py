"""The self-test: does this device compute what the bundle computed where it was made?"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.folder import bundle_folder, damaged_files, read_bundle
from acula_edge.bundle.layout import ENCODER_FILES, FRONTEND_FILE, MODEL_FILES
from acula_edge.bundle.selftest import SelfTest, read_selftest
from acula_edge.engines.ort import CPU, OrtEngine
from acula_edge.errors import AculaEdgeError
from acula_edge.runtime.bundle import Bundle
from acula_edge.runtime.golden_calls import check_calls, check_recordings
from acula_edge.runtime.golden_frontends import check_frontends
from acula_edge.runtime.golden_providers import check_providers
from acula_edge.runtime.models import run_chain

SCHEMA = "acula-edge/selftest-result/1"


Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]


def selftest(bundle: str | Path | Bundle, threads: int = 1) -> dict[str, Any]:
    """Check a bundle on this device.

    In this order: checksums; every model, and its two halves, on the golden waveforms that travel with it; the model
    that the bundle recommends in its hundredth call, on a very short and a long recording, with 16-bit and with float
    samples, and with every execution provider that is here; the further front ends.

    Returns:
        ``verdict`` ("passed" or "failed"), ``passed``; ``checks``: list of ``name, passed, detail, waveforms``, where
        ``waveforms`` has ``name, cosine, score_error, passed`` each, and is empty where a check is not about them;
        ``calls`` and ``providers``: see :mod:`acula_edge.runtime.golden_calls` and
        :mod:`acula_edge.runtime.golden_providers`; ``machine``, ``onnxruntime``: where this was.

    Raises:
        ArtifactError: the folder is no bundle, or its golden waveforms cannot be read.
    """
    import onnxruntime

    path = bundle.path if isinstance(bundle, Bundle) else bundle_folder(bundle)
    info = read_bundle(path, verify=False)
    damaged = damaged_files(path, info.files)
    checks = [_check("files", not damaged, "; ".join(damaged) or f"{len(info.files)} files are as they were written")]
    golden = read_selftest(path)
    for precision in golden.tolerances:
        checks.append(_check_model(path, precision, golden, threads))
        if all((path / name).is_file() for name in (FRONTEND_FILE, ENCODER_FILES[precision])):
            checks.append(_check_halves(path, precision, golden, threads))
    precision = info.recommended if info.recommended in golden.tolerances else next(reversed(golden.tolerances))
    result, calls = check_calls(path, precision, golden, threads)
    checks.append(_check(*result))
    checks += [_check(*result) for result in check_recordings(path, precision, golden, threads)]
    providers = list(check_providers(path, precision, golden, threads))
    checks += [
        _check(entry["provider"], entry["passed"], entry["detail"])
        for entry in providers
        if entry["passed"] is not None and entry["provider"] != CPU
    ]
    checks += [_check(*result) for result in check_frontends(path, info, golden.waves, threads)]
    passed = all(check["passed"] for check in checks)
    return {
        "schema": SCHEMA,
        "bundle": info.name,
        "machine": f"{platform.system()} {platform.machine()}",
        "onnxruntime": onnxruntime.__version__,
        "verdict": "passed" if passed else "failed",
        "passed": passed,
        "checks": checks,
        "calls": {"precision": precision, **calls},
        "providers": providers,
    }


def _check_model(path: Path, precision: str, golden: SelfTest, threads: int) -> dict[str, Any]:
    """The whole model against the outputs that were kept."""
    name = MODEL_FILES[precision]
    try:
        outputs = _run([path / name], golden.waves, threads)
    except AculaEdgeError as error:
        return _check(name, False, str(error))
    return _compare(name, precision, golden, outputs)


def _check_halves(path: Path, precision: str, golden: SelfTest, threads: int) -> dict[str, Any]:
    """Front end and encoder one after the other, as streaming uses them, against the same outputs."""
    names = (FRONTEND_FILE, ENCODER_FILES[precision])
    title = " + ".join(names)
    try:
        outputs = _run([path / name for name in names], golden.waves, threads)
    except AculaEdgeError as error:
        return _check(title, False, str(error))
    return _compare(title, precision, golden, outputs)


def _run(files: list[Path], waves: NDArray[np.float32], threads: int) -> Outputs:
    """Chain models, the only output of one being the only input of the next. Shape: [N, T] -> [N, D], [N, K]."""
    engines = [OrtEngine(file, threads=threads) for file in files]
    embeddings, scores = [], []
    for wave in waves:
        outputs = run_chain(engines, wave[None])
        embeddings.append(outputs["embedding"][0])
        scores.append(outputs["scores"][0])
    return np.stack(embeddings), np.stack(scores)


def _compare(name: str, precision: str, golden: SelfTest, outputs: Outputs) -> dict[str, Any]:
    waveforms = golden.compare(precision, *outputs)
    failed = [entry["name"] for entry in waveforms if not entry["passed"]]
    if failed:
        return _check(name, False, f"differs on {', '.join(failed)}", waveforms)
    worst = min(entry["cosine"] for entry in waveforms)
    error = max(entry["score_error"] for entry in waveforms)
    detail = f"{len(waveforms)} waveforms, cosine at least {worst:.6f}, scores within {error:.1e}"
    return _check(name, True, detail, waveforms)


def _check(name: str, passed: bool, detail: str, waveforms: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"name": name, "passed": passed, "detail": detail, "waveforms": waveforms or []}
