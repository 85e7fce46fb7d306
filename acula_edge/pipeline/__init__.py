"""The verbs as functions: each ties stages together and leaves its results in the run's folder.

Stages exchange files; this is the only module (with the command line) that knows all of them. Heavy packages are
imported inside the verb that needs them.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acula_edge.bundle.layout import BENCHMARK_FILE, BENCHMARK_SAMPLES_FILE, BUNDLE_FILE
from acula_edge.command_line import command_line
from acula_edge.errors import ArtifactError, GateRefused, InputError, MissingCapability
from acula_edge.files import atomic_path
from acula_edge.folder_lock import locked
from acula_edge.recipe import BenchmarkConfig, Recipe
from acula_edge.run import Run

if TYPE_CHECKING:
    from acula_edge.pipeline.bundling import Exported

LATEST = "runs/latest"


def train(
    recipe: str | Path | Recipe | None = None,
    data: Mapping[str, str | Path] | None = None,
    overrides: Sequence[str] = (),
    out: str | Path = LATEST,
    resume: bool = False,
) -> Run:
    """Prepare data, read reports, align the encoder.

    Args:
        recipe: path, shipped name, object, or None for the default (see :func:`acula_edge.shipped.find_recipe`).
        data: folder per source.
        overrides: texts ``section.key=value``.
        out: the run's folder. A run that is already there is kept under a dated name, unless `resume`, or unless it
            never came as far as training.
        resume: continue the run in `out`; with no recipe given, by its own recipe.

    Raises:
        RecipeError: the recipe is wrong, names something that does not exist, or differs from that of the run to be
            resumed.
        MissingCapability: the train extra is not installed.
    """
    _need("train", "torch", "torchaudio", "transformers", "accelerate", "timm")
    from acula_edge.pipeline.opening import training_run

    with training_run(recipe, data, overrides, Path(out), resume) as (run, aligned):
        if not aligned:
            from acula_edge.align.train import align

            align(run, resume=resume)
    return run


def distill(run: Run | str | Path = LATEST, student: str | None = None, resume: bool = False) -> Run:
    """Teach a student the run's aligned encoder; by default the recipe's student."""
    _need("train", "torch", "torchaudio", "transformers", "accelerate", "timm")
    run = _open(run)
    name = student or run.recipe.distill.student
    if name is None:
        raise InputError("the recipe names no student", remedy="name one: acula-edge distill --student base")
    _check_student(name)

    from acula_edge.distillation.train import distill as teach

    with locked(run.path, "distill"):
        teach(run, name, resume=resume)
    return run


def export(
    run: Run | str | Path = LATEST,
    int8: bool = False,
    student: str | None = None,
    profile: str | None = None,
    gate: bool = True,
    overrides: Sequence[str] = (),
) -> Path:
    """Make the bundle: distill if needed, export, quantize, fine-tune if needed, audit, verify, benchmark, report.

    Args:
        run: a run with an aligned encoder.
        int8: quantize as well.
        student: a registered student, or ``"none"`` for the encoder itself; by default the recipe's.
        profile: ``cpu_x86``, ``cpu_arm`` or ``tensorrt``; by default the recipe's.
        gate: whether a refusal of the quality gate is an error, and whether INT8 that misses its limits on validation
            persons is fine-tuned (``quantize.aware``).
        overrides: texts ``quantize.key=value`` or ``benchmark.key=value`` on top of the run's recipe, for this bundle
            only, which says so; what made the run, and what judges it, stays.

    Returns:
        The bundle's folder.

    Raises:
        RecipeError: an override is wrong, or of another section.
        GateRefused: the INT8 model misses the recipe's criteria; the bundle is there, marked as refused.
    """
    _need("train", "torch", "onnx", "onnxscript", "sklearn")
    run = _open(run)
    if overrides:
        from acula_edge.pipeline.names import check_names

        run = Run(run.path, overrides)
        check_names(run.recipe)
    chosen = student or run.recipe.distill.student
    name = None if chosen == "none" else chosen
    if name is not None:
        _check_student(name)
    if not (run.encoder_dir / "model.safetensors").is_file():
        raise ArtifactError(
            f"{run.path} has no aligned encoder yet",
            remedy=command_line("acula-edge", "train", "--out", run.path, "--resume"),
        )
    from acula_edge.pipeline.bundling import export_bundle

    with locked(run.path, "export"):
        if name is not None and not (run.student_dir(name) / "model.safetensors").is_file():
            distill(run, name, resume=True)
        made = export_bundle(run, name, profile or run.recipe.quantize.profile, int8=int8, gate=gate)
        report(run)
    judged = made.verification.gate
    if int8 and gate and not judged.passed:
        raise GateRefused(
            f"the quality gate refused {made.bundle}",
            given="; ".join(judged.reasons),
            allowed="the limits under verify.gate in the recipe",
            remedy=f"{_mend(made)}, or write the bundle all the same with --no-gate",
        )
    return made.bundle


def verify(
    target: Run | str | Path = LATEST, tasks: Sequence[str] | None = None, zero_shot: str | Path | None = None
) -> dict[str, Any]:
    """Evaluate a bundle (or every bundle of a run) on tasks and write verify.json into it.

    Args:
        tasks: ids instead of the recipe's.
        zero_shot: prompts' file, or a shipped one's name, instead of the recipe's.

    Returns:
        The content of verify.json; of the last bundle where there are several.
    """
    _need("train", "torch", "sklearn", "statsmodels")
    from acula_edge.bundle.folder import read_bundle
    from acula_edge.bundle.json_files import plain
    from acula_edge.bundle.writer import changed_bundle
    from acula_edge.data.prepare import prepare
    from acula_edge.pipeline.evaluation import evaluate_bundle

    bundles = _bundles(target)
    result: dict[str, Any] = {}
    for bundle in bundles:
        run = Run.open(bundle.parent.parent)
        with locked(run.path, "verify"):
            store, info = prepare(run.recipe, run), read_bundle(bundle, verify=False)
            evaluation = evaluate_bundle(run, store, bundle, info, tasks, zero_shot)
            with changed_bundle(bundle) as writer:
                evaluation.add_to(writer)
        result = plain(evaluation.verify)
    return result


def benchmark(
    paths: Sequence[str | Path],
    mode: str | None = None,
    json: str | Path | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Measure latency, memory and, where sensors allow it, energy of bundles or ONNX files on this machine.

    A bundle inside its run is compared with the run's float teacher in PyTorch as well, where torch is installed.

    Args:
        json: where the result goes, its raw samples beside it (``FILE_samples.npz``). A bundle outside its run is then
            left as it was made: it may be signed.
        threads: of ONNX Runtime; by default the recipe's, else 1.

    Returns:
        The content of benchmark.json; for a bundle it is written there too, but for what `json` says.
    """
    from acula_edge.benchmarking.bundle import benchmark_bundle, benchmark_models
    from acula_edge.benchmarking.session import write_copy
    from acula_edge.pipeline.timing import float_teacher

    files = [Path(path) for path in paths]
    if len(files) == 1 and not files[0].exists():
        raise ArtifactError(f"there is no bundle or model {files[0]}", remedy="acula-edge export RUN --int8 makes one")
    in_run = len(files) == 1 and (files[0].parent.parent / "recipe.yaml").is_file()
    settings = Run.open(files[0].parent.parent).recipe.benchmark if in_run else BenchmarkConfig()
    chosen, count = mode or "quick", threads or settings.threads
    lock = locked(files[0].parent.parent, "benchmark") if in_run else contextlib.nullcontext()
    with lock, tempfile.TemporaryDirectory(prefix="acula-edge-") as scratch:
        folder = Path(scratch)
        if all(path.suffix == ".onnx" for path in files):
            result = benchmark_models(files, mode=chosen, threads=count, out=None if json is None else folder)
        elif len(files) == 1:
            extra = float_teacher(Run(files[0].parent.parent))
            result = benchmark_bundle(files[0], mode=chosen, threads=count, extra=extra, out=folder)
            if in_run or json is None:
                _keep_results(folder, files[0], in_run)
        else:
            given = ", ".join(map(str, files))
            raise InputError("benchmark takes one bundle, or any number of ONNX files", given=given)
        if json is not None:
            write_copy(result, folder, Path(json))
    return result


