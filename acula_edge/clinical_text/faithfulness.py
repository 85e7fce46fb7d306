"""Is a report faithful? Its claims are compared with its facts: contradicted, invented and missing ones are named."""

from __future__ import annotations

import json
from functools import lru_cache

from acula_edge.clinical_text.facts import Facts, dump_facts, load_facts
from acula_edge.clinical_text.reading import Claim, read_claims
from acula_edge.clinical_text.truth import Problem, Truth
from acula_edge.clinical_text.vocabulary import load_vocabulary

__all__ = ["Problem", "check_report"]


def check_report(facts: Facts, report: str, dumped: str | None = None) -> list[Problem]:
    """Compare a report with its facts; an empty list is a faithful report.

    Args:
        facts: what may be stated, and must be, but for where, with what and of whom it was recorded.
        report: its text.
        dumped: the facts' canonical JSON, if it is at hand.
    """
    return list(_check(dumped or dump_facts(facts), report))


@lru_cache(maxsize=1 << 15)
def _check(dumped: str, report: str) -> tuple[Problem, ...]:
    truth = _truth_of(dumped)
    text = truth.blank(report)
    claims = read_claims(text)
    if not claims and not truth.expected and text.startswith("No finding is recorded"):
        return ()
    problems = [problem for claim in sorted(claims, key=_order) if (problem := truth.check(claim)) is not None]
    return tuple(dict.fromkeys([*problems, *truth.find_missing(claims, text)]))


@lru_cache(maxsize=4096)
def _truth_of(dumped: str) -> Truth:
    return Truth(load_facts(json.loads(dumped)), load_vocabulary())


def _order(claim: Claim) -> tuple[str, str, str]:
    return claim.name, claim.value, claim.state
