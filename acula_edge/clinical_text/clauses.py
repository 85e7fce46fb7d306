"""Clauses of a sentence, and what their cues make of the terms in them.

The text comes with its terms blanked out (control characters), so that a cue inside a term is none.
"""

from __future__ import annotations

import re

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN

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
        start: place in the sentence.
    """

    def __init__(self, text: str, start: int) -> None:
        self.text, self.start, self.end = text, start, start + len(text)
        self._open = _OPEN.search(text) is not None
        self._last_after = max((cue.start() for cue in _AFTER.finditer(text)), default=-1)
        self._before = [cue.end() for cue in _BEFORE.finditer(text)]

    def state_of(self, start: int, end: int) -> str:
        """What the cues make of a term at that place of the sentence."""
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
