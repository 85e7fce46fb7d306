"""Facts as numbers, without any words: what a probe is asked, and a control for what the language model adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acula_edge.clinical_text.facts import Facts

FACTS = "facts"
"""In place of a language model's name (``language.model``)."""


def fact_vectors(facts: Sequence[Facts]) -> np.ndarray:
    """A column per value of every fact, 1 where it is stated, and one per quantity, standardized; float32 [N, W].

    What is missing is 0, the mean of a quantity. At least one column.
    """
    rows = [_numbers(one) for one in facts]
    names = sorted({name for row in rows for name in row})
    table = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
    table = table.reshape(len(rows), len(names))
    for column, name in enumerate(names):
        if not name.partition("=")[1]:
            known = table[:, column][np.isfinite(table[:, column])]
            table[:, column] = (table[:, column] - known.mean()) / max(float(known.std()), 1e-9)
    table = np.nan_to_num(table)
    return (table if names else np.zeros((len(rows), 1))).astype(np.float32)


def fact_columns(facts: Sequence[Facts]) -> np.ndarray:
    """A column per value of every fact: 1 where it is stated, 0 where another value is, NaN where nothing is; [N, C].

    Quantities have none.
    """
    rows = [_numbers(one) for one in facts]
    names = sorted({name for row in rows for name in row if "=" in name})
    table = np.full((len(rows), len(names)), np.nan, np.float32)
    for number, (one, row) in enumerate(zip(facts, rows, strict=True)):
        for column, name in enumerate(names):
            if name.partition("=")[0] in one:
                table[number, column] = float(name in row)
    return table


def _numbers(facts: Facts) -> dict[str, float]:
    """``fact=value`` -> 1, and a quantity's name -> itself."""
    found: dict[str, float] = {}
    for name, value in facts.items():
        if isinstance(value, (int, float)):
            found[name] = float(value)
        else:
            for text in (value,) if isinstance(value, str) else value or ("none",):
                found[f"{name}={text}"] = 1.0
    return found
