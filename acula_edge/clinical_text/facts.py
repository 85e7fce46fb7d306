"""What is known of a recording, as typed clinical facts: the one thing that reports may state.

A fact's value is text (a choice or a presence), a number (a quantity) or a tuple of texts (a list; the empty tuple says
that it is known to be empty). :data:`UNKNOWN` says that the source itself does not know; a fact that is not there at
all is missing, and nothing may be said of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

UNKNOWN = "unknown"
PRESENT = "present"
ABSENT = "absent"

Value = str | float | tuple[str, ...]
Facts = Mapping[str, Value]

Kind = Literal["presence", "choice", "list", "quantity", "text"]


@dataclass(frozen=True)
class Wording:
    """Words of one value or finding.

    Attributes:
        one, many, mass: nouns: "a murmur", "crackles", "wheezing".
        adjective, after: how a description stands before and after its noun.
        clauses: whole statements.
        read: regular expressions that are understood, never written.
        implies, excludes: findings that are present, or absent, wherever this is so.
    """

    one: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    mass: tuple[str, ...] = ()
    adjective: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @property
    def nouns(self) -> list[tuple[str, str]]:
        """Noun and its number: ``one``, ``many`` or ``mass``."""
        return [(noun, number) for number in ("one", "many", "mass") for noun in getattr(self, number)]


@dataclass(frozen=True)
class FactKind:
    """One kind of fact in the vocabulary.

    Attributes:
        name: its name.
        kind: presence, choice, list, quantity or text (taken word for word).
        category: finding, site, diagnosis, history, symptom, measurement, spirometry, demographic, device or context.
        values: words of each value of a choice or list; of a presence, under ``present``, its nouns, and statements
            under ``absent`` and ``unknown``.
        of: the finding that a choice describes.
        elsewhere: the finding whose presence at other sites this is.
        members: findings that this one sums up.
        frames: how a value, ``{x}``, is said.
        prefixes: how a value opens a sentence.
        unknown: what is said where the value is unknown.
        read: of a quantity, regular expressions in which ``{n}`` is the number.
        open: whether values outside the vocabulary are taken word for word.
        last, final: whether a description is the last adjective, and whether it closes the statement.
        scope: what a clause must match for its descriptions to belong to this finding.
        unit, decimals: of a quantity.
        joined: between the values of a list; "" for a comma and "and".
    """

    name: str
    kind: Kind
    category: str
    values: Mapping[str, Wording] = field(default_factory=dict)
    of: str | None = None
    elsewhere: str | None = None
    members: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    open: bool = False
    last: bool = False
    final: bool = False
    scope: str | None = None
    unit: str = ""
    decimals: int = 1
    joined: str = ""


def dump_facts(facts: Facts) -> str:
    """Canonical JSON: equal facts give equal text. The key of grouping, of caches, and what a corpus row holds."""
    return json.dumps(dict(sorted(facts.items())), separators=(",", ":"), ensure_ascii=False)


def load_facts(values: Mapping[str, Any]) -> dict[str, Value]:
    """Facts of a corpus row's JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def format_quantity(value: float, decimals: int) -> str:
    """A number as reports state it: at most `decimals` places, no trailing zeros."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
