"""From facts to clauses: frames, words and orders are drawn; every clause states its facts and nothing else.

A clause is a function of a stream of draws. What can be said of a set of facts is worked out once
(:func:`plan_clauses`), then drawn from for every report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from acula_edge.clinical_text.draws import Draws
from acula_edge.clinical_text.facts import (
    ABSENT,
    PRESENT,
    UNKNOWN,
    FactKind,
    Facts,
    Wording,
    format_quantity,
    load_facts,
)
from acula_edge.clinical_text.noun_phrases import Description, NounPhrase, agree, join
from acula_edge.clinical_text.vocabulary import Vocabulary, load_vocabulary
from acula_edge.files import sha256_text
from acula_edge.untrusted.yaml_text import read_yaml

FILE = Path(__file__).with_name("phrasing.yaml")
Clause = Callable[[Draws], str]


@dataclass(frozen=True)
class Plan:
    """What can be said of one set of facts.

    Attributes:
        clauses: one per statement.
        site: number of the clause that states the site; None where there is none, or no finding that it could open.
        opened: number of the finding's clause that the site may open.
        prefixes: how it opens it.
    """

    clauses: Sequence[Clause]
    site: int | None
    opened: int
    prefixes: Clause | None


@cache
def load_frames() -> Mapping[str, Sequence[str]]:
    """The frames of phrasing.yaml by their kind."""
    frames: dict[str, list[str]] = read_yaml(FILE)
    return frames


def frames_fingerprint() -> str:
    """SHA-256 of the frames."""
    return sha256_text(FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def plan_clauses(dumped: str) -> Plan:
    """Everything that is said of the facts in canonical JSON (:func:`acula_edge.clinical_text.facts.dump_facts`)."""
    import json

    return _Planner(load_facts(json.loads(dumped)), load_vocabulary(), load_frames()).plan()


class _Planner:
    def __init__(self, facts: Facts, vocabulary: Vocabulary, frames: Mapping[str, Sequence[str]]) -> None:
        self.facts, self.vocabulary, self.frames = facts, vocabulary, frames

    def plan(self) -> Plan:
        absent = [kind for kind in self.vocabulary.kinds.values() if self._is_absent(kind)]
        clauses: list[Clause] = [self._absent(absent)] if absent else []
        site, prefix, opened = None, None, 0 if absent else None
        for kind in self.vocabulary.kinds.values():
            if kind.name not in self.facts or (kind.of and self.facts.get(kind.of) == PRESENT):
                continue
            value = self.facts[kind.name]
            if kind.category == "demographic" or not (clause := self._clause(kind, value)):
                continue
            if kind.prefixes and value != UNKNOWN:
                site, prefix = len(clauses), self._framed(kind, value, kind.prefixes)
            elif opened is None and kind.category == "finding" and not kind.elsewhere:
                opened = len(clauses)
            clauses.append(clause)
        if person := self._person():
            clauses.append(person)
        return Plan(clauses, None if opened is None else site, opened or 0, prefix)

    def _is_absent(self, kind: FactKind) -> bool:
        """Whether it is a noun that is denied, so that it can be denied together with others."""
        return self.facts.get(kind.name) == ABSENT and bool(kind.values[PRESENT].nouns)

    def _clause(self, kind: FactKind, value: Any) -> Clause | None:
        if kind.kind == "presence":
            if not kind.values[PRESENT].nouns:
                return _any_of(kind.values[str(value)].clauses)
            return self._present(kind) if value == PRESENT else self._unknown(kind) if value == UNKNOWN else None
        if value == UNKNOWN:
            return _any_of(kind.unknown) if kind.unknown else None
        if kind.kind == "list" and not value:
            return _any_of(self.vocabulary.none[kind.name].clauses)
        if kind.kind == "choice" and kind.values[value].clauses:
            return _any_of(kind.values[value].clauses)
        return self._framed(kind, value, kind.frames) if kind.frames else None

    def _framed(self, kind: FactKind, value: Any, frames: Sequence[str]) -> Clause:
        if kind.kind == "list":
            order = list(kind.values)
            items = sorted(value, key=order.index) if kind.joined else value
            said = [_nouns(self.vocabulary.terms.get(item)) or [item] for item in items]

            def put_list(draws: Draws) -> str:
                frame = draws.one_of(frames)
                if kind.joined:
                    return frame.replace("{x}", kind.joined.join(words[0] for words in said))
                return frame.replace("{x}", join([draws.one_of(words) for words in draws.ordered(said)], "and"))

            return put_list
        if kind.kind == "quantity":
            words = [format_quantity(float(value), kind.decimals)]
        elif kind.kind == "text":
            words = [str(value)]
        else:
            words = _nouns(kind.values[value]) or [str(value)]
        return lambda draws: draws.one_of(frames).replace("{x}", draws.one_of(words))

    def _present(self, kind: FactKind) -> Clause:
        words = kind.values[PRESENT]
        described = [
            Description(other.values[str(self.facts[other.name])], other.last, other.final)
            for other in self.vocabulary.describing(kind.name)
            if self.facts.get(other.name, UNKNOWN) != UNKNOWN
        ]
        phrase = NounPhrase(words, described)
        frames = kind.frames or self.frames["present"]
        predicates = self.frames["predicate"] if len(described) > 1 else []

        def say(draws: Draws) -> str:
            noun = draws.one_of(words.nouns)
            number = draws.below(len(frames) + len(predicates))
            if number < len(frames):
                return phrase.put(frames[number], noun, draws)
            return phrase.predicate(predicates[number - len(frames)], noun, draws)

        return say

    def _absent(self, kinds: Sequence[FactKind]) -> Clause:
        nouns = [kind.values[PRESENT].nouns for kind in kinds]
        if len(kinds) == 1:
            clauses = kinds[0].values[ABSENT].clauses
            frames = self.frames["absent"]

            def say_one(draws: Draws) -> str:
                number = draws.below(len(frames) + len(clauses))
                if number >= len(frames):
                    return clauses[number - len(frames)]
                return agree(frames[number], draws.one_of(nouns[0]))

            return say_one

        def say_none(draws: Draws) -> str:
            frame = draws.one_of(self.frames["none_of"])
            chosen = [draws.one_of(words) for words in draws.ordered(nouns)]
            names = [noun for noun, _ in chosen]
            last = "is" if chosen[-1][1] != "many" else "are"
            return (
                frame.replace("{nor}", " nor ".join(names))
                .replace("{or}", join(names, "or"))
                .replace("{and}", join(names, "and"))
                .replace("@is", last)
            )

        return say_none

    def _unknown(self, kind: FactKind) -> Clause:
        nouns, clauses = kind.values[PRESENT].nouns, kind.values[UNKNOWN].clauses
        frames = self.frames["unknown"]

        def say(draws: Draws) -> str:
            number = draws.below(len(frames) + len(clauses))
            if number >= len(frames):
                return clauses[number - len(frames)]
            return agree(frames[number], draws.one_of(nouns))

        return say

    def _person(self) -> Clause | None:
        stated = {
            kind.name: self.facts[kind.name]
            for kind in self.vocabulary.kinds.values()
            if kind.category == "demographic" and self.facts.get(kind.name, UNKNOWN) != UNKNOWN
        }
        if not stated:
            return None
        kinds = self.vocabulary.kinds
        nouns = kinds["age"].values[str(stated["age"])] if "age" in stated else Wording(one=("person",))
        described = [Description(kinds["sex"].values[str(stated["sex"])])] if "sex" in stated else []
        phrase = NounPhrase(nouns, described)
        exact = self._framed(kinds["age_years"], stated["age_years"], kinds["age_years"].frames) if (
            "age_years" in stated
        ) else None  # fmt: skip

        def say(draws: Draws) -> str:
            person = phrase.put(draws.one_of(self.frames["person"]), draws.one_of(nouns.nouns), draws)
            return f"{person}, {exact(draws)}" if exact else person

        return say


def _any_of(clauses: Sequence[str]) -> Clause | None:
    return None if not clauses else lambda draws: draws.one_of(clauses)


def _nouns(words: Wording | None) -> list[str]:
    return [noun for noun, _ in words.nouns] if words else []
