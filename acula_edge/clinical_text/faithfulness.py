"""Is a report faithful? Its claims are compared with its facts: contradicted, invented and missing ones are named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN, FactKind, Facts, Value, dump_facts, load_facts
from acula_edge.clinical_text.lexicon import ASIDE
from acula_edge.clinical_text.reading import NUMBER, Claim, read_claims
from acula_edge.clinical_text.vocabulary import Vocabulary, load_vocabulary

ProblemKind = Literal["contradicted", "invented", "missing"]


@dataclass(frozen=True)
class Problem:
    """One way in which a report departs from its facts.

    Attributes:
        kind: ``contradicted`` (says otherwise), ``invented`` (no fact says it) or ``missing`` (left out).
        fact: name of the fact or finding.
        said: what the report says of it; "" where it is missing.
        true: what the facts say of it; "" where they say nothing.
    """

    kind: ProblemKind
    fact: str
    said: str = ""
    true: str = ""

    def say(self) -> str:
        """One line, for a language model that is to mend it and for the corpus row."""
        name = "a number" if self.fact == NUMBER else self.fact.replace("none:", "").replace("_", " ")
        if self.kind == "missing":
            return f"missing: {name} ({self.true})"
        if self.kind == "invented":
            return f"invented: {name} ({self.said})"
        return f"contradicted: {name} is {self.true}, the report says {self.said}"


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
    facts = _facts_of(dumped)
    text = facts.blank(report)
    claims = read_claims(text)
    if not claims and not facts.expected and text.startswith("No finding is recorded"):
        return ()
    problems = [problem for claim in sorted(claims, key=_order) if (problem := facts.check(claim)) is not None]
    return tuple(dict.fromkeys([*problems, *facts.find_missing(claims, text)]))


@lru_cache(maxsize=4096)
def _facts_of(dumped: str) -> FactCheck:
    return FactCheck(load_facts(json.loads(dumped)), load_vocabulary())


def _order(claim: Claim) -> tuple[str, str, str]:
    return claim.name, claim.value, claim.state


class FactCheck:
    """One set of facts, ready for claims."""

    def __init__(self, facts: Facts, vocabulary: Vocabulary) -> None:
        self.facts, self.vocabulary = facts, vocabulary
        self.states: dict[str, str] = {}
        """By finding or term: present, absent, unknown."""
        self.allowed: dict[str, str] = {}
        """What follows from the facts and need not be said."""
        self.literals: list[str] = []
        """Free text of the facts, whose words need not be known: items of lists."""
        self.texts: list[str] = []
        """And texts that only say where or with what."""
        self.expected: list[str] = []
        for name, value in facts.items():
            self._take(vocabulary.kinds[name], value)
        for kind in vocabulary.kinds.values():
            self._sum_up(kind)
        words = {text: f"qopen{number}" for number, text in enumerate(self.literals)}
        words.update(dict.fromkeys(self.texts, "qtext"))
        self._blank = [
            (re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE), word) for text, word in words.items()
        ]

    def _take(self, kind: FactKind, value: Value) -> None:
        told = kind.of is None or self.facts.get(kind.of) == PRESENT
        if kind.category not in ASIDE and told and not (kind.kind == "choice" and value == UNKNOWN):
            self.expected.append(kind.name)
        if kind.kind == "presence":
            self.states[kind.name] = str(value)
        elif kind.kind == "choice" and value != UNKNOWN:
            words = kind.values[str(value)]
            self.allowed.update({**dict.fromkeys(words.implies, PRESENT), **dict.fromkeys(words.excludes, ABSENT)})
        elif kind.kind == "text":
            self.texts.append(str(value))
        elif kind.kind == "list" and isinstance(value, tuple) and not kind.values:
            for item in value:
                if item in self.vocabulary.terms:
                    self.states.setdefault(item, PRESENT)
                else:
                    self.literals.append(item)

    def _sum_up(self, kind: FactKind) -> None:
        """What a finding says of its members, and they of it."""
        if not kind.members:
            return
        known = [self.states[member] for member in kind.members if member in self.states]
        if self.states.get(kind.name) == ABSENT:
            for member in kind.members:
                self.allowed.setdefault(member, ABSENT)
        if PRESENT in known:
            self.allowed.setdefault(kind.name, PRESENT)
        elif len(known) > 1 and set(known) == {ABSENT}:
            self.allowed.setdefault(kind.name, ABSENT)

    def blank(self, report: str) -> str:
        """The report with the facts' own free text replaced by a word that is understood."""
        for pattern, word in self._blank:
            report = pattern.sub(word, report)
        return report

    def check(self, claim: Claim) -> Problem | None:
        """What is wrong with a claim; None where nothing is."""
        if claim.name == NUMBER:
            return Problem("invented", NUMBER, claim.value)
        if claim.name == "open":
            return Problem("contradicted", "the given text", claim.state, PRESENT) if claim.state != PRESENT else None
        if claim.name.startswith("none:"):
            return self._check_none(claim)
        kind = self.vocabulary.kinds.get(claim.name)
        if kind is None or kind.kind == "presence":
            return self._check_state(claim)
        if kind.kind == "quantity":
            return self._check_number(claim, kind)
        return self._check_choice(claim, kind)

    def _check_state(self, claim: Claim) -> Problem | None:
        true = self.states.get(claim.name) or self.allowed.get(claim.name)
        if true == claim.state:
            return None
        if true is not None:
            return Problem("contradicted", claim.name, claim.state, true)
        if claim.state == ABSENT and self._listed_as_none(claim.name):
            return None
        # A broader term than one that is stated: "COPD" of "mild COPD".
        if any(state == claim.state and name.endswith(f" {claim.name}") for name, state in self.states.items()):
            return None
        return Problem("invented", claim.name, claim.state)

    def _listed_as_none(self, name: str) -> bool:
        return name in self.vocabulary.terms and any(
            self.facts.get(listed) == () for listed in ("diagnosis", "symptoms", "history")
        )

    def _check_choice(self, claim: Claim, kind: FactKind) -> Problem | None:
        true = self.facts.get(kind.name)
        said = claim.value if claim.state == PRESENT else f"{claim.state}: {claim.value}"
        if kind.kind == "list":  # the parts of a site
            stated = true if isinstance(true, tuple) else ()
            if claim.value in stated:
                return None
            return Problem("contradicted" if stated else "invented", kind.name, said, ", ".join(stated))
        if true is None:
            if claim.state != PRESENT or (kind.of and self._denied(kind.of)):
                return None
            return Problem("invented", kind.name, said)
        agrees = claim.value == true
        if claim.state == ABSENT:
            agrees = not agrees
        elif claim.state == UNKNOWN:
            agrees = true == UNKNOWN
        elif claim.value in _parts(str(true)):
            agrees = True
        return None if agrees else Problem("contradicted", kind.name, said, str(true))

    def _denied(self, finding: str) -> bool:
        return (self.states.get(finding) or self.allowed.get(finding)) == ABSENT

    def _check_none(self, claim: Claim) -> Problem | None:
        name = claim.name.removeprefix("none:")
        true = self.facts.get(name)
        if claim.state != PRESENT or true == ():
            return None
        if true is None:
            # "No disease": another list, or a test, may say just that.
            if name == "diagnosis" and (self.facts.get("history") == () or self.facts.get("impression") == ()):
                return None
            return Problem("invented", name, "none")
        return Problem("contradicted", name, "none", _show(true))

    def _check_number(self, claim: Claim, kind: FactKind) -> Problem | None:
        true = self.facts.get(kind.name)
        if true is None or isinstance(true, (str, tuple)):
            return Problem("invented", kind.name, claim.value)
        places = len(claim.value.partition(".")[2])
        rounded = abs(float(claim.value) - round(float(true), places)) < 1e-9 and places >= kind.decimals - 1
        exact = abs(float(claim.value) - round(float(true), kind.decimals)) < 1e-9
        if (rounded or exact) and claim.state == PRESENT:
            return None
        return Problem("contradicted", kind.name, claim.value, _show(true))

    def find_missing(self, claims: set[Claim], text: str) -> list[Problem]:
        """Facts that no claim states."""
        said = {(claim.name, claim.value): claim.state for claim in claims}
        states: Mapping[str, set[str]] = _gather(claims)
        found = []
        for name in self.expected:
            kind, value = self.vocabulary.kinds[name], self.facts[name]
            if kind.kind == "presence":
                missing = not self._is_stated(kind, str(value), states)
            elif kind.kind == "choice":
                missing = said.get((name, str(value))) != PRESENT and not self._is_split(name, str(value), said)
            elif kind.kind == "quantity":
                missing = name not in states
            elif value == UNKNOWN:
                missing = False
            elif value == ():
                missing = f"none:{name}" not in states
            else:
                assert isinstance(value, tuple)
                lost = [item for item in value if not self._is_listed(item, states, text)]
                found += [Problem("missing", name, "", item) for item in lost]
                continue
            if missing:
                found.append(Problem("missing", name, "", _show(value)))
        return found

    def _is_stated(self, kind: FactKind, value: str, states: Mapping[str, set[str]]) -> bool:
        if value in states.get(kind.name, ()):
            return True
        if value == ABSENT:  # "no added sounds" denies wheezes as well
            return any(
                kind.name in parent.members and ABSENT in states.get(parent.name, ())
                for parent in self.vocabulary.kinds.values()
            )
        if value == PRESENT:  # a wheeze is an added sound
            return any(PRESENT in states.get(member, ()) for member in kind.members)
        return False

    @staticmethod
    def _is_split(name: str, value: str, said: Mapping[tuple[str, str], str]) -> bool:
        parts = _parts(value)
        return len(parts) > 1 and all(said.get((name, part)) == PRESENT for part in parts)

    def _is_listed(self, item: str, states: Mapping[str, set[str]], text: str) -> bool:
        if item in self.vocabulary.terms:
            return PRESENT in states.get(item, ())
        return f"qopen{self.literals.index(item)}" in text


def _parts(value: str) -> list[str]:
    """Of a value that joins others: "inspiratory and expiratory"."""
    return value.split(" and ")


def _gather(claims: set[Claim]) -> dict[str, set[str]]:
    states: dict[str, set[str]] = {}
    for claim in claims:
        states.setdefault(claim.name, set()).add(claim.state)
    return states


def _show(value: Value) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
