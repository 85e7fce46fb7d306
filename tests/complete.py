"""Facts of a bundle of which a test says the part that it is about; the rest is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

Kind = TypeVar("Kind", bound=msgspec.Struct)


def complete(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The structure with these values; what it must have besides is null where it may be, else as little as can be."""
    return msgspec.convert(_fill(inspect.type_info(kind), values), kind)


def _fill(kind: inspect.Type, value: Any) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _fill(kind.type, value)
    if isinstance(kind, inspect.UnionType) and isinstance(value, Mapping):
        structs = [item for item in kind.types if isinstance(item, inspect.StructType)]
        return _fill(structs[0], value) if len(structs) == 1 else value
    if isinstance(kind, inspect.UnionType) and isinstance(value, list):
        lists = [item for item in kind.types if isinstance(item, inspect.ListType)]
        return _fill(lists[0], value) if lists else value
    if isinstance(kind, inspect.StructType) and isinstance(value, Mapping):
        filled = dict(value)
        for field in kind.fields:
            if field.encode_name in filled:
                filled[field.encode_name] = _fill(field.type, filled[field.encode_name])
            elif field.required:
                filled[field.encode_name] = _least(field.type)
        return filled
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        return [_fill(kind.item_type, item) for item in value]
    if isinstance(kind, inspect.DictType) and isinstance(value, Mapping):
        return {name: _fill(kind.value_type, item) for name, item in value.items()}
    return value


def _least(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _least(kind.type)
    if isinstance(kind, inspect.UnionType):
        return None if any(isinstance(item, inspect.NoneType) for item in kind.types) else _least(kind.types[0])
    if isinstance(kind, inspect.StructType):
        return _fill(kind, {})
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.StrType):
        return "0" * 64 if kind.pattern else ""
    if isinstance(kind, inspect.BoolType):
        return False
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        return max(1, getattr(kind, "ge", None) or 0)
    if isinstance(kind, inspect.TupleType):
        return [0.0, 0.0]
    return {} if isinstance(kind, inspect.DictType) else []
