"""From a data set's columns to clinical facts: one YAML file per data set, beside its reader in
:mod:`acula_edge.corpora`; values are checked against the vocabulary.

    dataset: circor
    facts:
      - {fact: murmur, column: murmur, values: {Present: present, Absent: absent, Unknown: unknown}}
      - {fact: murmur_grade, column: systolic_grading, when: {murmur_at_this_location: 1}}
    unused: [campaign]

A rule gives its fact where every condition of ``when`` holds: a value, a list of values, ``null`` (empty), ``"*"``
(not empty) or ``"=column"`` (as the other column). The first rule that gives a fact wins; rules of a list add up.
``value`` states the fact itself; ``column`` takes the cell, through ``values`` where there are any. What is mapped to
``null`` is not stated, what is mapped to ``unknown`` is stated as unknown. ``patterns`` are regular expressions: the
first that is found in the cell decides, and a cell in which none is found states nothing. Lists take ``split``, ages
``bands``.

A column that no rule reads never enters a report. A file that names no data set is for all that have none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN, FactKind, Value
from acula_edge.clinical_text.privacy import check_column
from acula_edge.clinical_text.rules import NONE, Rule, put_age, read_items, read_single
from acula_edge.clinical_text.vocabulary import Vocabulary, load_vocabulary
from acula_edge.errors import InputError, RecipeError, did_you_mean
from acula_edge.files import sha256_json
from acula_edge.typed_values import build_typed
from acula_edge.untrusted.yaml_text import read_yaml

FOLDER = Path(__file__).parents[1] / "corpora"


@dataclass(frozen=True)
class MappingFile:
    """A data set's rules.

    Attributes:
        dataset: whose columns they are.
        facts: the rules in order.
        unused: columns that are deliberately not stated.
    """

    dataset: str = ""
    facts: list[Rule] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FactMapping:
    """Rules that are ready to be applied.

    Attributes:
        rules: in order.
        columns: columns that some rule reads or ``unused`` names.
        fingerprint: SHA-256 of the rules.
    """

    dataset: str
    rules: Sequence[Rule]
    columns: frozenset[str]
    fingerprint: str

    def apply(self, metadata: Mapping[str, Any], exact_ages: bool = False) -> dict[str, Value]:
        """Facts of one recording.

        Raises:
            RowError: a cell holds what the mapping does not know.
        """
        vocabulary = load_vocabulary()
        facts: dict[str, Value] = {}
        lists: dict[str, list[str]] = {}
        for rule in self.rules:
            kind = vocabulary.kinds[rule.fact]
            if (rule.fact in facts and kind.kind != "list") or not _holds(rule.when, metadata):
                continue
            raw = rule.value if rule.column is None else metadata.get(rule.column)
            if rule.bands:
                put_age(facts, raw, rule, exact_ages)
                continue
            if raw is None or raw == "":
                continue
            if rule.patterns:
                raw = next((v for p, v in rule.patterns.items() if re.search(p, str(raw), re.IGNORECASE)), None)
                if raw is not None and kind.kind != "list":
                    facts[rule.fact] = str(raw)
                elif raw is not None:
                    lists.setdefault(rule.fact, []).extend(raw if isinstance(raw, list) else [raw])
            elif kind.kind == "list":
                lists.setdefault(rule.fact, []).extend(read_items(kind, rule, raw, vocabulary))
            elif (value := read_single(kind, rule, raw)) is not None:
                facts[rule.fact] = value
        for name, items in lists.items():
            named = [item for item in dict.fromkeys(items) if item != NONE]
            if items:
                facts[name] = UNKNOWN if named == [UNKNOWN] else tuple(item for item in named if item != UNKNOWN)
        return facts


@cache
def load_mapping(dataset: str, given: str | None = None) -> FactMapping | None:
    """The mapping of a data set: from `given`, a file or a folder of them, else the one that ships; None for none.

    Raises:
        InputError: it names a fact or a value that does not exist, or a column that identifies a person.
    """
    for_any = None
    for file in _files(dataset, given):
        mapping = read_mapping(file)
        if mapping.dataset == dataset:
            return mapping
        for_any = for_any or (mapping if not mapping.dataset else None)
    return for_any


def read_mapping(file: Path) -> FactMapping:
    """Read and check one mapping file; see :func:`load_mapping`."""
    try:
        values = read_yaml(file)
    except (OSError, ValueError) as error:
        raise InputError(f"the mapping {file} cannot be read as YAML", given=error) from error
    if isinstance(values, dict):
        values = {**values, "facts": [_plain_keys(rule) for rule in values.get("facts") or []]}
    found = build_typed(MappingFile, values, str(file), "mapping")
    for rule in found.facts:
        _check(rule, f"{file.name}: {rule.fact}")
    columns = {rule.column for rule in found.facts if rule.column} | set(found.unused)
    columns |= {column for rule in found.facts for column in rule.when}
    return FactMapping(found.dataset, found.facts, frozenset(columns), sha256_json(values))


def map_by_name(dataset: str, columns: Sequence[str]) -> FactMapping | None:
    """The mapping of a data set that has none: columns that bear a fact's own name mean that fact; None for none."""
    kinds = load_vocabulary().kinds
    rules = [
        Rule(name, column=name, bands=name == "age", split=", " if kinds[name].kind == "list" else None)
        for name in kinds
        if name in columns
    ]
    named = sorted(rule.fact for rule in rules)
    return FactMapping(dataset, rules, frozenset(named), sha256_json(named)) if rules else None


