"""Benchmark of a run's bundle: the run's float teacher in PyTorch is measured beside it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import msgspec

from acula_edge.benchmarking.bundle import measure_bundle
from acula_edge.bundle.schema import Benchmark
from acula_edge.bundle.writer import BundleWriter
from acula_edge.run import Run


def add_benchmark(writer: BundleWriter, run: Run) -> None:
    """Measure a bundle that is being made, as its run's recipe says."""
    settings = run.recipe.benchmark
    info = writer.list_files()
    extra = float_teacher(run)
    result = measure_bundle(writer.folder, info, writer.verify, settings.mode, settings.threads, extra, writer.folder)
    writer.write(msgspec.convert(result, Benchmark))


def float_teacher(run: Run) -> dict[str, Callable[[], None]]:
    """The run's float teacher in PyTorch, waveform to embedding, as a callable; empty where it is not at hand."""
    if not (run.encoder_dir / "model.safetensors").is_file() or importlib.util.find_spec("torch") is None:
        return {}
    from acula_edge.pipeline.evaluation import teacher_callable

    return {"float teacher, PyTorch": teacher_callable(run)}
