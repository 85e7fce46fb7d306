"""Numbers that a configuration may not fall below, beside the fields they belong to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import ClassVar

from acula_edge.errors import InputError


class Bounded:
    """Base of dataclasses whose numbers have limits; a field that is None has none.

    Attributes:
        at_least: smallest value that is allowed, by field.
        above: value that a field must exceed.
        below: value that a field must not reach.
    """

    at_least: ClassVar[Mapping[str, float]] = {}
    above: ClassVar[Mapping[str, float]] = {}
    below: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        self._check(self.at_least, "at least", operator.ge)
        self._check(self.above, "above", operator.gt)
        self._check(self.below, "below", operator.lt)

    def _check(self, limits: Mapping[str, float], phrase: str, holds: Callable[[float, float], bool]) -> None:
        for name, limit in limits.items():
            value = getattr(self, name)
            # NaN fails every comparison.
            if value is not None and not holds(value, limit):
                raise InputError(f"{name} is out of range", given=value, allowed=f"{phrase} {limit:g}")
