"""From an aligned encoder to a student in a run folder."""

from __future__ import annotations

import torch

from acula_edge.align.pairs import Pairs
from acula_edge.align.train import read_pairs, save_encoder
from acula_edge.command_line import command_line
from acula_edge.data.prepare import prepare_alignment
from acula_edge.data.store import WaveStore
from acula_edge.distillation.task import DistillationTask
from acula_edge.distillation.teaching import Lessons, Reduction, collect_lessons, fit_reduction
from acula_edge.encoders import AudioEncoder, load_encoder, make_student
from acula_edge.errors import ArtifactError
from acula_edge.files import sha256_file
from acula_edge.processes import is_main, main_first, start, wait_for_all
from acula_edge.run import Run
from acula_edge.training import Optimization, fit, forget, refresh_statistics, resolve_device
from acula_edge.training.step_log import step_log


def distill(run: Run, student: str, *, resume: bool = False) -> None:
    """Teach a registered student the run's aligned encoder and save it under ``RUN/student/NAME``.

    Raises:
        ArtifactError: the run has no aligned encoder yet.
    """
    if not (run.encoder_dir / "model.safetensors").is_file():
        raise ArtifactError(
            f"{run.path} has no aligned encoder yet",
            remedy=command_line("acula-edge", "train", "--out", run.path, "--resume"),
        )
    recipe = run.recipe
    config = recipe.distill
    start(cpu=resolve_device(config.device).type == "cpu")
    store = prepare_alignment(recipe, run)
    teacher = load_encoder(run.encoder_dir)
    frontend = config.frontend or teacher.frontend
    teacher_sha256 = sha256_file(run.encoder_dir / "model.safetensors")
    train, val, reduction, pairs = gather_lessons(run, store, teacher, teacher_sha256)
    torch.manual_seed(recipe.seed)
    network = make_student(student, frontend=frontend, embedding_dim=config.embedding_dim)
    task = DistillationTask(network, store, train, val, reduction, pairs, config, recipe.data)
    folder = run.checkpoints_dir / f"distill-{student}"
    with step_log(run, f"distill-{student}", config.tensorboard) as log_step:
        facts = fit(
            task,
            Optimization.of(config, recipe.seed),
            folder,
            log=lambda **figures: run.log("distill", student=student, **figures),
            log_step=log_step,
            resume=resume,
            description=f"distilling {student}",
        )
    if is_main():
        refresh_statistics(task.student, task.clean_batches())
        save_encoder(task.student, run.student_dir(student))
        run.record(
            f"distill-{student}",
            student=student,
            teacher_sha256=teacher_sha256,
            sha256=sha256_file(run.student_dir(student) / "model.safetensors"),
            parameters=sum(parameter.numel() for parameter in task.student.deployable().parameters()),
            windows=len(train),
            variance_kept=round(reduction.kept, 4),
            **facts,
        )
        forget(folder)
    wait_for_all()


def gather_lessons(
    run: Run, store: WaveStore, teacher: AudioEncoder, teacher_sha256: str
) -> tuple[Lessons, Lessons, Reduction, Pairs | None]:
    """What a student of this run learns: training and validation windows, the target space, and reports."""
    recipe = run.recipe
    config = recipe.distill
    splits = [recording.split for recording in store.recordings]
    rows = [index for index, split in enumerate(splits) if split in ("train", "val")]
    with main_first():
        lessons = collect_lessons(
            teacher, teacher_sha256, store, rows, recipe.data, run.store_dir, resolve_device(config.device)
        )
    train = lessons.only({row for row in rows if splits[row] == "train"})
    val = lessons.only({row for row in rows if splits[row] == "val"})
    reduction = fit_reduction(train.embedding, config.embedding_dim)
    pairs = None
    if config.cka_text and recipe.align.objectives:
        pairs, _, _ = read_pairs(run, store)
    return train, val, reduction, pairs
