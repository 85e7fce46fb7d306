"""The facts that a recipe lets into reports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from acula_edge.clinical_text.facts import Facts, Value, dump_facts
from acula_edge.clinical_text.mapping import FactMapping, load_mapping, map_by_name
from acula_edge.clinical_text.vocabulary import CATEGORIES, load_vocabulary
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError, RecipeError, did_you_mean
from acula_edge.recipe import ReportsConfig


def select_facts(recording: Recording, config: ReportsConfig) -> dict[str, Value]:
    """What reports of a recording may state.

    Raises:
        InputError: the data set has no mapping, and no column that bears a fact's name.
        RowError: a cell holds what the mapping does not know.
    """
    mapping = find_mapping(recording, config)
    facts = mapping.apply(recording.metadata, config.ages == "exact")
    allowed = selectable_kinds(config.demographics, tuple(config.leave_out))
    return {name: value for name, value in facts.items() if name in allowed}


def may_be_written(recording: Recording) -> bool:
    """Whether a corpus holds a recording: not what is tested on, unused, or withheld by the leak guard."""
    return recording.split not in ("test", "unused") and not recording.withheld


def find_mapping(recording: Recording, config: ReportsConfig) -> FactMapping:
    """The mapping of a recording's data set; see :func:`select_facts`."""
    mapping = load_mapping(recording.dataset, config.mapping)
    if mapping is None:
        mapping = _mapping_by_name(recording.dataset, tuple(sorted(recording.metadata)))
    if mapping is None:
        raise InputError(
            f"there is no mapping from the columns of the data set {recording.dataset!r} to clinical facts",
            given=f"columns {', '.join(sorted(recording.metadata)) or 'none'}",
            remedy="write one, like those in acula_edge/corpora, and name it: "
            "--set reports.mapping=FILE; or name the columns like facts of the vocabulary",
        )
    return mapping


@lru_cache(maxsize=64)
def _mapping_by_name(dataset: str, columns: tuple[str, ...]) -> FactMapping | None:
    return map_by_name(dataset, columns)


@lru_cache(maxsize=64)
def selectable_kinds(demographics: bool, leave_out: tuple[str, ...]) -> frozenset[str]:
    """Names of the facts that may be stated.

    Raises:
        RecipeError: a name in `leave_out` is neither a fact nor a category.
    """
    kinds = load_vocabulary().kinds
    known = [*kinds, *CATEGORIES]
    for name in leave_out:
        if name not in known:
            raise RecipeError(
                "reports.leave_out names neither a clinical fact nor a category",
                given=name,
                allowed=CATEGORIES,
                remedy=did_you_mean(name, known),
            )
    left_out = {*leave_out, *(() if demographics else ("demographic",))}
    return frozenset(kind.name for kind in kinds.values() if not {kind.name, kind.category, kind.of} & left_out)


def group_by_facts(datasets: Sequence[str], facts: Sequence[Facts]) -> np.ndarray:
    """Number of the group of recordings of which the same is stated; [N] integers."""
    keys = [f"{dataset}/{dump_facts(one)}" for dataset, one in zip(datasets, facts, strict=True)]
    return np.unique(keys, return_inverse=True)[1]
