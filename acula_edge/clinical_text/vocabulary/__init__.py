"""The vocabulary: which clinical facts there are, their values, and the words for them, from the YAML files here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from acula_edge.clinical_text.facts import ABSENT, PRESENT, UNKNOWN, FactKind, Wording
from acula_edge.errors import InputError, did_you_mean
from acula_edge.files import sha256_text

FOLDER = Path(__file__).parent
FILES = ("findings.yaml", "person.yaml", "conditions.yaml")
CATEGORIES = (
    "finding", "diagnosis", "history", "symptom", "measurement", "spirometry", "site", "context", "device",
    "demographic",
)  # fmt: skip
# Findings that are symptoms or diagnoses as well, and how lists say them.
_SHARED = {"cough": ("cough",), "wheeze": ("wheezing",), "covid_19": ("COVID-19",)}
_NOUNS = ("one", "many", "mass")
_TUPLES = {"frames", "prefixes", "unknown", "read", "members"}
_PLAIN = {"of", "elsewhere", "open", "last", "final", "scope", "unit", "decimals", "joined"}


@dataclass(frozen=True)
class Vocabulary:
    """Kinds of facts by name, and the terms that lists share.

    Attributes:
        kinds: by name, in the order in which reports state them.
        terms: words of diseases and symptoms.
        none: words of a list that is known to be empty.
        fingerprint: SHA-256 of the files.
    """

    kinds: Mapping[str, FactKind]
    terms: Mapping[str, Wording]
    none: Mapping[str, Wording]
    fingerprint: str

    def __getitem__(self, name: str) -> FactKind:
        if name not in self.kinds:
            raise InputError(
                f"there is no clinical fact {name!r}", allowed=sorted(self.kinds), remedy=did_you_mean(name, self.kinds)
            )
        return self.kinds[name]

    def describing(self, name: str) -> list[FactKind]:
        """The choices that describe a finding."""
        return [kind for kind in self.kinds.values() if kind.of == name]


@cache
def load_vocabulary() -> Vocabulary:
    """Read the vocabulary that ships with acula-edge."""
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in FILES]
    findings, person, conditions = (yaml.safe_load(text) for text in texts)
    terms = {name: _words({"one": words.get("say", ()), **words}) for name, words in conditions["terms"].items()}
    kinds = {name: _kind(name, values) for name, values in findings.items()}
    for name, values in conditions["lists"].items():
        kinds[name] = _kind(name, {"type": "list", "values": {}, **values})
    kinds.update({name: _kind(name, values) for name, values in person.items()})
    for name, words in _SHARED.items():
        terms[name] = Wording(one=words, read=kinds[name].values[PRESENT].read)
    none = {name: _words(words) for name, words in conditions["none"].items()}
    return Vocabulary(kinds, terms, none, sha256_text("\n".join(texts)))


def _kind(name: str, values: Mapping[str, Any]) -> FactKind:
    options: dict[str, Any] = {key: tuple(values[key]) for key in _TUPLES & set(values)}
    options.update({key: values[key] for key in _PLAIN & set(values)})
    if values["category"] not in CATEGORIES:
        raise InputError(f"the fact {name} has no category that exists", given=values["category"], allowed=CATEGORIES)
    if values["type"] == "presence":
        options.pop("read", None)
        clauses = values.get("clauses", {})
        options["values"] = {
            PRESENT: _words(
                {
                    **{key: values[key] for key in _NOUNS if key in values},
                    "read": values.get("read", ()),
                    "clauses": clauses.get(PRESENT, ()),
                }
            ),
            **{state: _words({"clauses": clauses.get(state, ())}) for state in (ABSENT, UNKNOWN)},
        }
    else:
        options["values"] = {str(value): _words(words) for value, words in (values.get("values") or {}).items()}
    return FactKind(name, values["type"], values["category"], **options)


def _words(words: Mapping[str, Any]) -> Wording:
    names = {item.name for item in fields(Wording)}
    return Wording(**{key: tuple(str(text) for text in items) for key, items in words.items() if key in names})
