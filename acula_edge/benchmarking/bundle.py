"""Benchmark a bundle, or plain ONNX files, on this machine: figures, raw samples, and ratios measured in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acula_edge.benchmarking.artifact import Artifact, engine_artifacts, onnx_artifact
from acula_edge.benchmarking.inputs import bundle_inputs
from acula_edge.benchmarking.measure import plan_for
from acula_edge.benchmarking.session import run_session
from acula_edge.bundle.folder import damaged_files, read_bundle
from acula_edge.bundle.json_files import plain, read_facts_if_there
from acula_edge.bundle.layout import ENCODER_FILES, FRONTEND_FILE, MODEL_FILES, ROWS, VERIFY_FILE
from acula_edge.bundle.schema import Bundle, Verify
from acula_edge.errors import ArtifactError, InputError

# File, stage, precision, row of verify.json.
_ARTIFACTS = (
    (FRONTEND_FILE, "frontend", "float32", None),
    *((ENCODER_FILES[name], "encoder", kind, ROWS[name]) for name, kind in (("float", "float32"), ("int8", "int8"))),
    *((MODEL_FILES[name], "end_to_end", kind, ROWS[name]) for name, kind in (("float", "float32"), ("int8", "int8"))),
)
_EXTRA_MODELS = {"float teacher": "float_teacher", "float student": "float_student"}


def benchmark_bundle(
    path: str | Path,
    mode: str = "quick",
    threads: int = 1,
    extra: Mapping[str, Callable[[], object]] | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Measure every model of a bundle, stage by stage, and write ``benchmark.json`` and ``benchmark_samples.npz``.

    Args:
        path: the bundle.
        mode: ``"smoke"``, ``"quick"`` or ``"full"`` (:data:`acula_edge.benchmarking.measure.PLANS`).
        threads: of ONNX Runtime; callables must keep to it by themselves.
        extra: further callables by name, each one run from waveform to result. A name that begins with
            "float teacher" or "float student" is set beside that row of ``verify.json``.
        out: folder for both files; the bundle itself by default (whoever owns it seals it again).

    Returns:
        The content of ``benchmark.json``: ``environment``, ``measurements``, ``comparisons``.

    Raises:
        ArtifactError: no bundle, or one of its models was altered.
    """
    bundle = Path(path)
    plan_for(mode)
    info = read_bundle(bundle, verify=False)
    # Only what is measured: an interrupted benchmark leaves a benchmark.json that bundle.json does not know yet.
    damaged = damaged_files(bundle, {name: info.files[name] for name, *_ in _ARTIFACTS if name in info.files})
    if damaged:
        raise ArtifactError(
            f"the bundle {bundle} is damaged",
            given="; ".join(damaged),
            remedy="copy it again from where it was made, or export it again",
        )
    verification = read_facts_if_there(bundle / VERIFY_FILE, Verify)
    return measure_bundle(bundle, info, verification, mode, threads, extra, bundle if out is None else Path(out))


def measure_bundle(
    bundle: Path,
    info: Bundle,
    verification: Verify | None,
    mode: str,
    threads: int,
    extra: Mapping[str, Callable[[], object]] | None,
    out: Path,
) -> dict[str, Any]:
    """The same for a bundle that was checked, or is being made.

    Args:
        info, verification: of the bundle; a file that `info` does not list is not measured.
        out: folder for both files.
    """
    feeds = bundle_inputs(bundle, info)
    artifacts = [
        onnx_artifact(
            bundle / name,
            threads=threads,
            inputs=feeds.get(stage),
            stage=stage,
            precision=precision,
            model=model,
            sha256=info.files[name],
        )
        for name, stage, precision, model in _ARTIFACTS
        if name in info.files
    ]
    engines = engine_artifacts(bundle, feeds["end_to_end"])
    artifacts += [*engines, *(_extra_artifact(name, run, threads) for name, run in (extra or {}).items())]
    pairs = _bundle_pairs(artifacts)
    facts = {"bundle": info.name, "window_s": info.input.window_s, "input": "synthetic heartbeat"}
    scored = None if verification is None else plain(verification)
    return run_session(artifacts, pairs, plan_for(mode), mode, facts, scored, out)


def benchmark_models(
    paths: Sequence[str | Path],
    mode: str = "quick",
    threads: int = 1,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Measure plain ONNX files with noise in the shapes that they declare; each is compared with the first.

    Args:
        out: folder for ``benchmark.json`` and the raw samples; None writes nothing.

    Returns:
        As :func:`benchmark_bundle`.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("there is nothing to measure", remedy="name a bundle or ONNX files")
    names = [file.name for file in files]
    distinct = len(set(names)) == len(names)
    artifacts = [onnx_artifact(file, threads=threads, name=file.name if distinct else str(file)) for file in files]
    pairs = [(artifacts[0], other) for other in artifacts[1:]]
    facts = {"bundle": None, "window_s": None, "input": "seeded noise in the declared shapes"}
    return run_session(artifacts, pairs, plan_for(mode), mode, facts, None, None if out is None else Path(out))


def _extra_artifact(name: str, run: Callable[[], object], threads: int) -> Artifact:
    model = next((row for start, row in _EXTRA_MODELS.items() if name.startswith(start)), None)
    return Artifact(name, "end_to_end", None, None, threads, run, model=model)


def _bundle_pairs(artifacts: Sequence[Artifact]) -> list[tuple[Artifact, Artifact]]:
    """(reference, candidate): INT8 against float by stage, engines against the deployed model, that against extras."""
    found = {artifact.name: artifact for artifact in artifacts}
    pairs = [
        (found[files["float"]], found[files["int8"]])
        for files in (ENCODER_FILES, MODEL_FILES)
        if files["float"] in found and files["int8"] in found
    ]
    deployed = found.get(MODEL_FILES["int8"]) or found.get(MODEL_FILES["float"])
    if deployed is not None:
        pairs += [(deployed, artifact) for artifact in artifacts if artifact.is_engine]
        pairs += [(artifact, deployed) for artifact in artifacts if artifact.path is None and not artifact.is_engine]
    return pairs
