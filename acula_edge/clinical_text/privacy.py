"""What may never enter a report: columns that name a person, and text that looks like it does."""

from __future__ import annotations

import re

from acula_edge.errors import InputError

IDENTIFYING = frozenset({
    "account", "address", "birth", "birthdate", "birthday", "clinic", "date", "dob", "doctor", "email", "fax", "file",
    "filename", "firstname", "forename", "guid", "hospital", "id", "ids", "initials", "insurance", "ip", "lastname",
    "license", "mail", "mobile", "mrn", "name", "nhs", "operator", "passport", "path", "phone", "physician", "postal",
    "postcode", "ssn", "street", "surname", "telephone", "time", "timestamp", "url", "uuid", "zip", "zipcode",
})  # fmt: skip
MAX_TEXT = 80
_SUSPECT = re.compile(
    r"""\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}      # dates and their like
      | \b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+\d{1,4}\b
      | \b(?:19|20)\d{2}\b                    # a year
      | \d{6,}                                # numbers of a record or a telephone
      | \+?\d[\d ()-]{7,}\d
      | \S+@\S+ | https?://
      | \b(?:mr|mrs|ms|dr|prof)\.?\s+[A-Z]""",
    re.IGNORECASE | re.VERBOSE,
)


def check_column(column: str, where: str) -> None:
    """Refuse a column whose name says that it identifies a person.

    Raises:
        InputError: it does; a report must not state it.
    """
    words = set(column.casefold().split("_"))
    if found := words & IDENTIFYING:
        raise InputError(
            f"{where}: the column {column!r} looks like one that identifies a person",
            given=", ".join(sorted(found)),
            remedy="take it out of the mapping; if it holds something else, rename the column",
        )


def is_suspect(text: str) -> bool:
    """Whether free text looks like a date, a number of a record or a telephone, an address or a person's name."""
    return len(text) > MAX_TEXT or _SUSPECT.search(text) is not None