def report(run: Run | str | Path = LATEST) -> Path:
    """Write report.html and report.md from the run's JSON files."""
    _need("train", "jinja2")
    from acula_edge.reporting import write_report

    return write_report(_open(run))


def demo(out: str | Path = "runs/demo") -> Path:
    """The whole line on the phantom corpus; returns the report's path."""
    run = train("phantom", out=out)
    export(run, int8=True)
    return run.path / "report.html"


def _open(run: Run | str | Path) -> Run:
    if isinstance(run, Run):
        return run
    if (Path(run) / BUNDLE_FILE).is_file():
        raise ArtifactError(
            f"{run} is a bundle: it holds no recordings to train or calibrate on",
            remedy="name the run that it was made in",
        )
    return Run.open(run)


def _bundles(target: Run | str | Path) -> list[Path]:
    """Bundles of a run, or the one bundle named."""
    path = target.path if isinstance(target, Run) else Path(target)
    if (path / BUNDLE_FILE).is_file():
        if not (path.parent.parent / "recipe.yaml").is_file():
            raise ArtifactError(
                f"{path} lies outside its run, so the test recordings are not at hand",
                remedy="verify it where it was made: acula-edge verify RUN/export/NAME",
            )
        return [path]
    bundles = Run.open(path).bundles
    if not bundles:
        raise ArtifactError(f"{path} has no bundle yet", remedy=command_line("acula-edge", "export", path, "--int8"))
    return bundles


def _check_student(name: str) -> None:
    """Refuse a name that no student has, before hours of listening with the teacher."""
    from acula_edge.encoders.students import students

    students[name]


def _mend(made: Exported) -> str:
    """What makes a refused model pass."""
    if not made.verification.tasks:
        return "give the recipe a task that these recordings can answer (acula-edge doctor lists the tasks)"
    tuned = made.quantized.aware if made.quantized is not None else None
    untried = (
        " fine-tune in INT8 (quantize.aware: always in recipe.yaml),"
        if not tuned or tuned.outcome == "not needed"
        else ""
    )
    return f"see report.html;{untried} keep more nodes in float (quantize.keep_float), calibrate on more windows"


def _keep_results(results: Path, bundle: Path, in_run: bool) -> None:
    """Put a benchmark's files into a bundle; in a run all at once or not at all."""
    from acula_edge.bundle.json_files import read_facts
    from acula_edge.bundle.schema import Benchmark
    from acula_edge.bundle.writer import changed_bundle

    with changed_bundle(bundle, in_place=not in_run) as writer:
        with atomic_path(writer.folder / BENCHMARK_SAMPLES_FILE) as temporary:
            shutil.copyfile(results / BENCHMARK_SAMPLES_FILE, temporary)
        writer.write(read_facts(results / BENCHMARK_FILE, Benchmark))


def _installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def _need(extra: str, *packages: str) -> None:
    """Refuse early, with the command that mends it."""
    missing = [package for package in packages if not _installed(package)]
    if missing:
        raise MissingCapability(
            f"this needs packages that are not installed: {', '.join(missing)}",
            remedy=f"pip install 'acula-edge[{extra}]'",
        )
