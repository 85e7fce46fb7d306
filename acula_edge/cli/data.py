"""acula-edge data list|check|prepare|reports|phantom"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acula_edge.cli.command import verb, verb_family
from acula_edge.cli.data_list import list_tasks
from acula_edge.cli.data_reports import write_reports
from acula_edge.cli.options import json_option, set_option
from acula_edge.command_line import command_line

if TYPE_CHECKING:
    from acula_edge.recipe import Recipe
    from acula_edge.run import Run


@verb_family(
    "data",
    "acula-edge data list --under /data",
    "acula-edge data check circor --root /data/circor",
    "acula-edge data phantom icbhi --out /tmp/icbhi",
)
def command() -> None:
    """Corpora: the 18 tasks and their data, what is wrong with a copy, splits by person, reports, rehearsal copies."""


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
    """Read a corpus, compare it with the complete release, decode every recording, split it; write nothing.

    Counts that differ from the release's are shown beside them. Contradictions (an id listed twice, a person on two
    sides of the split) are errors, exit code 2. Recordings that cannot be used are listed with the reason; in a run
    they would be set aside.
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
        _print_facts(_facts(run, resolved.data.sources[dataset].reader or dataset), as_json)


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

    acula-edge train --out RUN --resume goes on from there; acula-edge data reports RUN/recordings.jsonl shows the
    reports that alignment would read.
    """
    from acula_edge.cli.console import note
    from acula_edge.data.prepare import prepare
    from acula_edge.errors import InputError
    from acula_edge.folder_lock import locked
    from acula_edge.run import Run

    resolved = _recipe_of_one_corpus(dataset, root, recipe, overrides)
    run = Run(out or Path("runs") / dataset)
    if run.recipe_path.is_file() and run.recipe.fingerprint() != resolved.fingerprint():
        raise InputError(f"{run.path} already holds a run of another recipe", remedy="choose another folder with --out")
    with locked(run.path, "data prepare"):
        run = Run.create(run.path, resolved)
        prepare(resolved, run)
    _print_facts(_facts(run, resolved.data.sources[dataset].reader or dataset), as_json)
    note(f"manifest: {run.recordings_path}")


@verb(
    "phantom",
    "acula-edge data phantom icbhi --out /tmp/releases/icbhi",
    "acula-edge data phantom all --out /tmp/releases --subjects 40",
)
@click.argument("dataset")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Folder to make."
)
@click.option("--subjects", type=int, default=None, help="About how many persons; default 60.")
@click.option("--duration", "duration_s", type=float, default=None, help="Mean length of a recording; default 4 s.")
@click.option("--seed", type=int, default=None, help="Equal seeds give equal files; default 0.")
def make_miniature(dataset: str, out: Path, subjects: int | None, duration_s: float | None, seed: int | None) -> None:
    """Make a miniature release of DATASET: its folders, file names and tables, with generated sound.

    The reader of the data set reads it like the real one, and every report says that it is generated. "all" makes
    one of each, in folders of their names.
    """
    from acula_edge.cli.console import print_line
    from acula_edge.data.miniature import MiniatureConfig, miniatures, write_miniature
    from acula_edge.progress import track

    given = {"subjects": subjects, "duration_s": duration_s, "seed": seed}
    config = MiniatureConfig(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    if dataset != "all":
        write_miniature(dataset, out, config)
        see = command_line("acula-edge", "data", "check", dataset, "--root", out)
        print_line(f"{out}: generated sound in the layout of {dataset}; see {see}")
        return
    for name in track(miniatures.names(), "making miniature releases"):
        write_miniature(name, out / name, config)
    see = command_line("acula-edge", "data", "list", "--under", out)
    print_line(f"{out}: {', '.join(miniatures.names())}; see {see}")


for _verb in (list_tasks, check_corpus, prepare_corpus, write_reports, make_miniature):
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


def _facts(run: Run, reader: str) -> dict[str, Any]:
    from acula_edge.data.catalogue import compare_with_release
    from acula_edge.data.reader import readers
    from acula_edge.untrusted.texts import parse_json, read_lines

    counts = {key: value for key, value in run.manifest["stages"]["data"].items() if key not in ("finished", "waves")}
    corpus = readers[reader].corpus
    compared = compare_with_release(corpus, run.recordings()) if corpus is not None else []
    return {
        **counts,
        "against_release": [vars(row) for row in compared],
        "set_aside_recordings": [parse_json(line) for line in read_lines(run.set_aside_path)],
    }


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    from acula_edge.cli.console import note, print_json, print_line, print_table
    from acula_edge.data.guard import describe_guard
    from acula_edge.data.leaks import Leak

    if as_json:
        print_json(facts)
        return
    rows: list[list[object]] = []
    for dataset, counts in facts["datasets"].items():
        rows.append([dataset, "all", counts["recordings"], counts["subjects"], counts["hours"]])
        rows += [["", split, c["recordings"], c["subjects"], c["hours"]] for split, c in counts["splits"].items()]
    columns = ["recordings", "subjects", "hours"]
    print_table(["data set", "split", *columns], rows, numeric=columns)
    compared = [[row["what"], row["expected"], row["found"]] for row in facts["against_release"]]
    if compared:
        print_line()
        columns = ["release", "here"]
        print_table(["", *columns], compared, title="Against the complete release", numeric=columns)
    for name, partition in facts.get("partition", {}).items():
        kind = "the source's own" if partition["exact"] else "a stand-in of the same kind"
        print_line(f"published partition of {name}: {partition['source']} ({kind})")
    for leak in facts.get("leaks", ()):
        print_line(f"leak: {Leak(**{**leak, 'sides': tuple(leak['sides'])})}")
    if facts["persons"]["normalized"]:
        print_line(f"ids in more than one Unicode form, each one person: {facts['persons']['normalized']}")
    for sentence in describe_guard(facts.get("guard")):
        print_line(sentence)
    for warning in facts.get("warnings", ()):
        note(f"warning: {warning}")
    aside = facts["set_aside_recordings"]
    if aside:
        print_line()
        print_table(
            ["set aside", "file", "reason"], [[entry["recording"], entry["path"], entry["reason"]] for entry in aside]
        )
