"""The phantom corpus: made on first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from acula_edge.data.phantom.corpus import load
from acula_edge.data.phantom.plan import DATASET, PhantomConfig
from acula_edge.data.reader import Corpus, Reader, ReadResult, check_options, readers
from acula_edge.errors import RecipeError


class PhantomReader(Reader):
    """Options are the fields of :class:`acula_edge.data.phantom.plan.PhantomConfig`."""

    makes_corpus = True
    corpus = Corpus(
        name=DATASET,
        title="Phantom corpus",
        sound="heart, lung and cough",
        licence="generated",
        access="made by acula-edge on first use",
        layout=("phantom.json", "manifest.jsonl", "audio/<recording>.wav"),
    )

    def read(self, root: Path, options: Mapping[str, Any]) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; generates the corpus where `root` does not hold it yet."""
        defaults = {field.name: field.default for field in fields(PhantomConfig)}
        check_options(DATASET, options, defaults)
        for name, value in options.items():
            number = isinstance(value, int) or (isinstance(value, float) and isinstance(defaults[name], float))
            if not number or isinstance(value, bool):
                raise RecipeError(f"the phantom's {name} must be a number like {defaults[name]}", given=value)
        return ReadResult(load(root, PhantomConfig(**options)))


readers.register(DATASET, PhantomReader())
