"""A stream of choices that a text decides: the same on every machine and in every version of Python."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_BYTES = 64


class Draws:
    """Choices drawn one after the other.

    Args:
        key: equal keys give equal choices; different keys, independent ones.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._pool = 0
        self._left = 1
        self._block = 0

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        if self._left < count << 16:  # what is left would favor small numbers
            digest = hashlib.blake2b(self._key, digest_size=_BYTES, salt=self._block.to_bytes(16, "big")).digest()
            self._pool, self._left, self._block = int.from_bytes(digest, "big"), 1 << 8 * _BYTES, self._block + 1
        self._pool, drawn = divmod(self._pool, count)
        self._left //= count
        return drawn

    def one_of(self, items: Sequence[T]) -> T:
        """One of several things."""
        return items[self.below(len(items))] if len(items) > 1 else items[0]

    def ordered(self, items: Sequence[T]) -> list[T]:
        """Them all in one of their orders."""
        if len(items) < 2:
            return list(items)
        left, rank = list(items), self.below(math.factorial(len(items)))
        ordered = []
        for remaining in range(len(left), 0, -1):
            rank, position = divmod(rank, remaining)
            ordered.append(left.pop(position))
        return ordered
