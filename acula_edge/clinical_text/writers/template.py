"""Reports composed from frames, words and orders that are drawn by seed: no model, no network.

Every set of facts has a pool of phrasings; a recording's key draws its own from it. Recordings of the same facts thus
share phrasings, which keeps what a language model has to read within bounds, however many recordings there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from acula_edge.clinical_text.draws import Draws
from acula_edge.clinical_text.phrasing import Plan, plan_clauses
from acula_edge.clinical_text.writer import Job, Pull, Written, writers
from acula_edge.recipe import ReportsConfig

NOTHING = "No finding is recorded."
MAX_SENTENCES = 3


def write_reports(dumped: str, seed: int, recording: str, variants: int, pool: int) -> list[str]:
    """Reports of one recording; distinct as long as its facts have more phrasings.

    Args:
        dumped: the facts' canonical JSON.
        seed, recording: decide which phrasings of the pool are drawn.
        variants: how many; more of them keep the first.
        pool: phrasings of one set of facts.
    """
    if not plan_clauses(dumped).clauses:
        return [NOTHING] * variants
    reports: list[str] = []
    repeated: list[str] = []
    # Numbers of phrasings, drawn without replacement (Fisher and Yates); beyond the pool, in order.
    draws, taken = Draws(f"{seed}/{recording}"), dict[int, int]()
    for number in range(max(pool, 2 * variants)):
        if number < pool:
            drawn = number + draws.below(pool - number)
            phrasing, taken[drawn] = taken.get(drawn, drawn), taken.get(number, number)
        else:
            phrasing = number
        report = phrase(dumped, seed, phrasing)
        (repeated if report in reports else reports).append(report)
        if len(reports) == variants:
            return reports
    return (reports + repeated + reports * variants)[:variants]


@lru_cache(maxsize=1 << 16)
def phrase(dumped: str, seed: int, number: int) -> str:
    """One phrasing of a set of facts."""
    return write_one(plan_clauses(dumped), Draws(f"{seed}/{dumped}/{number}"))


def write_one(plan: Plan, draws: Draws) -> str:
    """One report of one to three sentences."""
    clauses = list(plan.clauses)
    if plan.site is not None and plan.prefixes is not None and draws.below(2):
        # The site opens the statement of a finding instead of standing alone.
        found, prefix = clauses[plan.opened], plan.prefixes(draws)
        clauses[plan.opened] = lambda drawn: prefix + found(drawn)
        clauses.pop(plan.site)
    said = [clause(draws) for clause in draws.ordered(clauses)]
    count = min(len(said), MAX_SENTENCES)
    if count == len(said) > 1 and draws.below(4) == 0:
        count -= 1
    # Clauses are dealt to sentences in turn; the first take what is left over.
    sentences, start = [], 0
    for number in range(count):
        size = -(-(len(said) - start) // (count - number))
        sentences.append("; ".join(said[start : start + size]))
        start += size
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in sentences)


class TemplateWriter:
    """See :class:`acula_edge.clinical_text.writer.Writer`. Equal seeds give equal reports, byte for byte."""

    def __init__(self, config: ReportsConfig) -> None:
        self._config = config
        self._key = ""
        self._reports: list[str] = []

    def write(self, pull: Pull) -> Iterator[Written]:
        """One report per job; jobs of one recording follow one another."""
        while (job := pull()) is not None:
            yield Written(job, self.text(job))

    def text(self, job: Job) -> str:
        """The report of one job."""
        key = f"{self._config.seed}/{job.recording}/{job.dumped}"
        if key != self._key:
            self._key = key
            config = self._config
            self._reports = write_reports(job.dumped, config.seed, job.recording, config.variants, config.pool)
        return self._reports[job.variant]


writers.register("template", TemplateWriter)
