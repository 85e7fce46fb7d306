"""acula-edge data list|check|prepare"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acula_edge.cli.command import verb, verb_family
from acula_edge.cli.options import json_option, set_option

if TYPE_CHECKING:
    from acula_edge.recipe import Recipe


@verb_family(
    "data",
    "acula-edge data list",
    "acula-edge data check circor --root /data/circor",
)
def command() -> None:
    """Corpora: which can be read, what is wrong with one, and its splits by person."""


def _corpus_options(function: Any) -> Any:
    root = click.option(
        "--root",
        type=click.Path(path_type=Path, exists=True),
        metavar="DIR",
        help="Where the corpus lies: its folder, or a manifest file. Not needed for corpora that are generated.",
    )
    recipe = click.option(
        "--recipe", metavar="RECIPE", help="Take sample rate, split and the corpus's options from this recipe."
    )
    return root(recipe(set_option(function)))


@verb("list", "acula-edge data list", "acula-edge data list --json")
@json_option
def list_readers(as_json: bool) -> None:
    """List the corpora that can be read."""
    from acula_edge.cli.console import print_json, print_table
    from acula_edge.data.reader import readers

    rows = []
    for name in readers.names():
        reader = readers[name]
        rows.append({"dataset": name, "generated": reader.makes_corpus, "about": _about(type(reader))})
    if as_json:
        print_json(rows)
    else:
        print_table(["data set", "generated", "about"], [list(row.values()) for row in rows])


@verb(
    "check",
    "acula-edge data check circor --root /data/circor",
    "acula-edge data check manifest --root recordings.csv --json",
)
@click.argument("dataset")
@_corpus_options
@json_option
def check_corpus(
    dataset: str, root: Path | None, recipe: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Read a corpus, decode every recording, split by person; write nothing.

    Contradictions (an id listed twice, a person on two sides of the split) are errors, exit code 2. Recordings that
    cannot be used are listed with the reason; in a run they would be set aside.
    """
    from acula_edge.cli.display import DISPLAY
    from acula_edge.data.prepare import prepare
    from acula_edge.progress import show_progress
    from acula_edge.run import Run

    resolved = _recipe_of_one_corpus(dataset, root, recipe, overrides)
    show_progress(DISPLAY.track, lambda message: None)  # it would name files in the folder that vanishes
    with tempfile.TemporaryDirectory(prefix="acula-edge-") as folder:
        run = Run.create(folder, resolved)
        prepare(resolved, run)
        _print_facts(_facts(run), as_json)


@verb(
    "prepare",
    "acula-edge data prepare circor --root /data/circor",
    "acula-edge data prepare phantom --out runs/phantom --set data.split.fold=1",
)
@click.argument("dataset")
@_corpus_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Folder of the run; default runs/DATASET.",
)
@json_option
def prepare_corpus(
    dataset: str, root: Path | None, recipe: str | None, overrides: tuple[str, ...], out: Path | None, as_json: bool
) -> None:
    """Read, split and decode a corpus into RUN: recordings.jsonl, set_aside.jsonl and the decoded waves.

    acula-edge train --out RUN --resume goes on from there; acula-edge reports write RUN/recordings.jsonl shows the
    reports that alignment would read.
    """
    from acula_edge.cli.console import note
    from acula_edge.data.prepare import prepare
    from acula_edge.errors import InputError
    from acula_edge.run import Run

    resolved = _recipe_of_one_corpus(dataset, root, recipe, overrides)
    run = Run(out or Path("runs") / dataset)
    if run.recipe_path.is_file() and run.recipe.fingerprint() != resolved.fingerprint():
        raise InputError(f"{run.path} already holds a run of another recipe", remedy="choose another folder with --out")
    run = Run.create(run.path, resolved)
    prepare(resolved, run)
    _print_facts(_facts(run), as_json)
    note(f"manifest: {run.recordings_path}")


for _verb in (list_readers, check_corpus, prepare_corpus):
    command.add_command(_verb)


def _recipe_of_one_corpus(dataset: str, root: Path | None, recipe: str | None, overrides: tuple[str, ...]) -> Recipe:
    from dataclasses import replace

    from acula_edge.data.reader import readers
    from acula_edge.recipe import Source, load_recipe

    base = load_recipe(recipe or "auscultation", overrides=overrides)
    source = base.data.sources.get(dataset) or Source(reader=dataset)
    _ = readers[source.reader or dataset]
    if root is not None:
        source = replace(source, root=str(root))
    return replace(base, name=dataset, data=replace(base.data, sources={dataset: source}))


def _facts(run: Any) -> dict[str, Any]:
    import json

    counts = {key: value for key, value in run.manifest["stages"]["data"].items() if key not in ("finished", "waves")}
    lines = run.set_aside_path.read_text(encoding="utf-8").splitlines()
    return {**counts, "set_aside_recordings": [json.loads(line) for line in lines]}


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    from acula_edge.cli.console import print_json, print_line, print_table

    if as_json:
        print_json(facts)
        return
    rows: list[list[object]] = []
    for dataset, counts in facts["datasets"].items():
        rows.append([dataset, "all", counts["recordings"], counts["subjects"], counts["hours"]])
        rows += [["", split, c["recordings"], c["subjects"], c["hours"]] for split, c in counts["splits"].items()]
    columns = ["recordings", "subjects", "hours"]
    print_table(["data set", "split", *columns], rows, numeric=columns)
    aside = facts["set_aside_recordings"]
    if aside:
        print_line()
        print_table(
            ["set aside", "file", "reason"], [[entry["recording"], entry["path"], entry["reason"]] for entry in aside]
        )


def _about(kind: type) -> str:
    """First sentence of the module that holds a reader."""
    text = " ".join((sys.modules[kind.__module__].__doc__ or "").split())
    return text.partition(". ")[0].removesuffix(".").replace("``", "")
