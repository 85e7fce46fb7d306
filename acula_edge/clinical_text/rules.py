"""One rule and one cell to one fact: spellings, numbers, lists, ages; what is not understood sets the row aside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN, FactKind, Value
from acula_edge.clinical_text.privacy import is_suspect
from acula_edge.clinical_text.vocabulary import Vocabulary, load_vocabulary
from acula_edge.errors import InputError

NONE = "none"
_YES = {"1", "1.0", "yes", "true", "present", "y"}
_NO = {"0", "0.0", "no", "false", "absent", "n", "none"}
_UNITS = {"years": 1.0, "year": 1.0, "y": 1.0, "months": 1 / 12, "month": 1 / 12, "weeks": 7 / 365.25,
          "week": 7 / 365.25, "days": 1 / 365.25, "day": 1 / 365.25}  # fmt: skip
_BANDS = ((28 / 365.25, "neonate"), (1, "infant"), (12, "child"), (18, "adolescent"), (40, "young adult"),
          (65, "middle-aged adult"))  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One way to one fact; see :mod:`acula_edge.clinical_text.mapping`."""

    fact: str
    column: str | None = None
    value: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    patterns: dict[str, Any] = field(default_factory=dict)
    when: dict[str, Any] = field(default_factory=dict)
    split: str | None = None
    scale: float = 1.0
    bands: bool = False


class RowError(InputError):
    """A row whose cell cannot be understood; the message names the column, never what it holds."""


def read_single(kind: FactKind, rule: Rule, raw: Any) -> Value | None:
    """The fact in a cell; None where it is mapped to nothing. Raises :class:`RowError` where it is not understood."""
    if rule.column is None:
        return str(raw)
    text = str(raw).strip()
    if rule.values and text.casefold() in rule.values:
        mapped = rule.values[text.casefold()]
        return None if mapped is None else str(mapped)
    if kind.kind == "quantity":
        try:
            return round(float(text) * rule.scale, 6)
        except ValueError:
            raise _not_understood(rule, "no number") from None
    if kind.kind == "text":
        return _safe(text, rule)
    if kind.kind == "presence" and not rule.values:
        folded = text.casefold()
        if folded in _YES | _NO | {UNKNOWN}:
            return PRESENT if folded in _YES else ABSENT if folded in _NO else UNKNOWN
    if kind.kind == "choice":
        if text.casefold() == UNKNOWN:
            return UNKNOWN
        if (found := spellings(kind.name).get(text.casefold())) is not None:
            return found
    raise _not_understood(rule, "a value that is not in the mapping")


def read_items(kind: FactKind, rule: Rule, raw: Any, vocabulary: Vocabulary) -> list[str]:
    """The items of a list in a cell; see :func:`read_single`."""
    if rule.column is None:
        return [str(item) for item in (raw if isinstance(raw, list) else [raw])]
    items: list[str] = []
    text = str(raw).strip()
    parts = text.split(rule.split) if rule.split and text.casefold() not in rule.values else [text]
    for part in (piece.strip() for piece in parts):
        folded = part.casefold()
        if rule.values and folded in rule.values:
            mapped = rule.values[folded]
            items += [str(item) for item in (mapped if isinstance(mapped, list) else [mapped]) if item is not None]
        elif folded in (NONE, UNKNOWN):
            items.append(folded)
        elif (found := spellings(kind.name).get(folded)) is not None:
            items.append(found)
        elif kind.open:
            items.append(_safe(part, rule))
        else:
            raise _not_understood(rule, "a value that is not in the mapping")
    return items


@cache
def spellings(name: str) -> dict[str, str]:
    """Values of a choice or list by every spelling that the vocabulary has for them."""
    vocabulary = load_vocabulary()
    kind = vocabulary.kinds[name]
    spelled: dict[str, str] = {}
    for value, words in {
        **(vocabulary.terms if kind.kind == "list" and not kind.values else {}),
        **kind.values,
    }.items():
        spelled[value.casefold()] = value
        for said in (*words.one, *words.many, *words.mass, *words.adjective):
            spelled.setdefault(said.casefold(), value)
        for pattern in words.read:
            spelled.setdefault(pattern.replace("\\(", "(").replace("\\)", ")").casefold(), value)
    return spelled


def _safe(text: str, rule: Rule) -> str:
    if is_suspect(text):
        raise _not_understood(rule, "free text that looks like a date, a number of a record or a name")
    return text


def put_age(facts: dict[str, Value], raw: Any, rule: Rule, exact: bool) -> None:
    """An age in years, "20 months", "50-59", or a band's name, as a band; and exactly, where that is asked for."""
    if raw is None or raw == "":
        return
    text = str(raw).strip().casefold()
    if rule.values and text in rule.values:
        if (mapped := rule.values[text]) is not None:
            facts["age"] = str(mapped)
        return
    if text in spellings("age"):
        facts["age"] = spellings("age")[text]
        return
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*-\s*(\d+))?\s*([a-z]*)", text)
    if found is None or (found[3] and found[3] not in _UNITS):
        raise _not_understood(rule, "no age")
    years = float(found[1]) * _UNITS.get(found[3] or "years", 1.0) * rule.scale
    facts["age"] = next((name for limit, name in _BANDS if years < limit), "older adult")
    if exact and found[2] is None:
        facts["age_years"] = round(years, 2)


def _not_understood(rule: Rule, what: str) -> RowError:
    return RowError(f"column {rule.column!r} holds {what} (fact {rule.fact})")
