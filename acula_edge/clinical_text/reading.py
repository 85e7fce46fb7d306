"""What a report claims: findings, their descriptions, diseases and numbers, each present, absent or unknown.

After NegEx (Chapman et al. 2001): words of the vocabulary are looked up, longest first; a sentence falls into clauses;
cues before a term ("no", "without", "free of") or after it ("is absent", "was ruled out") deny it within its clause,
others ("cannot be excluded", "whether") leave it open. What the vocabulary does not know is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from acula_edge.clinical_text.clauses import Clause, divide
from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN
from acula_edge.clinical_text.lexicon import Lexicon, Mention, load_lexicon

NUMBER = "#number"
"""Name of a claim whose value is a number that no quantity of the vocabulary explains."""


@dataclass(frozen=True)
class Claim:
    """One thing that a report says.

    Attributes:
        name: a finding, a term, a choice or quantity, or ``none:<list>`` for a list that is said to be empty.
        value: of a choice or quantity (as it is written); "" otherwise.
        state: present, absent or unknown.
    """

    name: str
    value: str
    state: str


def read_claims(report: str) -> set[Claim]:
    """Everything that a report claims, as far as the vocabulary goes."""
    claims: set[Claim] = set()
    for sentence in split_sentences(report.replace("(-)", " absent").replace("(+)", " present")):
        context: tuple[str, ...] = ()
        for part in _PART_END.split(sentence):
            found, named = _read_part(part, context)
            claims.update(found)
            context = named or context
    return claims


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])|\n+")
_PART_END = re.compile(r"(?<=;)\s+")


def split_sentences(report: str) -> list[str]:
    """Sentences of a report; the point of a number ends none."""
    return [text for text in _SENTENCE_END.split(report) if text.strip()]


@lru_cache(maxsize=100_000)
def _read_part(part: str, context: tuple[str, ...]) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """Claims of a sentence, or of what a semicolon ends, and the findings that it names; `context`: those before."""
    lexicon = load_lexicon()
    low = part.casefold()
    mentions = list(lexicon.find(low))
    masked = list(low)
    for mention in mentions:
        masked[mention.start : mention.end] = "\x01" * (mention.end - mention.start)
    text = "".join(masked)
    claims: list[Claim] = []
    for clause in divide(text):
        inside = [mention for mention in mentions if clause.start <= mention.start < clause.end]
        claims += _read_clause(clause, inside, mentions, context, lexicon, low)
    claims += [Claim(NUMBER, number, PRESENT) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text)]
    named = dict.fromkeys(m.entry.names[0] for m in mentions if m.entry.kind == "finding")
    return tuple(dict.fromkeys(claims)), tuple(name for name in named if name in lexicon.described)


def _read_clause(
    clause: Clause,
    mentions: list[Mention],
    sentence: list[Mention],
    context: tuple[str, ...],
    lexicon: Lexicon,
    low: str,
) -> list[Claim]:
    claims: list[Claim] = []
    cue = lexicon.elsewhere.search(clause.text)
    own_words = low[clause.start : clause.end]
    scoped = [name for name, pattern in lexicon.scoped.items() if re.search(pattern, own_words)]
    told_elsewhere = False
    for mention in mentions:
        entry = mention.entry
        state = entry.state or (PRESENT if entry.aside else clause.state_of(mention.start, mention.end))
        name = entry.names[0]
        if entry.kind == "finding":
            name = next((scope for scope in scoped if lexicon.plain_of(scope) == name), name)
            if cue and entry.state is None and name in lexicon.elsewhere_of:
                name, told_elsewhere = lexicon.elsewhere_of[name], True
            claims.append(Claim(name, "", state))
        elif entry.kind == "choice":
            owner = _choose(mention, mentions, sentence, context, lexicon, scoped, low)
            if owner is not None:
                claims.append(Claim(owner, entry.value, state))
        else:
            claims.append(Claim(name, mention.number if entry.kind == "quantity" else entry.value, state))
    if cue and not told_elsewhere:
        for plain, name in lexicon.elsewhere_of.items():
            if plain in context or any(plain in mention.entry.names for mention in sentence):
                claims.append(Claim(name, "", clause.state_of(clause.start + cue.start(), clause.start + cue.end())))
    return claims


def _choose(
    mention: Mention,
    clause: list[Mention],
    sentence: list[Mention],
    context: tuple[str, ...],
    lexicon: Lexicon,
    scoped: list[str],
    low: str,
) -> str | None:
    """Which choice a description is: that of the nearest finding; None where the nearest cannot be so described."""
    owners = {lexicon.owner[name]: name for name in mention.entry.names}
    if None in owners:
        return owners[None]
    for scope in scoped:
        if scope in owners:  # in this clause the plain noun means the scoped finding
            owners[lexicon.plain_of(scope)] = owners[scope]
    follows = low.startswith(("on ", "during ", "in ", "of ", "with ", "at ", "throughout "), mention.start)
    for pool in (clause, sentence):
        nouns = [noun for noun in pool if noun.entry.kind == "finding"]
        for noun in sorted(nouns, key=lambda noun: _distance(mention, noun, follows)):
            if noun.entry.names[0] in owners:
                return owners[noun.entry.names[0]]
        if nouns:
            return None
    return next((owners[name] for name in context if name in owners), mention.entry.names[0])


def _distance(mention: Mention, noun: Mention, follows: bool) -> float:
    """Characters between them; a noun on the wrong side of its description is four times as far."""
    if noun.start >= mention.end:
        return (noun.start - mention.end) * (4 if follows else 1)
    return (mention.start - noun.end) * (1 if follows else 4)


__all__ = ["ABSENT", "NUMBER", "PRESENT", "UNKNOWN", "Claim", "read_claims", "split_sentences"]
