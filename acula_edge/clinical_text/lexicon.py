"""Words of the vocabulary, ready to be found in a text: the longest that fits at each word.

Patterns are filed under the letters that they begin with, so that few of them are tried at each word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from acula_edge.clinical_text.facts import PRESENT, FactKind
from acula_edge.clinical_text.vocabulary import Vocabulary, load_vocabulary

_WORD = re.compile(r"(?<![\w/-])\w")
ASIDE = frozenset({"site", "context", "device", "demographic"})
"""Categories that say where, how and of whom, not what: a report that lacks them lacks no finding."""
_NUMBER = r"(\d+(?:\.\d+)?)"
_ELSEWHERE = re.compile(
    r"\belsewhere\b|"
    r"\b(?:at|over) (?:an)?other (?:auscultation )?(?:sites?|areas?|points?|locations?|places?|positions?)\b|"
    r"\b(?:an)?other (?:auscultation )?(?:sites?|areas?|points?|locations?)\b"
)


@dataclass(frozen=True)
class Entry:
    """What a pattern stands for.

    Attributes:
        kind: ``finding`` (or a term), ``choice``, ``quantity``, ``none`` or ``open``.
        names: of the finding, or of the choices that it may describe.
        value: of a choice.
        state: of a whole statement, which no cue changes; None for what cues bear on.
        pattern: compiled.
        aside: whether it says where, how or of whom: no denial is meant for it.
    """

    kind: str
    names: tuple[str, ...]
    value: str
    state: str | None
    pattern: re.Pattern[str]
    aside: bool = False


@dataclass(frozen=True)
class Mention:
    """An entry at a place in a text; `number` is what a quantity was said to be."""

    entry: Entry
    start: int
    end: int
    number: str


class Lexicon:
    """Every word of a vocabulary.

    Attributes:
        owner: finding that each choice describes, or None.
        described: findings that have descriptions, or of which there may be others elsewhere.
        scoped: findings to which a description belongs where the clause matches their scope.
        elsewhere_of: by finding, the one that stands for it at other sites.
        elsewhere: cue for that.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.owner = {kind.name: kind.of for kind in vocabulary.kinds.values()}
        self.described = {owner for owner in self.owner.values() if owner} | {
            kind.elsewhere for kind in vocabulary.kinds.values() if kind.elsewhere
        }
        self.scoped = {kind.name: kind.scope for kind in vocabulary.kinds.values() if kind.scope}
        self.elsewhere_of = {kind.elsewhere: kind.name for kind in vocabulary.kinds.values() if kind.elsewhere}
        self.elsewhere = _ELSEWHERE
        self._filed: dict[str, list[Entry]] = {}
        for entry in self._entries():
            for letters in _beginnings(entry.pattern.pattern):
                self._filed.setdefault(letters, []).append(entry)

    def plain_of(self, scope: str) -> str:
        """The finding whose words a scoped one shares: ``murmur`` for ``diastolic_murmur``."""
        return scope.rpartition("_")[2]

    def find(self, text: str) -> Iterator[Mention]:
        """Entries in a case-folded text, longest first, none inside another."""
        position = 0
        for word in _WORD.finditer(text):
            start = word.start()
            if start < position:
                continue
            best: tuple[Entry, re.Match[str]] | None = None
            for letters in (text[start : start + 2], text[start], "#" if text[start].isdigit() else ""):
                for entry in self._filed.get(letters, ()):
                    found = entry.pattern.match(text, start)
                    if found and (best is None or found.end() > best[1].end()):
                        best = entry, found
            if best is not None:
                entry, match = best
                position = match.end()
                yield Mention(entry, start, position, match[1] if entry.kind == "quantity" else "")

    def _is_aside(self, name: str) -> bool:
        kind = self.vocabulary.kinds.get(name)
        return kind is not None and kind.kind != "presence" and kind.category in ASIDE

    def _entries(self) -> list[Entry]:
        """One per pattern; a pattern that describes several findings has all their names."""
        found: dict[tuple[str, str, str, str | None], list[str]] = {}

        def add(pattern: str, kind: str, name: str, value: str = "", state: str | None = None) -> None:
            names = found.setdefault((pattern.casefold(), kind, value, state), [])
            if name not in names:
                names.append(name)

        for kind in self.vocabulary.kinds.values():
            _add_kind(kind, add)
        for name, words in self.vocabulary.terms.items():
            for noun in words.one:
                for said in {noun, re.sub("^an? ", "", noun)}:
                    add(_literal(said), "finding", name)
            for pattern in words.read:
                add(pattern, "finding", name)
        for name, words in self.vocabulary.none.items():
            for clause in words.clauses:
                add(_literal(clause), "none", f"none:{name}", state=PRESENT)
            for pattern in words.read:
                denies = pattern.startswith(("no ", "den"))
                add(pattern, "none", f"none:{name}", state=PRESENT if denies else None)
        add(r"qopen\d+", "open", "open")
        return [
            Entry(kind, tuple(names), value, state, _compile(pattern), self._is_aside(names[0]))
            for (pattern, kind, value, state), names in found.items()
        ]


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(" ?", r"\s*").replace(" ", r"\s+") + r"(?!\w)")


