"""How fast it is on the machine that was measured, stage by stage, with the accuracy of the same file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import Benchmark, Measurement, PairMeasurement
from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.charts.bars import Bar, Segment, draw_bars
from acula_edge.reporting.document import Block, Cell, Chart, Column, Notice, Table, Text
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.numbers import (
    MISSING,
    capitalized,
    count,
    fixed,
    interval,
    listing,
    milliseconds,
    significant,
    times,
)
from acula_edge.reporting.sections.environment import environment_blocks
from acula_edge.reporting.sections.vocabulary import (
    INT8,
    MODEL_NAMES,
    MODEL_STYLES,
    STAGE_NAMES,
    STUDENT,
    TEACHER,
    tone_of,
)

_FILES = {STUDENT: (ENCODER_FILE, MODEL_FILE), INT8: (ENCODER_INT8_FILE, MODEL_INT8_FILE)}
_TONES = {"faster": "non-inferior", "slower": "inferior"}


@dataclass(frozen=True)
class Route:
    """One way from waveform to result, as measured.

    Attributes:
        model: row of ``verify.json`` that evaluates it; None where none does.
        whole: the measurement end to end.
        stages: measurements of its parts.
    """

    name: str
    model: str | None
    whole: Measurement | None
    stages: Sequence[Measurement]


def routes(bundle: Bundle) -> list[Route]:
    """Callables given by hand (the float teacher in PyTorch) first, then float student, then INT8."""
    rows = bundle.measurements
    by_name = {row.artifact: row for row in rows}
    known = {file for files in _FILES.values() for file in files} | {FRONTEND_FILE}
    found = [
        Route(str(row.artifact), row.model, row, ())
        for row in rows
        if row.artifact not in known and row.stage == "end_to_end"
    ]
    for model, (encoder, whole) in _FILES.items():
        if encoder in by_name or whole in by_name:
            stages = [by_name[name] for name in (FRONTEND_FILE, encoder) if name in by_name]
            found.append(Route(f"{MODEL_NAMES[model]}, ONNX", model, by_name.get(whole), stages))
    return found


def latency_blocks(bundle: Bundle, name: str) -> list[Block]:
    """Everything that ``benchmark.json`` says of one bundle."""
    benchmark = bundle.benchmark
    if benchmark is None:
        return [
            Text("Not measured: this bundle has no benchmark.json. acula-edge benchmark writes it."),
            _tensorrt(bundle),
        ]
    rows = bundle.measurements
    blocks: list[Block] = [Notice(capitalized(warning)) for warning in benchmark.warnings]
    blocks.extend(_altered(bundle, rows))
    blocks.append(_tensorrt(bundle))
    blocks.extend(_chart(bundle, name))
    blocks.extend(_comparisons(bundle))
    blocks.append(_table(rows, benchmark) if rows else Text("Not measured: benchmark.json holds no measurement."))
    blocks.extend(_not_measured(rows))
    blocks.extend(environment_blocks(benchmark))
    return blocks


def accuracy(bundle: Bundle, model: str | None) -> str:
    """Mean AUROC of a model in words."""
    value = bundle.mean_auroc(model) if model else None
    return "accuracy not measured" if value is None else f"mean AUROC {fixed(value)}"


def comparison_of(bundle: Bundle, reference_model: str, stage: str = "end_to_end") -> PairMeasurement | None:
    """The pair in which INT8 ran in turn with a float model."""
    by_name = {row.artifact: row for row in bundle.measurements}
    for pair in bundle.comparisons:
        candidate, reference = by_name.get(pair.candidate), by_name.get(pair.reference)
        if candidate is None or reference is None or candidate.stage != stage:
            continue
        if candidate.model == INT8 and reference.model == reference_model:
            return pair
    return None


def _chart(bundle: Bundle, name: str) -> list[Block]:
    bars, words = [], []
    for route in routes(bundle):
        style = MODEL_STYLES.get(route.model or "", "teacher")
        segments = [
            Segment(STAGE_NAMES.get(row.stage, str(row.stage)), row.p50_ms, f"{style} {row.stage}")
            for row in route.stages
        ]
        whole = route.whole.p50_ms if route.whole else None
        if not segments and whole is not None:
            segments, tick = [Segment("end to end", whole, f"{style} end_to_end")], None
        else:
            tick = whole
        if segments:
            bars.append(Bar(route.name, accuracy(bundle, route.model), segments, tick, milliseconds(whole)))
            words.append(f"{route.name} {milliseconds(whole)}")
    if not bars:
        return []
    window = bundle.benchmark.window_s if bundle.benchmark else None
    axis = f"median latency in ms per window of {window:g} s" if window else "median latency in ms per window"
    title = "Latency by stage"
    description = f"Median latency end to end: {listing(words)}."
    wide, narrow = (draw_bars(f"{name}-latency", title, description, bars, axis, width) for width in (WIDE, NARROW))
    legend = [
        ("student frontend", "front end"),
        ("student encoder", "encoder, float"),
        ("int8 encoder", "encoder, INT8"),
    ]
    if any(route.model == TEACHER for route in routes(bundle)):
        legend.append(("teacher end_to_end", "float teacher, whole"))
    legend.append(("whole", "measured end to end"))
    return [Chart(title, description, wide, narrow, legend)]


def _comparisons(bundle: Bundle) -> list[Block]:
    pairs = bundle.comparisons
    if not pairs:
        return []
    rows, slower = [], []
    for pair in pairs:
        verdict = str(pair.verdict or MISSING)
        candidate, reference = str(pair.candidate), str(pair.reference)
        if verdict == "slower":
            slower.append(f"{candidate} than {reference}")
        bounds = pair.speedup_ci95
        rows.append(
            [
                Cell(candidate, f"against {reference}"),
                Cell(STAGE_NAMES.get(str(pair.stage), str(pair.stage))),
                Cell(times(pair.speedup), interval(bounds, 2) if bounds else ""),
                Cell(verdict, tone=tone_of(_TONES.get(verdict, ""))),
                *(_pair_accuracy(pair, side) for side in ("candidate", "reference")),
            ]
        )
    columns = [
        Column("Measured in turn"),
        Column("Stage"),
        Column("Speed-up", numeric=True),
        Column("Verdict"),
        Column("Its accuracy", numeric=True),
        Column("Accuracy of the other", numeric=True),
    ]
    note = (
        "A B A B on the same machine; the ratio is the median over pairs with its 95 % interval. Above 1 the first is "
        "faster."
    )
    blocks: list[Block] = [Notice(f"Slower here: {listing(slower)}.", "bad")] if slower else []
    return [*blocks, Table("Speed-up, and the accuracy of the same files", columns, rows, note)]


def _pair_accuracy(pair: PairMeasurement, side: str) -> Cell:
    """Accuracy that ``benchmark.json`` itself put beside the ratio."""
    known = pair.accuracy
    ranked = [(task.id, getattr(task, side)) for task in known.tasks if task.metric == "auroc" and getattr(task, side)]
    if not ranked:
        return Cell("not measured", known.reason or "", "quiet")
    note = ", ".join(f"{name} {fixed(row.value)}" for name, row in ranked)
    mean = sum(row.value for _, row in ranked) / len(ranked)
    return Cell(f"AUROC {fixed(mean)}", note if len(ranked) > 1 else f"on {ranked[0][0]}")


def _table(rows: Sequence[Measurement], benchmark: Benchmark) -> Table:
    columns = [
        Column("What ran"),
        Column("Stage"),
        *(Column(name, numeric=True) for name in ("p50 ms", "p90 ms", "p95 ms", "p99 ms")),
        Column("Real-time factor", numeric=True),
        Column("Cold start", numeric=True),
        Column("Peak memory", numeric=True),
        Column("Energy per window", numeric=True),
    ]
    cells = [
        [
            Cell(str(row.artifact), _setting(row)),
            Cell(STAGE_NAMES.get(str(row.stage), str(row.stage))),
            *(Cell(significant(value)) for value in (row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms)),
            Cell(significant(row.rtf, 2)),
            Cell(milliseconds(row.cold_start_ms)),
            Cell(significant(row.peak_rss_mb, 3, "MB")),
            Cell(significant(row.energy_mj, 3, "mJ")),
        ]
        for row in rows
    ]
    return Table("Latency on this machine", columns, cells, _plan(benchmark))


def _setting(row: Measurement) -> str:
    provider = str(row.provider or "").removesuffix("ExecutionProvider")
    parts = [provider and f"{provider} provider", str(row.precision or "")]
    return ", ".join([part for part in parts if part] + [count(row.threads, "thread")])


def _plan(benchmark: Benchmark) -> str:
    plan = benchmark.plan
    text = f"Mode {benchmark.mode}"
    if plan.get("loops"):
        text += f": {plan['loops']:g} loops of at least {plan['loop_s']:g} s after {plan['warmup_s']:g} s of warm-up"
    return (
        f"{text}; batch 1, fixed input. p50 is the median of the loops' medians, the other percentiles come from all "
        f"samples. {MISSING} means not measured."
    )


def _altered(bundle: Bundle, rows: Sequence[Measurement]) -> list[Block]:
    files = bundle.facts.files
    other = [str(row.artifact) for row in rows if row.sha256 and files.get(row.artifact, row.sha256) != row.sha256]
    if not other:
        return []
    return [Notice(f"Measured on other files than the bundle now holds: {listing(other)}. Benchmark it again.", "bad")]


def _tensorrt(bundle: Bundle) -> Block:
    engines = [name for name in bundle.facts.files if name.startswith("engine-") and name.endswith(".plan")]
    ran = [row for row in bundle.measurements if "tensorrt" in str(row.provider or "").lower()]
    if ran:
        return Text("TensorRT figures are those of the engine built on this machine; engines are not portable.")
    if engines:
        return Text(f"A TensorRT engine was built on this machine ({listing(engines)}) but not measured.")
    return Notice("No TensorRT engine was built on this machine, so there are no TensorRT figures.", "quiet")


def _not_measured(rows: Sequence[Measurement]) -> list[Block]:
    """Why columns are empty, once per reason."""
    names = {
        "energy_mj": "Energy",
        "peak_rss_mb": "Peak memory",
        "cold_start_ms": "Cold start",
        "processor_c": "Temperature",
        "clock_mhz": "Clock",
    }
    reasons: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for key, reason in row.not_measured.items():
            reasons.setdefault(str(reason), {}).setdefault(names.get(key, key), []).append(str(row.artifact))
    sentences = []
    for reason, columns in reasons.items():
        artifacts = list(dict.fromkeys(name for entries in columns.values() for name in entries))
        whose = "" if len(artifacts) == len(rows) else f" of {listing(artifacts)}"
        sentences.append(f"{capitalized(listing([name.lower() for name in columns]))}{whose} not measured: {reason}.")
    return [Text(" ".join(sentences))] if sentences else []
