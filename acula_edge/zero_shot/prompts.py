"""Prompts: a YAML file of sentences per class of a task, checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.errors import RecipeError, did_you_mean
from acula_edge.files import sha256_json
from acula_edge.probe.tasks import Task, tasks
from acula_edge.shipped import find_prompts
from acula_edge.untrusted.yaml_text import read_yaml


@dataclass(frozen=True)
class Prompts:
    """Sentences per class.

    Attributes:
        name: of the file, without its ending.
        sentences: task id -> one list of sentences per class, in the order of the task's labels.
    """

    name: str
    sentences: dict[str, list[list[str]]]

    @property
    def sha256(self) -> str:
        """Hash of what is asked; comments and order of tasks do not count."""
        return sha256_json(self.sentences)

    @property
    def tasks(self) -> list[Task]:
        """The tasks that have prompts."""
        return [tasks[name] for name in self.sentences]


def load_prompts(name: str | Path) -> Prompts:
    """Read prompts from a file, or shipped ones by name (:func:`acula_edge.shipped.find_prompts`).

    The file maps, under ``tasks``, ids of tasks to classes, named as the task names them, to lists of sentences.

    Raises:
        RecipeError: no such file, not YAML, an unknown task, a regression, a class that is missing, unknown or without
            a sentence, or a sentence that stands for two classes of a task.
    """
    path = find_prompts(name)
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"the prompts {path} cannot be read as YAML", given=error) from error
    listed = values.get("tasks") if isinstance(values, dict) else None
    if not isinstance(listed, dict) or not listed or set(values) != {"tasks"}:
        raise RecipeError(
            f"the prompts {path} must hold one mapping, tasks, with at least one task",
            given=", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__,
            allowed="tasks: {C1: {murmur absent: [a sentence], murmur present: [a sentence]}}",
        )
    return Prompts(path.stem, {str(task): _read_task(str(task), classes, path) for task, classes in listed.items()})


def _read_task(name: str, classes: Any, path: Path) -> list[list[str]]:
    if name not in tasks:
        raise RecipeError(
            f"{path}: there is no task {name}", allowed=tasks.names(), remedy=did_you_mean(name, tasks.names())
        )
    task = tasks[name]
    if task.kind == "regression":
        raise RecipeError(f"{path}: {name} is a regression, which has no classes to write prompts for")
    if not isinstance(classes, Mapping):
        raise RecipeError(f"{path}: {name} must map classes to sentences", given=classes, allowed=task.labels)
    for label in classes:
        if label not in task.labels:
            raise RecipeError(
                f"{path}: {name} has no class {label!r}",
                allowed=[repr(known) for known in task.labels],
                remedy=did_you_mean(str(label), task.labels),
            )
    sentences = [_read_class(f"{path}: {name}, class {label!r}", classes.get(label)) for label in task.labels]
    owners: dict[str, str] = {}
    for label, texts in zip(task.labels, sentences, strict=True):
        for text in texts:
            if owners.setdefault(text.casefold(), label) != label:
                raise RecipeError(
                    f"{path}: {name} gives one sentence to two classes",
                    given=f"{text!r} for {owners[text.casefold()]!r} and {label!r}",
                )
    return sentences


def _read_class(where: str, texts: Any) -> list[str]:
    if isinstance(texts, str):
        texts = [texts]
    if not texts:
        raise RecipeError(f"{where} has no prompt", allowed="at least one sentence")
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise RecipeError(
            f"{where} must list sentences",
            given=texts,
            remedy="put quotation marks around a sentence that holds a colon, or is yes, no or a number",
        )
    return [" ".join(text.split()) for text in texts]
