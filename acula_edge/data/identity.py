"""One person under one id, however tables and programs spell it.

Two spellings that look alike to a reader are one person without a question: composed and decomposed Unicode, full-width
digits, invisible characters, blanks at the ends (:func:`normalize_id`). Spellings that differ by what spreadsheets,
keyboards and typists change are a *guess* (:func:`similar_id`): case, zeros in front, ``101.0``, ``1e2``, ``1,234``, a
quotation mark that kept a cell text, a blank, underscore or any dash for one another, digits of another script, letters
of another alphabet that look the same. The recipe decides about guesses, and by default they are joined: a wrong join
costs a person, a missed one lets the test set leak.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from acula_edge.data.manifest import Recording
from acula_edge.errors import ManifestError

SimilarIds = Literal["join", "distinct", "refuse"]

_SHOWN = 5
_WHOLE_NUMBER = re.compile(r"\d+(\.\d+)?[e]\+?\d{1,2}")
_DIGITS_FOR_ID = 18
# Drawn as nothing, as category Cf is: joiners, fillers, variation selectors (Default_Ignorable_Code_Point), and the
# empty Braille pattern.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
# Word processors turn hyphens and quotation marks; Cyrillic and Greek keyboards write capitals that look Latin, a
# Turkish one another i. Letters here are in lower case.
_LOOK_ALIKE = str.maketrans(
    '\u2212\u2018\u2019\u201a\u201c\u201d\u201e\u2032\u02bc`"' + "авекмнорстухіјѕ" + "αβεζηικμνορτυχ" + "ı",
    "-" + 10 * "'" + "abekmhopctyxijs" + "abezhikmnoptyx" + "i",
)


def normalize_id(text: str) -> str:
    """The spelling under which an id is kept: NFKC, without invisible characters, blanks single and inside only.

    >>> normalize_id(" Zoe\\u0301\\u200b \\uff17")
    'Zoé 7'
    """
    visible = "".join(c for c in _UNSEEN.sub("", text) if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def cell_id(text: str | None) -> str:
    """The id in a cell of a release's table, to look others up by: :func:`normalize_id`, and 101 where a program that
    reads numbers wrote 101.0. No release has ids with a fraction; a user's own may, so this is none of theirs.

    >>> cell_id(" 2530.0 ")
    '2530'
    """
    return re.sub(r"^(\d+)\.0+$", r"\1", normalize_id(text or ""))


def similar_id(text: str) -> str:
    """Equal for ids that may be one person's: :func:`normalize_id` without case, zeros in front, float and cell forms,
    with Latin letters, digits and hyphens for what looks like them.

    >>> [similar_id(text) for text in ("P007", "p7", "101.0", "1.01e2", "1,234", "'7", "a b", "a_b")]
    ['p7', 'p7', '101', '101', '1234', '7', 'a-b', 'a-b']
    """
    # A capital I with a dot has a small form of two characters.
    text = normalize_id(normalize_id(text).casefold()).replace("i\u0307", "i").translate(_LOOK_ALIKE)
    text = "".join(_plain_sign(c) for c in text).strip("'")
    if re.fullmatch(r"\d{1,3}([,']\d{3})+(\.0+)?", text):
        text = re.sub("[,']", "", text)
    if _WHOLE_NUMBER.fullmatch(text):
        mantissa, _, exponent = text.partition("e")
        whole, _, fraction = mantissa.partition(".")
        if len(fraction.rstrip("0")) <= int(exponent) <= _DIGITS_FOR_ID:
            text = whole + fraction.rstrip("0").ljust(int(exponent), "0")
    text = re.sub(r"(?<=\d)[.,]0+$", "", text) if text.count(".") + text.count(",") == 1 else text
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text)
    return re.sub(r"[\s_-]+", "-", text)


def _plain_sign(character: str) -> str:
    if unicodedata.category(character) == "Pd":
        return "-"
    return str(unicodedata.decimal(character, character))


@dataclass(frozen=True)
class Identified:
    """Recordings whose ``subject`` is one id per person.

    Attributes:
        recordings: in the order given.
        normalized: ids that were another Unicode form, or differently blank, of one that is there too.
        alike: [[ids that may be one person's], ...]: the guesses, all of them, each as it was spelled.
        warnings: what a user should look at, one sentence each; ids only.
    """

    recordings: list[Recording]
    normalized: int
    alike: list[list[str]]
    warnings: list[str]


def identify_persons(recordings: Sequence[Recording], similar: SimilarIds = "join") -> Identified:
    """Give all recordings of one person the same ``subject``.

    Args:
        similar: what becomes of ids that differ by a guess: they are joined (and named in a warning), kept distinct
            (and named), or refused.

    Raises:
        ManifestError: `similar` is ``"refuse"`` and there are such ids, a data set is spelled in two ways and they are
            not to be distinct, or an id has no visible character.
    """
    warnings = _compare_datasets(recordings, similar)
    first: dict[tuple[str, str], Recording] = {}
    spellings: dict[tuple[str, str], set[str]] = {}
    groups: dict[tuple[str, str], set[str]] = {}
    for recording in recordings:
        own = _own_id(recording)
        person = normalize_id(own)
        if not person:
            raise ManifestError(f"the recording {recording.key} has a subject id without a visible character")
        spellings.setdefault((recording.dataset, person), set()).add(own)
        groups.setdefault((recording.dataset, similar_id(own)), set()).add(person)
        first.setdefault((recording.dataset, person), recording)
    guesses = {key: sorted(ids, key=_shortest_first) for key, ids in sorted(groups.items()) if len(ids) > 1}
    named = [_name_rows(dataset, ids, first) for (dataset, _), ids in guesses.items()]
    if guesses and similar == "refuse":
        raise ManifestError(
            f"{len(guesses)} persons seem to have more than one spelling of their id",
            given=_list_some(named),
            remedy="mend the ids, or decide: --set data.similar_ids=join (one person) or =distinct (different persons)",
        )
    person_of = {(key[0], person): ids[0] for key, ids in guesses.items() for person in ids if similar == "join"}
    identified = []
    for recording in recordings:
        person = normalize_id(_own_id(recording))
        subject = f"{recording.dataset}/{person_of.get((recording.dataset, person), person)}"
        identified.append(recording if subject == recording.subject else replace(recording, subject=subject))
    if guesses:
        taken, other = ("one person", "distinct") if similar == "join" else ("different persons", "join")
        warnings.append(
            f"{len(guesses)} ids are there in several spellings, taken for {taken}: {_list_some(named)}. "
            f"If that is wrong: --set data.similar_ids={other}, or mend the ids"
        )
    normalized = sum(len(found) - 1 for found in spellings.values())
    alike = [[f"{dataset}/{person}" for person in ids] for (dataset, _), ids in guesses.items()]
    return Identified(identified, normalized, alike, warnings)


def _own_id(recording: Recording) -> str:
    return recording.subject.removeprefix(f"{recording.dataset}/")


def _compare_datasets(recordings: Sequence[Recording], similar: SimilarIds) -> list[str]:
    """Persons are compared within a data set, so its name must have one spelling as well; a warning for those that do
    not and are said to be distinct."""
    names: dict[str, list[str]] = {}
    for dataset in dict.fromkeys(recording.dataset for recording in recordings):
        names.setdefault(similar_id(dataset), []).append(dataset)
    warnings = []
    for found in names.values():
        if len(found) == 1:
            continue
        spelled = " and ".join(map(repr, sorted(found)))
        if similar != "distinct":
            raise ManifestError(
                "a data set is spelled in more than one way, so that its persons would count twice",
                given=spelled,
                remedy="give all rows of a data set one spelling, or, if they are different data sets: "
                "--set data.similar_ids=distinct",
            )
        warnings.append(f"data sets of similar names are taken for different ones, their persons as well: {spelled}")
    return warnings


def _shortest_first(text: str) -> tuple[int, str]:
    return len(text), text


def _name_rows(dataset: str, ids: Iterable[str], first: dict[tuple[str, str], Recording]) -> str:
    return " and ".join(f"{person!r} ({first[dataset, person].key})" for person in ids)


def _list_some(named: Sequence[str]) -> str:
    return "; ".join(named[:_SHOWN]) + (f"; and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