def _files(dataset: str, given: str | None) -> list[Path]:
    shipped = FOLDER / f"{dataset}.yaml"
    files = [shipped] if shipped.is_file() else []
    if given is None:
        return files
    path = Path(given).expanduser()
    if not path.exists():
        raise RecipeError(f"reports.mapping: there is no file or folder {path}")
    return [*(sorted(path.glob("*.yaml")) if path.is_dir() else [path]), *files]


def _plain_keys(rule: Any) -> Any:
    """YAML's keys may be numbers, as cells are; yes and no without quotes are booleans."""
    if not isinstance(rule, dict) or not isinstance(rule.get("values"), dict):
        return rule
    spelled = {True: "yes", False: "no"}
    return {
        **rule,
        "values": {
            spelled[key] if isinstance(key, bool) else str(key).casefold(): value
            for key, value in rule["values"].items()
        },
    }


def _check(rule: Rule, where: str) -> None:
    vocabulary = load_vocabulary()
    kind = vocabulary[rule.fact]
    if (rule.column is None) == (rule.value is None):
        raise InputError(f"{where}: a rule needs either a column or a value")
    if rule.column is not None:
        check_column(rule.column, where)
    stated = [value for value in (*rule.values.values(), *rule.patterns.values()) if value is not None]
    for value in [*stated, *([rule.value] if rule.value is not None else [])]:
        for item in value if isinstance(value, list) else [value]:
            _check_value(kind, item, vocabulary, where)


def _check_value(kind: FactKind, value: Any, vocabulary: Vocabulary, where: str) -> None:
    known: list[str] = [UNKNOWN]
    if kind.kind == "presence":
        known += [PRESENT, ABSENT]
    elif kind.kind == "choice" or kind.values:
        known += list(kind.values)
    elif kind.kind == "list":
        known += [NONE, *vocabulary.terms]
    else:
        return
    if value not in known:
        raise InputError(
            f"{where}: the vocabulary has no such value",
            given=value,
            allowed=known if len(known) < 20 else None,
            remedy=did_you_mean(str(value), known),
        )


def _holds(conditions: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    return all(
        any(_matches(metadata.get(name), one, metadata) for one in (wanted if isinstance(wanted, list) else [wanted]))
        for name, wanted in conditions.items()
    )


def _matches(value: Any, wanted: Any, metadata: Mapping[str, Any]) -> bool:
    if isinstance(wanted, str):
        if wanted == "*":
            return value is not None
        if wanted.startswith("!="):
            return value is not None and value != metadata.get(wanted[2:])
        if wanted.startswith("="):
            return value is not None and value == metadata.get(wanted[1:])
    return bool(value == wanted)
