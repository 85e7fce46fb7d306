"""acula-edge data list"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option

if TYPE_CHECKING:
    from acula_edge.data.catalogue import Copy
    from acula_edge.probe.tasks import Task


@verb("list", "acula-edge data list", "acula-edge data list --under /data", "acula-edge data list --json")
@click.option(
    "--under",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="ACULA_EDGE_DATA",
    metavar="DIR",
    help="Folder that holds one folder per data set, named as in the list; default the variable ACULA_EDGE_DATA.",
)
@json_option
def list_tasks(under: Path | None, as_json: bool) -> None:
    """List the tasks, which of their data are on this machine, and how to get the rest."""
    from acula_edge.cli.console import print_json, print_line, print_table
    from acula_edge.data.catalogue import find_copies
    from acula_edge.probe.tasks import sort_key, tasks

    copies = {copy.corpus.name: copy for copy in find_copies(under)}
    chosen = [tasks[name] for name in sorted(tasks, key=sort_key)]
    if as_json:
        print_json(
            {"datasets": [_describe_copy(copy) for copy in copies.values()], "tasks": [_describe(t) for t in chosen]}
        )
        return
    for title, published in (("The 18 tasks", True), ("Further tasks", False)):
        rows = [
            [t.id, t.name, t.metric.upper(), t.evaluation, t.dataset, _presence(copies.get(t.dataset))]
            for t in chosen
            if t.published is published
        ]
        print_table(["task", "", "metric", "evaluation", "data set", "data"], rows, title=title)
        print_line()
    corpora = [
        [name, copy.corpus.sound, copy.corpus.recordings, _presence(copy)]
        for name, copy in copies.items()
        if copy.corpus.alignment_only
    ]
    print_table(
        ["data set", "sound", "recordings", "data"], corpora, title="For alignment only", numeric=["recordings"]
    )
    print_line()
    absent = [copy for copy in copies.values() if copy.folder is None and not copy.generated]
    if absent:
        print_table(
            ["data set", "licence", "how to get it"],
            [[copy.corpus.name, copy.corpus.licence, copy.corpus.access] for copy in absent],
            title=f"Not found under {under}"
            if under
            else "Where the data are to be had (--under DIR looks for copies)",
        )
        print_line(
            "acula-edge data phantom DATASET --out DIR makes a small copy with generated sound, to rehearse with."
        )


def _presence(copy: Copy | None) -> str:
    if copy is None:
        return "no reader"
    if copy.folder is not None:
        return f"{copy.folder}{' (generated)' if copy.miniature else ''}"
    return "made on first use" if copy.generated else "-"


def _describe_copy(copy: Copy) -> dict[str, Any]:
    corpus = copy.corpus
    return {
        "dataset": corpus.name,
        "title": corpus.title,
        "sound": corpus.sound,
        "licence": corpus.licence,
        "access": corpus.access,
        "layout": list(corpus.layout),
        "recordings": corpus.recordings,
        "subjects": corpus.subjects,
        "generated": copy.generated,
        "folder": None if copy.folder is None else str(copy.folder),
        "miniature": copy.miniature,
    }


def _describe(task: Task) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "id": task.id,
        "name": task.name,
        "dataset": task.dataset,
        "sound": task.sound,
        "target": task.target_text,
        "metric": task.metric,
        "kind": task.kind,
        "labels": list(task.labels),
        "unit": task.unit,
        "evaluation": task.evaluation,
        "protocol": task.protocol,
        "window": task.window,
        "margin": task.margin,
        "published_probe": asdict(task.published_probe) if task.published_probe else None,
        "published_split": asdict(task.published_split) if task.published_split else None,
        "licence": task.licence,
        "access": task.access,
        "assumed": task.assumed,
        "published": task.published,
        "note": task.note,
    }
