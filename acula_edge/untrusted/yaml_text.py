"""YAML from outside: plain values only, and nothing that is short to write and long to have.

``yaml.safe_load`` runs no code either, but it takes the last of two equal keys, and its aliases share one object, so
that a few lines ("billion laughs") become gigabytes as soon as somebody copies them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable
from typing import Any

import yaml

from acula_edge.limits import MAX_DEPTH, MAX_INTEGER, MAX_YAML_BYTES, MAX_YAML_NODES
from acula_edge.plain_text import acting_character
from acula_edge.untrusted.texts import TextError, read_text

_TAG = "tag:yaml.org,2002:"
_KINDS = tuple(_TAG + kind for kind in ("null", "bool", "int", "float"))


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The value of a YAML file; None where it is empty.

    Raises:
        OSError: there is none, or it is no regular file.
        ValueError: see :func:`parse_yaml`.
    """
    return parse_yaml(read_text(path, MAX_YAML_BYTES))


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: mappings, lists, texts, numbers, true, false and null. Dates stay texts.

    Raises:
        TextError: it is no YAML or more than one document; it has a tag, an anchor, an alias, a key twice, a key that
            is no text or number, a number that is infinite, none, or of more than 64 bits, or a text with a control
            character; it is longer or deeper than :mod:`acula_edge.limits` allows. The message names the line.
    """
    if len(text) > MAX_YAML_BYTES:
        raise TextError(f"it is longer than {MAX_YAML_BYTES} bytes")
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise TextError(" ".join(str(error).split())) from error


class _Loader(yaml.SafeLoader):
    # Of what PyYAML makes of plain texts, these; a date or `<<` stays a text.
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KINDS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    nodes = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        where = _line(event)
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise TextError(f"{where}: anchors and aliases are not taken ({event.anchor})")
        if event.tag is not None:
            raise TextError(f"{where}: tags are not taken ({event.tag}); quote a text that is to stay one")
        if self.nodes > MAX_YAML_NODES:
            raise TextError(f"{where}: it holds more than {MAX_YAML_NODES} values")
        if self.depth >= MAX_DEPTH:
            raise TextError(f"{where}: it is nested deeper than {MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise TextError(f"{_line(key_node)}: a key must be a text or a number")
            if key in mapping:
                raise TextError(f"{_line(key_node)}: the key {key!r} is there twice")
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping

    def construct_text(self, node: yaml.ScalarNode) -> str:
        text = str(node.value)
        found = acting_character(text.replace("\n", " ").replace("\t", " ").replace("\r", " "))
        if found is not None:
            raise TextError(f"{_line(node)}: a text holds the control character {found}")
        return text

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = str(node.value)
        try:
            if len(text) > MAX_DEPTH:
                raise ValueError("too many digits")
            whole = node.tag.endswith("int")
            value: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        except (ValueError, OverflowError) as error:
            raise TextError(f"{_line(node)}: this is no number: {text[:30]}") from error
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) >= MAX_INTEGER):
            raise TextError(f"{_line(node)}: this number is infinite, none, or has more than 64 bits: {text[:30]}")
        return value


_Loader.add_constructor(_TAG + "str", _Loader.construct_text)
_Loader.add_constructor(_TAG + "int", _Loader.construct_number)
_Loader.add_constructor(_TAG + "float", _Loader.construct_number)


def _line(place: Any) -> str:
    return f"line {place.start_mark.line + 1}"
