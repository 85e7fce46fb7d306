"""Facts with an error planted in them, by which the faithfulness check is measured.

A report of altered facts, compared with the true ones, is a report with an error; so is a report of the true facts
compared with altered ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN, FactKind, Facts, Value
from acula_edge.clinical_text.lexicon import ASIDE
from acula_edge.clinical_text.vocabulary import load_vocabulary

KINDS = ("polarity", "certainty", "description", "place", "number", "disease", "added", "dropped")
_FLIPPED = {PRESENT: ABSENT, ABSENT: PRESENT}
_ADDED = ("wheeze", "crackles", "stridor", "murmur", "pleural_rub")


def plant_errors(facts: Facts) -> Iterator[tuple[str, dict[str, Value]]]:
    """Every altered version of the facts, one error each, with the kind of the error (:data:`KINDS`)."""
    kinds = load_vocabulary().kinds
    for name, value in facts.items():
        kind = kinds[name]
        if kind.kind == "presence" and value in _FLIPPED and kind.values[PRESENT].nouns:
            flipped = _FLIPPED[str(value)]
            described = {other for other in facts if kinds[other].of == name} if flipped == ABSENT else set()
            yield "polarity", {n: flipped if n == name else v for n, v in facts.items() if n not in described}
            yield "certainty", {n: UNKNOWN if n == name else v for n, v in facts.items() if n not in described}
        for error, other in _others(kind, value):
            yield error, {**facts, name: other}
        told = kind.of is None or facts.get(kind.of) == PRESENT
        if kind.category not in ASIDE and len(facts) > 1 and value != UNKNOWN and told:
            lost = {name} | {other for other in facts if kinds[other].of == name}
            yield "dropped", {n: v for n, v in facts.items() if n not in lost}
    for name in _ADDED:
        if name not in facts and not _follows(name, facts):
            yield "added", {**facts, name: PRESENT}


def _others(kind: FactKind, value: Value) -> Iterator[tuple[str, Value]]:
    if kind.kind == "choice" and value in kind.values and kind.category != "demographic":
        others = [other for other in kind.values if other != value and str(value) not in other]
        if others:
            yield "place" if kind.category == "site" else "description", others[len(str(value)) % len(others)]
    elif kind.kind == "quantity" and isinstance(value, (int, float)):
        yield "number", float(value) + 13 * 10**-kind.decimals
    elif kind.kind == "list" and not kind.values and isinstance(value, tuple):
        known = {item.casefold() for item in value}
        other = next(item for item in ("pneumonia", "asthma", "bronchitis") if item not in known)
        yield "disease", (other, *value[1:]) if value else (other,)


def _follows(name: str, facts: Facts) -> bool:
    """Whether the facts speak of the finding already, under another name."""
    return name == "murmur" and "diastolic_murmur" in facts
