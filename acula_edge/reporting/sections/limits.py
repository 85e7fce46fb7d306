"""What these figures do not say."""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.reporting.document import Bullets, Section
from acula_edge.reporting.evidence import Bundle, Evidence
from acula_edge.reporting.numbers import count, listing
from acula_edge.reporting.sections.vocabulary import verdict_of

_FEW_PERSONS = 50


def limits_section(evidence: Evidence) -> Section:
    """Sentences, the general ones first."""
    items = [
        "This is research software, not a medical device. It must not be used to diagnose, screen or treat anyone."
    ]
    items.extend(_of_data(evidence))
    for bundle in evidence.bundles:
        prefix = f"{bundle.name}: " if len(evidence.bundles) > 1 else ""
        items.extend(f"{prefix}{sentence}" for sentence in _of_bundle(bundle))
    return Section("limits", "Limits", [Bullets(items)])


def _of_data(evidence: Evidence) -> Iterator[str]:
    phantom = [corpus for corpus in evidence.corpora if corpus.is_phantom]
    real = [corpus for corpus in evidence.corpora if not corpus.is_phantom]
    if phantom:
        yield (
            "Phantom sounds are made by a program from the labels that are then predicted: their figures are no "
            "evidence of clinical value."
        )
    if real:
        names = listing([corpus.name for corpus in real])
        yield (
            f"Real recordings come from {names} alone, with the devices and the persons of those collections; other "
            "stethoscopes, places and populations were not tested."
        )
    split = evidence.recipe.data.split
    if split.rule == "published":
        yield (
            "Figures belong to the published partitions, some of which have persons on both sides (see the data): they "
            "are there for comparison with published ones, not as evidence."
        )
    yield (
        f"Figures belong to fold {split.fold} of {split.folds}: one split of the persons. Another split gives other "
        "figures, and the intervals do not cover training again."
    )
    if evidence.recipe.reports.shuffle or not (
        evidence.recipe.align.objectives or evidence.recipe.align.self_supervised
    ):
        yield "This run is a control and not meant for use."


def _of_bundle(bundle: Bundle) -> Iterator[str]:
    tasks = bundle.tasks
    if bundle.verify is None:
        yield "quality was not measured."
    few = [str(task.id) for task in tasks if task.set == "real" and task.n_subjects < _FEW_PERSONS]
    if few:
        yield f"{listing(few)} rest on fewer than {_FEW_PERSONS} test persons; such intervals are wide."
    unclear = [str(task.id) for task in tasks if verdict_of(task.int8_vs_student) == "inconclusive"]
    if unclear:
        yield f"Whether INT8 is as good as float on {listing(unclear)} stays open with this many persons."
    assumed = [str(task.id) for task in tasks if task.assumed]
    if assumed:
        yield (
            f"The definition of {listing(assumed)} is assumed where published sources do not settle it: do not set "
            f"{'its figure' if len(assumed) == 1 else 'their figures'} beside published ones."
        )
    if tasks and all(task.float_teacher is None for task in tasks):
        yield "The float teacher was not evaluated."
    benchmark = bundle.benchmark
    if benchmark is None:
        yield "Latency was not measured."
        return
    yield "Latencies hold for the machine named above and for no other; a device must be measured itself."
    rows = benchmark.measurements
    if rows and all(row.energy_mj is None for row in rows):
        yield "Energy was not measured."
    if not any("tensorrt" in str(row.provider or "").lower() for row in rows):
        yield "No TensorRT engine was measured."
    if not benchmark.environment.jetson:
        yield "Nothing here was measured on a Jetson."
    if benchmark.mode == "smoke":
        loops = count(int(benchmark.plan["loops"]), "short loop")
        yield f"The benchmark ran in smoke mode ({loops}): its figures are rough."
