"""The phantom corpus: made on first use."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path

from acula_edge.data.phantom.corpus import load
from acula_edge.data.phantom.plan import DATASET, PhantomConfig
from acula_edge.data.reader import Corpus, Options, Reader, ReadResult, check_options, register_reader
from acula_edge.errors import RecipeError
from acula_edge.probe.tasks import Task, any_present, labels, number


@register_reader
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

    def read(self, root: Path, options: Options) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; generates the corpus where `root` does not hold it yet."""
        defaults = {field.name: field.default for field in fields(PhantomConfig)}
        check_options(DATASET, options, defaults)
        for name, value in options.items():
            number = isinstance(value, int) or (isinstance(value, float) and isinstance(defaults[name], float))
            if not number or isinstance(value, bool):
                raise RecipeError(f"the phantom's {name} must be a number like {defaults[name]}", given=value)
        return ReadResult(load(root, PhantomConfig(**options)))


# Tasks on the generated corpus: they need no download and have known difficulty.
_phantom = partial(Task, dataset="phantom")

_phantom(
    id="P1",
    name="Heart murmur (phantom)",
    sound="heart",
    target=labels("murmur", {"Present": 1, "Absent": 0}, where={"sound": "heart"}),
    target_text="murmur Present = 1, Absent = 0, in heart sounds",
    labels=("murmur absent", "murmur present"),
).register()
_phantom(
    id="P2",
    name="Adventitious lung sound (phantom)",
    sound="lung",
    target=any_present(("wheeze", "crackles"), where={"sound": "lung"}),
    target_text="wheeze or crackles = 1, neither = 0, in lung sounds",
    labels=("clear", "wheeze or crackles"),
).register()
_phantom(
    id="P3",
    name="Cough (phantom)",
    sound="lung or room",
    target=any_present(("cough",)),
    target_text="cough = 1, no cough = 0, in lung sounds and room recordings",
    labels=("no cough", "cough"),
).register()
_phantom(
    id="P4",
    name="Respiratory rate (phantom)",
    sound="lung",
    target=number("respiratory_rate", where={"sound": "lung"}),
    target_text="breaths per minute, in lung sounds",
    metric="mae",
    kind="regression",
    unit="breaths/min",
).register()
