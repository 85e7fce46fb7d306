"""What a report claims: findings, their descriptions, diseases and numbers, each present, absent or unknown.

After NegEx (Chapman et al. 2001): words of the vocabulary are looked up, longest first; a sentence falls into clauses;
cues before a term ("no", "without", "free of") or after it ("is absent", "was ruled out") deny it within its clause,
others ("cannot be excluded", "whether") leave it open. What the vocabulary does not know is not read.

Sentences are divided with their terms blanked out (control characters), so that a cue inside a term is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

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


_BREAK = re.compile(
    r"[;()]|\s[-–—]\s|\b(?:but|however|although|though|whereas|while|yet|except|apart from|nevertheless|instead)\b"
    r"|,? (?=which\b)|\bwith (?=\x01+ (?:is|are) )"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|hears?|heard|reveals?|revealed|shows?|showed|present|audible|noted|detected|"
    r"there|denies|denied|reports?|reported|remains?|sounds?|absent|suffers?|exclude[sd]?|discloses?|demonstrates?|"
    r"found|appreciated)\b"
)
_PIECE = re.compile(r",\s+(?:and |or |nor )?|\s+and\s+(?=(?:an?|the|no|there|it|one|auscultation|whether)\b)")
_OPEN = re.compile(
    r"(?:can|could)(?:not|n't|'t| not) (?:be )?(?:\w+ )?(?:excluded?|ruled out|confirmed|judged|assessed|determined|"
    r"decided|said|established|evaluated)|"
    r"(?:can |could )?neither (?:be )?confirm(?:ed)? nor (?:be )?(?:excluded?|ruled out|den(?:y|ied))|"
    r"\b(?:un(?:certain|clear|known|determined|decided|sure)|indeterminate|inconclusive|equivocal|questionable|doubtful|doubt|"
    r"whether|possibl[ey]|probabl[ey]|suspected|suspicion|may|might|perhaps|suggest(?:s|ive)|likely|unlikely)\b|"
    r"not possible to|does not allow|do not allow|not allow|leaves? (?:open|the question)|remains? open|no decision|"
    r"(?:is|are|was|were) (?:left )?open\b|cannot tell|hard to (?:say|judge)|no statement"
)
_BEFORE = re.compile(
    r"\bno(?! (?:change|increase|longer|other|further|additional)\b)\b|\bnot(?! only\b)\b|\bnor\b|"
    r"\bneither\b|\bnever\b|\bwithout\b|\bfree (?:of|from)\b|\bdevoid of\b|\babsence of\b|"
    r"\black(?:s|ing)?(?: of)?\b|\bnegative for\b|"
    r"\bden(?:y|ies|ied)\b|\bnone of\b|\brule[sd]? out\b|\bexclude[sd]?\b|\bfail(?:s|ed) to\b|\bunable to\b|"
    r"\bcan(?:not|'t)\b|\bnothing to suggest\b|\bno longer\b|\bdoes(?:n't| not)\b|\bis(?:n't)\b|\bare(?:n't)\b"
)
_AFTER = re.compile(
    r"\babsent\b|\b(?:is|are|was|were|be|been|being)(?: \w+)? not (?:be )?(?:\w+ )?"
    r"(?:heard|audible|present|detect(?:ed|able)|noted|found|seen|appreciated|observed|reported|evident|perceived|"
    r"recorded|there|identified|made out)\b|"
    r"\b(?:could|can) ?not be (?:heard|detected|found|appreciated|made out|identified)\b|"
    r"\b(?:is|are|was|were)n't (?:heard|audible|present|detected|noted|found)\b|"
    r"\b(?:ruled out|excluded|denied|negative|lacking|missing)\b|(?<=\x01): (?:no|none|negative|nil)\b|"
    r"\bdo(?:es)? not (?:occur|exist|accompany)\b|\bnot (?:heard|audible|present|detected|noted|found)\b|"
    r"(?<=\x01)-free\b"
)
_ROW_END = re.compile(r"\b(?:or|nor|and)\b")


class Clause:
    """A stretch of a sentence whose cues bear on its own terms only.

    Args:
        text: with its terms blanked out.
        start: offset in the sentence.
    """

    def __init__(self, text: str, start: int) -> None:
        self.text, self.start, self.end = text, start, start + len(text)
        self._open = _OPEN.search(text) is not None
        self._last_after = max((cue.start() for cue in _AFTER.finditer(text)), default=-1)
        self._before = [cue.end() for cue in _BEFORE.finditer(text)]

    def state_of(self, start: int, end: int) -> str:
        """What the cues make of a term at that offset of the sentence."""
        start, end = start - self.start, end - self.start
        if self._open:
            return UNKNOWN
        if self._last_after >= end or any(cue <= start and self._reaches(cue, start) for cue in self._before):
            return ABSENT
        return PRESENT

    def _reaches(self, cue: int, term: int) -> bool:
        """Whether a denial goes on to the term: a comma ends it, unless the terms form a row that a word closes."""
        if "," not in self.text[cue:term]:
            return True
        verb = _VERB.search(self.text, cue)
        row = self.text[cue : verb.start() if verb and verb.start() > term else len(self.text)]
        return _ROW_END.search(row) is not None


def divide(text: str) -> list[Clause]:
    """Clauses of a sentence: at stops and conjunctions, and at commas and "and" between two finite verbs."""
    clauses: list[Clause] = []
    position = 0
    for stop in [*_BREAK.finditer(text), None]:
        end = len(text) if stop is None else stop.start()
        clauses += _split_at_commas(text, position, end)
        position = end if stop is None else stop.end()
    return clauses


def _split_at_commas(text: str, start: int, end: int) -> list[Clause]:
    clauses: list[Clause] = []
    begun = start
    for mark in _PIECE.finditer(text, start, end):
        before = text[begun : mark.start()]
        following = _PIECE.split(text[mark.end() : end], maxsplit=1)[0]
        if "\x01" in before and _VERB.search(before) and _VERB.search(following):
            if mark.group().strip(", ") in ("or", "nor"):  # one denial in several pieces
                continue
            clauses.append(Clause(before, begun))
            begun = mark.end()
    clauses.append(Clause(text[begun:end], begun))
    return clauses
