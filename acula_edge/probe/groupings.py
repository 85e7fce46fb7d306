"""Groups of recordings by what metadata say of the person, the device and the site."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ADULT_YEARS, ELDERLY_YEARS = 18, 65

PLAIN_COLUMNS = ("sex", "device", "stethoscope_filter", "acquisition_mode", "location", "site", "channel")

_AGE = re.compile(r"(?P<amount>\d+(\.\d+)?) (?P<unit>day|month|year)s?")
_UNITS_PER_YEAR = {"day": 365.25, "month": 12.0, "year": 1.0}


def groupings(metadata: Sequence[Mapping[str, Any]]) -> dict[str, list[str | None]]:
    """Groupings that the metadata of recordings allow.

    Args:
        metadata: [R], each recording's columns.

    Returns:
        Column (``age_band`` for age) -> [R] group of each recording, None where it is not known; columns that say
        nothing of any recording are left out.
    """
    found: dict[str, list[str | None]] = {
        column: [_text(facts.get(column)) for facts in metadata] for column in PLAIN_COLUMNS
    }
    found["age_band"] = [age_band(facts.get("age")) for facts in metadata]
    return {column: groups for column, groups in found.items() if any(group is not None for group in groups)}


def age_band(age: Any) -> str | None:
    """``child`` below 18 years, ``adult`` below 65, else ``elderly``.

    Numbers are years; texts such as ``10 months`` are converted; other texts are bands already (CirCor, BMD-HS's
    decades) and stay as they are.

    >>> age_band("10 months"), age_band(65), age_band("Infant")
    ('child', 'elderly', 'Infant')
    """
    if isinstance(age, str):
        match = _AGE.fullmatch(age.strip().casefold())
        if match is None:
            return _text(age)
        age = float(match["amount"]) / _UNITS_PER_YEAR[match["unit"]]
    if isinstance(age, bool) or not isinstance(age, (int, float)) or not age >= 0:
        return None
    return "child" if age < ADULT_YEARS else "adult" if age < ELDERLY_YEARS else "elderly"


def _text(value: Any) -> str | None:
    """A group's name; numbers and yes/no columns are codes, which are groups as well."""
    if value is None or (isinstance(value, float) and not value.is_integer()):
        return None
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    return text or None
