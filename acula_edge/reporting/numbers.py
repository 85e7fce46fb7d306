"""Numbers as a reader wants them. What does not exist is a dash, never a zero."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"
_MINUS = "\u2212"
_NBSP = "\u00a0"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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


def with_interval(value: str, bounds: str) -> str:
    """``0.842 (0.781 to 0.905)``, or ``0.842 (no interval)``."""
    return f"{value} ({bounds or 'no interval'})"


def signed_interval(bounds: Sequence[float] | None, digits: int = 4) -> str:
    """``−0.0040 to +0.0020``; empty where there is none."""
    return "" if bounds is None else f"{signed(bounds[0], digits)} to {signed(bounds[1], digits)}"


def significant(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number with `digits` significant digits; below 0.0001 as a power of ten, so that nothing small looks like 0."""
    if value is None:
        return MISSING
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if exponent < -4:
        text = f"{mantissa.replace('-', _MINUS)}{_NBSP}×{_NBSP}10{str(exponent).translate(_RAISED)}"
        return text + (f"{_NBSP}{unit}" if unit else "")
    return fixed(value, max(0, digits - 1 - exponent), unit)


def milliseconds(value: float | None) -> str:
    """A latency with its unit."""
    return significant(value, 3, "ms")


def times(value: float | None) -> str:
    """A ratio: ``6.12×``."""
    return MISSING if value is None else f"{significant(value)}×"


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


def capitalized(text: str) -> str:
    """The same with a capital first letter."""
    return text[:1].upper() + text[1:]


def listing(items: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
