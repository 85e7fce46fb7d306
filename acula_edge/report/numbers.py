"""Numbers as a reader wants them. What does not exist is a dash, never a zero."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"
_MINUS = "\u2212"
_NBSP = "\u00a0"


def fixed(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number with a fixed number of decimals."""
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS) + (f"{_NBSP}{unit}" if unit else "")


def signed(value: float | None, digits: int = 4, unit: str = "") -> str:
    """A difference; zero has no sign."""
    if value is None:
        return MISSING
    text = fixed(value, digits, unit)
    is_zero = float(f"{value:.{digits}f}") == 0
    return text if value < 0 or is_zero else f"+{text}"


def interval(bounds: Sequence[float] | None, digits: int = 3) -> str:
    """``0.781 to 0.905``; empty where there is none."""
    return "" if bounds is None else f"{fixed(bounds[0], digits)} to {fixed(bounds[1], digits)}"


def signed_interval(bounds: Sequence[float] | None, digits: int = 4) -> str:
    """``−0.0040 to +0.0020``; empty where there is none."""
    return "" if bounds is None else f"{signed(bounds[0], digits)} to {signed(bounds[1], digits)}"


def significant(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number with about `digits` significant digits and no exponent."""
    if value is None:
        return MISSING
    decimals = digits - 1
    magnitude = abs(value)
    while magnitude >= 10 and decimals > 0:
        magnitude /= 10
        decimals -= 1
    while 0 < magnitude < 1 and decimals < digits + 3:
        magnitude *= 10
        decimals += 1
    return fixed(value, decimals, unit)


def milliseconds(value: float | None) -> str:
    """A latency with its unit."""
    return significant(value, 3, "ms")


def times(value: float | None) -> str:
    """A ratio: ``6.1×``."""
    return MISSING if value is None else f"{significant(value, 2 if value < 100 else 3)}×"


def size(count_bytes: float | None) -> str:
    """Bytes in kB or MB (10^3, 10^6)."""
    if count_bytes is None:
        return MISSING
    if count_bytes < 1e3:
        return f"{count_bytes:.0f}{_NBSP}B"
    return significant(count_bytes / 1e3, 3, "kB") if count_bytes < 1e6 else significant(count_bytes / 1e6, 3, "MB")


def count(value: int | None, noun: str = "", plural: str = "") -> str:
    """A whole number with thin groups, and its noun."""
    if value is None:
        return MISSING
    text = f"{value:,}".replace(",", "\u202f")
    if not noun:
        return text
    return f"{text}{_NBSP}{noun if value == 1 else plural or noun + 's'}"


def probability(value: float | None) -> str:
    """A p value; small ones as a bound."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else fixed(value, 3)


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent."""
    return MISSING if value is None else f"{fixed(100 * value, digits)}{_NBSP}%"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f}{_NBSP}s"
    minutes = seconds / 60
    return f"{minutes:.0f}{_NBSP}min" if minutes < 120 else f"{minutes / 60:.1f}{_NBSP}h"


def listing(items: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
