"""YAML from outside: plain values only, no tags, and nothing that is short to write and long to have.

PyYAML's parser gives the events; values are made here. ``yaml.safe_load`` runs no code either, but it takes the last of
two equal keys, and its aliases share one object, so that a few lines ("billion laughs") become gigabytes as soon as
somebody copies them.
"""

from __future__ import annotations

import copy
import math
import os
from dataclasses import dataclass
from typing import Any

import yaml

from acula_edge.limits import MAX_DEPTH, MAX_INTEGER, MAX_YAML_BYTES, MAX_YAML_CHARACTERS, MAX_YAML_NODES
from acula_edge.untrusted.plain_text import acting_character
from acula_edge.untrusted.texts import TextError, check_depth, read_text

_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The value of a YAML file; None where it is empty.

    Raises:
        OSError: there is none, or it is no regular file.
        ValueError: see :func:`parse_yaml`.
    """
    return parse_yaml(read_text(path, MAX_YAML_BYTES))


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: mappings, lists, texts, numbers, true, false and null. Dates stay texts.

    Aliases and merges (``<<``) are taken; each makes a copy of its own.

    Raises:
        TextError: it is no YAML or more than one document; it has a tag, a key twice, a key that is no text or number,
            a number that is infinite, none, or of more than 64 bits, or a text with a control character; it is longer
            or deeper than :mod:`acula_edge.limits` allows. The message names the line.
    """
    if len(text) > MAX_YAML_BYTES:
        raise TextError(f"it is longer than {MAX_YAML_BYTES} bytes")
    try:
        return _Builder(text).document()
    except yaml.YAMLError as error:
        raise TextError(" ".join(str(error).split())) from error


@dataclass(frozen=True)
class _Anchored:
    value: Any
    nodes: int
    characters: int


class _Builder:
    """Makes values of one text's events, and counts what they take."""

    def __init__(self, text: str) -> None:
        self._loader: Any = yaml.SafeLoader(text)
        self._anchored: dict[str, _Anchored] = {}
        self._nodes = 0
        self._characters = 0

    def document(self) -> Any:
        loader = self._loader
        loader.get_event()
        if loader.check_event(yaml.StreamEndEvent):
            return None
        loader.get_event()
        value = self._node(0)
        loader.get_event()
        if not loader.check_event(yaml.StreamEndEvent):
            raise TextError("it holds more than one document")
        return value

    def _node(self, depth: int) -> Any:
        event = self._loader.get_event()
        where = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            return self._repeat(str(event.anchor), depth, where)
        nodes, characters = self._nodes, self._characters
        self._grow(1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0, where)
        if event.tag is not None:
            raise TextError(f"{where}: tags are not taken ({event.tag}); quote a text that is to stay one")
        if depth >= MAX_DEPTH:
            raise TextError(f"{where}: it is nested deeper than {MAX_DEPTH} levels")
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, where)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not self._loader.check_event(yaml.SequenceEndEvent):
                value.append(self._node(depth + 1))
            self._loader.get_event()
        else:
            value = self._mapping(depth)
        if event.anchor is not None:
            # Last, so that nothing can contain itself.
            self._anchored[event.anchor] = _Anchored(value, self._nodes - nodes, self._characters - characters)
        return value

    def _mapping(self, depth: int) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._loader.peek_event()
            where = f"line {event.start_mark.line + 1}"
            merges = isinstance(event, yaml.ScalarEvent) and event.value == _MERGE and event.implicit[0]
            key = self._node(depth + 1) if isinstance(event, yaml.ScalarEvent) else None
            if key is None:
                raise TextError(f"{where}: a key must be a text or a number")
            if key in own or (merges and merged):
                raise TextError(f"{where}: the key {key!r} is there twice")
            value = self._node(depth + 1)
            if merges:
                for item in value if isinstance(value, list) else [value]:
                    if not isinstance(item, dict):
                        raise TextError(f"{where}: {_MERGE} needs a mapping")
                    merged = {**item, **merged}
            else:
                own[key] = value
        self._loader.get_event()
        return {**merged, **own}

    def _repeat(self, anchor: str, depth: int, where: str) -> Any:
        found = self._anchored.get(anchor)
        if found is None:
            raise TextError(f"{where}: there is no anchor {anchor!r} before this alias")
        self._grow(found.nodes, found.characters, where)
        check_depth(found.value, depth)
        return copy.deepcopy(found.value)

    def _grow(self, nodes: int, characters: int, where: str) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_YAML_NODES:
            raise TextError(f"{where}: it holds more than {MAX_YAML_NODES} values, those that aliases repeat included")
        if self._characters > MAX_YAML_CHARACTERS:
            raise TextError(f"{where}: its texts are longer than {MAX_YAML_CHARACTERS} characters, with what repeats")

    def _scalar(self, event: yaml.ScalarEvent, where: str) -> Any:
        text: str = event.value
        tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit).removeprefix(_TAG)
        if tag == "null":
            return None
        if tag == "bool":
            return self._loader.bool_values[text.lower()]
        if tag in ("int", "float"):
            return self._number(tag, text, where)
        if not text.isprintable():
            found = acting_character(text.replace("\n", " ").replace("\t", " ").replace("\r", " "))
            if found is not None:
                raise TextError(f"{where}: a text holds the control character {found}")
        return text

    def _number(self, tag: str, text: str, where: str) -> int | float:
        node = yaml.ScalarNode(_TAG + tag, text)
        try:
            if len(text) > MAX_DEPTH:
                raise ValueError("too many digits")
            value: int | float = getattr(self._loader, f"construct_yaml_{tag}")(node)
        except (ValueError, OverflowError) as error:
            raise TextError(f"{where}: this is no number: {text[:30]}") from error
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) >= MAX_INTEGER):
            raise TextError(f"{where}: this number is infinite, none, or has more than 64 bits: {text[:30]}")
        return value
