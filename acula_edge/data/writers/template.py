"""Reports from templates: one YAML file per data set, several phrasings per finding, equal seeds give equal reports.

A template file lists statements. A statement applies when every field of ``when`` matches; it is said in one of its
phrasings, drawn by seed, among those whose fields are all known. ``{field}`` inserts a value, ``{field:l}`` in lower
case (words of capitals only, such as COPD or III/VI, stay). Conditions: a value, a list of values, ``null`` (not
known), ``"*"`` (known), ``"!value"`` (known and different), ``"=field"`` and, for another field, ``"!field"``.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from acula_edge.data.manifest import Recording
from acula_edge.data.reports import writers
from acula_edge.errors import InputError
from acula_edge.files import sha256_text
from acula_edge.recipe import ReportsConfig

NOTHING = "No finding is recorded."
FOLDER = Path(__file__).parent.parent / "templates"
MAX_TRIES = 20
# Parts of columns' names that describe the person, not what is heard.
DEMOGRAPHICS = frozenset({"age", "sex", "gender"})


@writers.register("template")
def write_from_template(recording: Recording, config: ReportsConfig) -> list[str]:
    """``config.variants`` reports of one recording; distinct as long as the template has more phrasings."""
    template = load_template(recording.dataset)
    if template.get("plain"):
        return [_plain(recording.metadata, config.demographics)] * config.variants
    statements = [s for s in template["statements"] if _applies(s["when"], recording.metadata)]
    if config.demographics:
        statements += [s for s in template.get("demographics", []) if _applies(s["when"], recording.metadata)]
    reports: list[str] = []
    for variant in range(config.variants):
        for attempt in range(MAX_TRIES):
            report = _say(statements, recording, config.seed, f"{variant}.{attempt}", template.get("shuffle", False))
            if report not in reports:
                break
        reports.append(report)
    return reports


@cache
def load_template(dataset: str) -> dict[str, Any]:
    """The template of a data set; one that states the columns as they are, where the data set has none."""
    file = FOLDER / f"{dataset}.yaml"
    if not file.is_file():
        return {"statements": [], "plain": True}
    try:
        template = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"the report template {file.name} is not YAML", given=error) from error
    if not isinstance(template, dict) or not isinstance(template.get("statements"), list):
        raise InputError(f"the report template {file.name} lists no statements")
    return template


def _say(statements: list[dict[str, Any]], recording: Recording, seed: int, variant: str, shuffle: bool) -> str:
    digest = sha256_text(f"{seed}/{recording.key}/{variant}")
    generator = np.random.default_rng(int(digest[:16], 16))
    order = generator.permutation(len(statements)) if shuffle else np.arange(len(statements))
    sentences = []
    for index in order:
        known = [p for p in statements[index]["say"] if _fields(p) <= _known(recording.metadata)]
        if known:
            phrasing = known[int(generator.integers(len(known)))]
            sentence = _FORMATTER.vformat(phrasing, (), recording.metadata)
            sentences.append(sentence[:1].upper() + sentence[1:])
    return " ".join(sentences) or NOTHING


def _plain(metadata: Mapping[str, Any], demographics: bool) -> str:
    """The columns as they are, those about the person only where they are asked for."""
    stated = [
        f"{name.replace('_', ' ').capitalize()}: {value}."
        for name, value in sorted(metadata.items())
        if value is not None and (demographics or not DEMOGRAPHICS & set(name.split("_")))
    ]
    return " ".join(stated) or NOTHING


def _applies(conditions: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    return all(_matches(metadata.get(name), condition, metadata) for name, condition in conditions.items())


def _matches(value: Any, condition: Any, metadata: Mapping[str, Any]) -> bool:
    if isinstance(condition, list):
        return any(_matches(value, item, metadata) for item in condition)
    if condition is None or not isinstance(condition, str):
        return bool(value == condition)
    if condition == "*":
        return value is not None
    mark, name = condition[:1], condition[1:]
    if mark == "=":
        return value is not None and value == metadata.get(name)
    if mark == "!":
        return value is not None and value != metadata.get(name, name)
    return bool(value == condition)


def _known(metadata: Mapping[str, Any]) -> set[str]:
    return {name for name, value in metadata.items() if value is not None}


@cache
def _fields(phrasing: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(phrasing) if name)


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        text = str(value)
        if format_spec != "l":
            return text
        return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in text.split(" "))


_FORMATTER = _Formatter()
