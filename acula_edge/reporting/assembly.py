"""The report's parts in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from acula_edge.reporting.document import Block, Document, Section, Text, Tone
from acula_edge.reporting.evidence import Bundle, Evidence
from acula_edge.reporting.sections.artifacts import parity_blocks, size_blocks
from acula_edge.reporting.sections.comparison import comparison_section
from acula_edge.reporting.sections.data import data_section
from acula_edge.reporting.sections.guard import INCLUDED, includes_evaluated
from acula_edge.reporting.sections.headline import write_headline
from acula_edge.reporting.sections.latency import latency_blocks
from acula_edge.reporting.sections.limits import limits_section
from acula_edge.reporting.sections.provenance import provenance_section
from acula_edge.reporting.sections.quantization import quantization_blocks
from acula_edge.reporting.sections.tasks import task_blocks
from acula_edge.reporting.sections.training import training_section
from acula_edge.reporting.sections.zero_shot import zero_shot_blocks

Writer = Callable[[Bundle, str], list[Block]]


def _without_name(write: Callable[[Bundle], list[Block]]) -> Writer:
    return lambda bundle, name: write(bundle)


# Anchor, title, what says it.
_OF_BUNDLES: tuple[tuple[str, str, Writer], ...] = (
    ("tasks", "As good as float?", task_blocks),
    ("zero-shot", "Zero-shot and retrieval", _without_name(zero_shot_blocks)),
    ("latency", "Latency", latency_blocks),
    ("size", "Size", _without_name(size_blocks)),
    ("parity", "Parity", _without_name(parity_blocks)),
    ("quantization", "Quantization and audit", _without_name(quantization_blocks)),
)
_NO_BUNDLE = "Not measured: no bundle has been exported from this run."


def assemble(evidence: Evidence) -> Document:
    """The whole report."""
    recipe = evidence.recipe
    sections = [comparison_section(evidence), data_section(evidence)]
    sections.extend(_bundle_sections(evidence))
    sections.extend([training_section(evidence), provenance_section(evidence), limits_section(evidence)])
    return Document(
        title=f"{recipe.name}: is the INT8 model as good as the float one?",
        subtitle=recipe.description,
        badges=_badges(evidence),
        headline=write_headline(evidence),
        sections=[section for section in sections if section is not None],
    )


def _bundle_sections(evidence: Evidence) -> list[Section]:
    if not evidence.bundles:
        return [Section(anchor, title, [Text(_NO_BUNDLE)]) for anchor, title, _ in _OF_BUNDLES if anchor != "zero-shot"]
    sections: list[Section] = []
    for number, bundle in enumerate(evidence.bundles):
        suffix = f"-{number + 1}" if number else ""
        of_which = f", {bundle.name}" if len(evidence.bundles) > 1 else ""
        sections.extend(
            Section(f"{anchor}{suffix}", f"{title}{of_which}", blocks)
            for anchor, title, write in _OF_BUNDLES
            if (blocks := write(bundle, f"b{number + 1}"))
        )
    return sections


def _badges(evidence: Evidence) -> list[tuple[str, Tone]]:
    badges: list[tuple[str, Tone]] = [(INCLUDED, "bad")] if includes_evaluated(evidence) else []
    phantom = [corpus for corpus in evidence.corpora if corpus.is_phantom]
    if phantom:
        only = len(phantom) == len(evidence.corpora)
        badges.append(("phantom data only, no patients" if only else "real and phantom data", "caution"))
    elif evidence.corpora:
        badges.append(("real recordings", ""))
    badges.extend((bundle.name, "") for bundle in evidence.bundles[:4])
    badges.append(("not a medical device", "quiet"))
    return badges
