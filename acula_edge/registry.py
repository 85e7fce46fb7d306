"""The one registry pattern: a name, a decorator, and a folder whose modules register themselves.

    miniatures = Registry("miniature release", package="acula_edge.corpora")

    @miniatures.register("circor")
    def write(folder, config): ...

Modules of `package` are imported on the first look-up, so that importing the registry costs nothing.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from acula_edge.errors import InputError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Named entries of one kind.

    Args:
        kind: what an entry is called in messages, for example ``"reader"``.
        package: dotted package whose modules are imported at the first look-up; None for none.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._discovered = package is None

    def register(self, name: str, entry: T | None = None) -> Callable[[T], T]:
        """Register `entry` under `name`; without `entry`, a decorator that does."""

        def add(item: T) -> T:
            if name in self._entries and self._entries[name] is not item:
                raise InputError(f"the {self.kind} {name!r} is registered twice")
            self._entries[name] = item
            return item

        if entry is not None:
            add(entry)
        return add

    def _discover(self) -> None:
        if self._discovered or self._package is None:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")

    def __getitem__(self, name: str) -> T:
        self._discover()
        if name not in self._entries:
            raise InputError(
                f"there is no {self.kind} named {name!r}",
                allowed=sorted(self._entries),
                remedy=did_you_mean(name, self._entries),
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell wildcard, sorted."""
        self._discover()
        return sorted(name for name in self._entries if fnmatch.fnmatch(name, pattern))
