"""acula-edge train"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import DEFAULT_RUN, data_option, set_option
from acula_edge.command_line import command_line


@verb(
    "train",
    "acula-edge train",
    "acula-edge train recipes/auscultation.yaml --data circor=/data/circor --data kauh=/data/kauh",
    "acula-edge train --set align.epochs=4 --set seed=1 --out runs/short",
    "acula-edge train opera-gt --data circor=/data/circor --set encoder.checkpoint=encoder-operaGT.ckpt",
    "acula-edge train --out runs/short --resume",
)
@click.argument("recipe", required=False)
@data_option
@set_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    metavar="RUN",
    help="Folder of the run.",
)
@click.option("--max-steps", type=click.IntRange(1), metavar="N", help="Stop after N optimizer steps.")
@click.option(
    "--include-evaluation-subjects",
    "include",
    is_flag=True,
    help="Align on the persons of validation and test sets too. Figures are then not of unseen persons; the run and "
    "every report of it say so.",
)
@click.option("--resume", is_flag=True, help="Go on where this run was interrupted.")
def command(
    recipe: str | None,
    data: dict[str, Path],
    overrides: tuple[str, ...],
    out: Path,
    max_steps: int | None,
    include: bool,
    resume: bool,
) -> None:
    """Align an encoder with reports written from the recordings' metadata.

    RECIPE is a YAML file or the name of a recipe that ships with acula-edge. Without it, acula-edge.yaml in this
    folder is used, else the phantom recipe, which makes its own recordings and needs no download.

    On several GPUs: accelerate launch --multi_gpu -m acula_edge train ..., or torchrun --nproc-per-node N in its place;
    the batch of the recipe is shared among the processes, and the result is that of one.
    """
    from acula_edge import pipeline
    from acula_edge.cli.console import note, print_line

    if max_steps is not None:
        overrides = (*overrides, f"align.max_steps={max_steps}")
    if include:
        overrides = (*overrides, "data.guard.include_evaluation_subjects=true")
    run = pipeline.train(recipe=recipe, data=data, overrides=overrides, out=out, resume=resume)
    print_line(str(run.path))
    named = () if run.path == DEFAULT_RUN else (run.path,)
    note(f"next: {command_line('acula-edge', 'export', '--int8', *named)}")
