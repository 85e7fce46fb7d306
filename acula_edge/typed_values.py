"""Plain values from YAML to typed dataclasses: what does not fit is an error that names the place."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from acula_edge.errors import InputError, RecipeError, did_you_mean


def build_typed(kind: Any, value: Any, where: str, key: str = "") -> Any:
    """Convert a plain value to the annotated type `kind`, strictly.

    Args:
        kind: a dataclass, ``list``, ``dict``, ``Literal``, an optional of these, or a plain type.
        where, key: what an error names: the file, and the dotted place in it.

    Raises:
        RecipeError: a key that does not exist, a wrong type, or a value out of range.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: {key or 'the recipe'} must be a mapping", given=value)
        known = {item.name for item in dataclasses.fields(kind)}
        hints = _hints(kind)
        for name in value:
            if name not in known:
                full = f"{key}.{name}" if key else str(name)
                raise RecipeError(
                    f"{where}: there is no key {full!r}",
                    allowed=sorted(known),
                    remedy=did_you_mean(str(name), known),
                )
        for item in dataclasses.fields(kind):
            if item.default is item.default_factory is dataclasses.MISSING and item.init and item.name not in value:
                raise RecipeError(f"{where}: {key or 'the recipe'} lacks the key {item.name!r}")
        built = {n: build_typed(hints[n], v, where, f"{key}.{n}" if key else n) for n, v in value.items()}
        try:
            return kind(**built)
        except RecipeError:
            raise
        except InputError as error:
            raise RecipeError(f"{where}: {key}: {error.problem}", given=error.given, allowed=error.allowed) from error
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        return build_typed(inner, value, where, key)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(
                f"{where}: {key} has an unknown value",
                given=value,
                allowed=arguments,
                remedy=did_you_mean(str(value), [str(argument) for argument in arguments]),
            )
        return value
    if origin is list:
        if not isinstance(value, list):
            raise RecipeError(f"{where}: {key} must be a list", given=value)
        return [build_typed(arguments[0], item, where, f"{key}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: {key} must be a mapping", given=value)
        return {str(name): build_typed(arguments[1], item, where, f"{key}.{name}") for name, item in value.items()}
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise RecipeError(f"{where}: {key} must be a finite number", given=hex(value)) from error
    if kind is float and isinstance(value, str):
        # YAML reads 1e-3 (no dot) as text.
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where}: {key} must be a finite number", given=value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RecipeError(f"{where}: {key} must be {kind.__name__}", given=repr(value))
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Types of a dataclass's fields; evaluating the annotations takes longer than all else here."""
    return typing.get_type_hints(kind)
