"""The one interface of writers: jobs in, texts out, in whatever order they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from acula_edge.clinical_text.facts import Facts
from acula_edge.recipe import ReportsConfig
from acula_edge.registry import Registry


@dataclass(frozen=True)
class Job:
    """One report to write.

    Attributes:
        position: of its row in the corpus.
        recording: the recording's key. Never sent to a model.
        variant: which of its reports.
        facts: what may be stated.
        dumped: their canonical JSON.
        reasons: why the first attempt was not faithful; () for a first attempt.
        rejected: what the first attempt was.
    """

    position: int
    recording: str
    variant: int
    facts: Facts
    dumped: str
    reasons: tuple[str, ...] = ()
    rejected: str = ""


@dataclass(frozen=True)
class Written:
    """What became of a job.

    Attributes:
        text: the report; None where none could be had.
        failure: why not; names no metadata.
        tokens_in, tokens_out: what was read and written for it.
    """

    job: Job
    text: str | None
    failure: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


Pull = Callable[[], "Job | None"]
"""The next job, or None where there is none at the moment: once an answer is handed over there may be one again."""


class Writer(Protocol):
    """Writes reports."""

    def write(self, pull: Pull) -> Iterator[Written]:
        """Take jobs as there is room for them and yield each as it is done, until no job is left."""
        ...


writers: Registry[Callable[[ReportsConfig], Writer]] = Registry(
    "report writer", package="acula_edge.clinical_text.writers"
)
