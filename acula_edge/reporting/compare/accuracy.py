"""How good is the very file that was timed? Looked up by its SHA-256, never by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.benchmarking.accuracy import accuracy_of_model
from acula_edge.bundle.layout import BUNDLE_FILE, ROW_OF_FILE, VERIFY_FILE
from acula_edge.bundle.schema import Bundle, Verify
from acula_edge.command_line import command_line
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, sha256_file
from acula_edge.reporting.evidence import read_numbers

Json = dict[str, Any]


@dataclass(frozen=True)
class Accuracy:
    """What is known of one file.

    Attributes:
        tasks: list of ``id, metric, n_subjects, value, ci95``; empty where nothing is known.
        source: where it was found; "" for nowhere.
        reason: why there is none; "" where there is.
    """

    tasks: tuple[Json, ...] = ()
    source: str = ""
    reason: str = ""

    @property
    def mean_auroc(self) -> float | None:
        """Mean over the tasks that are judged by AUROC; None without one."""
        values = [float(task["value"]) for task in self.tasks if task["metric"] == "auroc"]
        return sum(values) / len(values) if values else None


def verified_files(folder: Path) -> dict[str, Accuracy]:
    """Accuracy by SHA-256 of the files of a bundle, of its own ``verify.json``; empty before verification.

    Raises:
        ArtifactError: ``verify.json`` is not the one that ``bundle.json`` lists, or of another schema.
    """
    path = folder / VERIFY_FILE
    if not path.is_file() or not (folder / BUNDLE_FILE).is_file():
        return {}
    files = read_json(folder / BUNDLE_FILE, schema=Bundle.SCHEMA)["files"]
    if files.get(path.name) != sha256_file(path):
        raise ArtifactError(
            f"{path} is not the file that bundle.json lists: it may be of other models",
            remedy=f"verify the bundle again: {command_line('acula-edge', 'verify', folder)}",
        )
    verification = read_numbers(path, Verify.SCHEMA)
    known = {}
    for name, model in ROW_OF_FILE.items():
        found = accuracy_of_model(verification, model)
        if name in files and found["tasks"]:
            known[files[name]] = Accuracy(tuple(found["tasks"]), f"verify.json of {folder.name}")
    return known


def accuracy_of_row(row: Json, benchmark: Json, verified: dict[str, Accuracy]) -> Accuracy:
    """Accuracy of what one measurement ran: of the same file's ``verify.json``, else as the benchmark noted it."""
    if row.get("sha256") in verified:
        return verified[row["sha256"]]
    if row.get("stage") == "frontend":
        return Accuracy(reason="a front end by itself decides nothing")
    noted = row.get("accuracy") or {}
    if noted.get("tasks"):
        return Accuracy(tuple(noted["tasks"]), "noted when it was measured")
    for pair in benchmark.get("comparisons") or []:
        for side in ("reference", "candidate"):
            if pair.get(side) == row.get("artifact"):
                tasks = [
                    {key: task.get(key) for key in ("id", "metric", "n_subjects")} | task[side]
                    for task in (pair.get("accuracy") or {}).get("tasks") or []
                    if task.get(side)
                ]
                if tasks:
                    return Accuracy(tuple(tasks), "noted when it was measured")
    return Accuracy(reason=str(noted.get("reason") or "no verify.json of this file was given"))
