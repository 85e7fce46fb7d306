"""What became of a corpus: counts, tokens, cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from acula_edge.clinical_text.faithfulness import Problem
from acula_edge.clinical_text.writer import Written
from acula_edge.recipe import ReportsConfig


class Summary:
    """Counts of one run over a corpus.

    Attributes:
        total: reports asked for.
        recordings: whose facts could be told.
        reports: written now.
        kept: written by an earlier run.
        rewritten: faithful at the second attempt.
        fallbacks: written by the template instead.
        set_aside: what could not be written, and why.
    """

    def __init__(self, config: ReportsConfig, total: int) -> None:
        self._config = config
        self._started = time.monotonic()
        self.total = total
        self.recordings = self.reports = self.kept = self.rewritten = self.fallbacks = 0
        self.tokens_in = self.tokens_out = 0
        self.problems: Counter[str] = Counter()
        self.set_aside: list[dict[str, Any]] = []

    def put_aside(self, recording: str, reason: str, variant: int | None = None) -> None:
        """Note a row that has no report, by its id."""
        self.set_aside.append({"recording": recording, "variant": variant, "reason": reason})

    def add_tokens(self, written: Written) -> None:
        """Count what an answer took."""
        self.tokens_in += written.tokens_in
        self.tokens_out += written.tokens_out

    def count_problems(self, problems: Sequence[Problem]) -> None:
        """Count what is wrong with a draft."""
        self.problems.update(problem.kind for problem in problems)

    @property
    def cost(self) -> float | None:
        """What the tokens cost, in the currency of the recipe's prices; None where it names none."""
        prices = self._config.http
        if self._config.writer != "http" or prices.price_in is None or prices.price_out is None:
            return None
        return round((self.tokens_in * prices.price_in + self.tokens_out * prices.price_out) / 1e6, 6)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``<name>.summary.json``."""
        elapsed_s = time.monotonic() - self._started
        return {
            "writer": self._config.writer,
            "recordings": self.recordings,
            "reports": self.reports + self.kept,
            "kept": self.kept,
            "rewritten": self.rewritten,
            "fallbacks": self.fallbacks,
            "contradicted": self.problems["contradicted"],
            "invented": self.problems["invented"],
            "missing": self.problems["missing"],
            "set_aside": len(self.set_aside),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
            "elapsed_s": round(elapsed_s, 1),
            "reports_per_s": round(self.reports / elapsed_s, 1) if elapsed_s > 0 else None,
        }