class _Add(Protocol):
    def __call__(self, pattern: str, kind: str, name: str, value: str = "", state: str | None = None) -> None: ...


def _add_kind(kind: FactKind, add: _Add) -> None:
    for pattern in kind.read:
        add(pattern.replace("{n}", _NUMBER), "quantity", kind.name)
    for value, words in kind.values.items():
        said = [*words.one, *words.many, *words.mass, *words.adjective, *words.after]
        if kind.kind == "presence":
            for clause in words.clauses:
                add(_literal(clause), "finding", kind.name, state=value)
            for pattern in [*map(_literal, said), *words.read]:
                add(pattern, "finding", kind.name)
        else:
            for clause in words.clauses:
                add(_literal(clause), "choice", kind.name, value, PRESENT)
            for pattern in [*map(_literal, said), *words.read]:
                add(pattern, "choice", kind.name, value)


def _literal(text: str) -> str:
    """A pattern for just this text; spaces stay as they are."""
    return re.escape(text).replace(r"\ ", " ")


def _beginnings(pattern: str) -> set[str]:
    """The one or two characters that every match begins with; "#" for a number."""
    pattern = re.sub(r"^(?:\\b|\(\?<[!=][^)]*\))", "", pattern)
    if pattern.startswith(r"(\d"):
        return {"#"}
    if pattern.startswith("(?:"):
        close = _closing(pattern)
        rest = pattern[close + 1 :]
        optional = rest[:1] == "?"
        rest = rest[1:] if optional else rest
        found = set().union(*(_beginnings(part + rest) for part in _alternatives(pattern[3:close])))
        return found | (_beginnings(rest) if optional else set())
    run = ""
    position = 0
    while position < len(pattern) and len(run) < 3:
        letter = pattern[position]
        if letter == "\\" and not pattern[position + 1].isalnum():
            position += 1
            letter = pattern[position]
        elif letter == "\\" or not (letter.isalnum() or letter in "-/"):
            break
        run += letter
        position += 1
    if pattern[position : position + 1] in ("?", "*", "{"):
        run = run[:-1]
    if not run:
        raise ValueError(f"the vocabulary's pattern {pattern!r} begins with no letter")
    return {run[:2]}


def _closing(pattern: str) -> int:
    depth = 0
    for position, letter in enumerate(pattern):
        if pattern[position - 1 : position] == "\\":
            continue
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return position
    raise ValueError(f"the vocabulary's pattern {pattern!r} is not closed")


def _alternatives(pattern: str) -> list[str]:
    parts, depth = [""], 0
    for letter in pattern:
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


@cache
def load_lexicon() -> Lexicon:
    """The lexicon of the vocabulary that ships."""
    return Lexicon(load_vocabulary())
