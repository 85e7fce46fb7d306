"""Texts from outside as a terminal, a log or an id may show them: without characters that act instead of being seen."""

from __future__ import annotations

import unicodedata

# Control characters (escape sequences), halves of characters, line and paragraph separators.
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What turns the direction of writing, so that a text reads otherwise than it is (CVE-2021-42574).
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def acting_character(text: str) -> str | None:
    """The first character that acts rather than shows, escaped; None where there is none."""
    if text.isprintable():
        return None
    return next((_escape(character) for character in text if _acts(character)), None)


def make_plain(text: str, longest: int | None = None) -> str:
    """The text with such characters escaped, all but line breaks and tabs, and its middle left out if it is long."""
    if not text.isprintable():
        text = "".join(_escape(c) if _acts(c) and c not in "\n\t" else c for c in text)
    if longest is not None and len(text) > longest:
        half = longest // 2
        return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
    return text


def is_plain_name(text: str) -> bool:
    """Whether a text can be the name of one file or folder: no path, nothing that acts, not ``.`` or ``..``."""
    return text not in ("", ".", "..") and not set(text) & {"/", "\\"} and acting_character(text) is None


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _CATEGORIES or character in _TURNING


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
