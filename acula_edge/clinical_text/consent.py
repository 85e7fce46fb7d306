"""Before anything leaves this machine: what would be sent, how much of it, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.clinical_text.fact_selection import may_be_written, select_facts
from acula_edge.clinical_text.facts import dump_facts
from acula_edge.clinical_text.prompt import load_prompt
from acula_edge.clinical_text.rules import RowError
from acula_edge.clinical_text.writer import Job
from acula_edge.clinical_text.writers.http import endpoint_of, request_body
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.recipe import ReportsConfig

SAMPLE = 200
CHARACTERS_PER_TOKEN = 4.0
"""A rule of thumb for English; byte-pair vocabularies give 3.5 to 4.5."""
TOKENS_PER_REPORT = 60
OVERHEAD_TOKENS = 12
"""Of a chat's own marks."""


@dataclass(frozen=True)
class Estimate:
    """What writing a corpus over HTTP will take, before it starts.

    Attributes:
        url: where facts would be sent.
        requests: at least so many; reports that are not faithful are asked for twice.
        tokens_in, tokens_out: about so many.
        cost: in the currency of the recipe's prices; None where it names none.
        example: one request, whole, as it would be sent.
    """

    url: str
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    example: str

    def lines(self) -> list[str]:
        """The estimate in words."""
        cost = (
            "no prices are given (reports.http.price_in, price_out)" if self.cost is None else f"about {self.cost:.2f}"
        )
        return [
            f"Facts of the recordings would be sent to {self.url}",
            f"requests: {self.requests} or more (unfaithful reports are asked for again)",
            f"tokens: about {self.tokens_in} in, {self.tokens_out} out",
            f"cost: {cost}",
            "one request, as it would be sent:",
            self.example,
        ]


def estimate(recordings: Sequence[Recording], config: ReportsConfig, done: int = 0) -> Estimate:
    """Estimate from a sample, spread over the recordings.

    Args:
        done: reports that are written already.

    Raises:
        InputError: no recording has facts that can be told.
    """
    usable = [recording for recording in recordings if may_be_written(recording)]
    prompt = load_prompt(config.prompt)
    bodies = []
    for recording in usable[:: max(1, len(usable) // SAMPLE)]:
        try:
            facts = select_facts(recording, config)
        except RowError:
            continue
        bodies.append(request_body(Job(0, recording.key, 0, facts, dump_facts(facts)), config, prompt))
    if not bodies:
        raise InputError("no recording has facts that a report could state")
    count = max(0, len(usable) * config.variants - done)
    characters = sum(len(message["content"]) for body in bodies for message in body["messages"]) / len(bodies)
    tokens_in = round(count * (characters / CHARACTERS_PER_TOKEN + OVERHEAD_TOKENS))
    tokens_out = count * min(TOKENS_PER_REPORT, config.http.max_tokens)
    prices = config.http.price_in, config.http.price_out
    cost = None
    if prices[0] is not None and prices[1] is not None:
        cost = (tokens_in * prices[0] + tokens_out * prices[1]) / 1e6
    example = json.dumps(bodies[0], indent=2, ensure_ascii=False)
    return Estimate(endpoint_of(config.http), count, tokens_in, tokens_out, cost, example)
