"""The model card of a bundle, ``README.md`` in Hugging Face's form, written from its JSON files alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from acula_edge.bundle.layout import CARD_FILE, MODEL_FILES, ROW_OF_FILE
from acula_edge.bundle.schema import Acceptance, Benchmark, Bundle, TaskEvaluation, ValueInterval, Verify
from acula_edge.files import write_text

_METRICS = {"auroc": ("roc_auc", "AUROC"), "mae": ("mae", "mean absolute error")}


def write_card(
    folder: Path, info: Bundle, verify: Verify | None, benchmark: Benchmark | None, acceptance: Acceptance
) -> None:
    """Write ``README.md`` into a bundle."""
    front = yaml.safe_dump(describe_card(info, verify), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        *_introduction(info),
        *_use(info),
        *_data(info),
        *_results(verify),
        *_subgroups(verify),
        *_speed(verify, benchmark),
        *_criteria(acceptance),
        *_limits(info, verify),
        *_how_to_check(),
    ]
    write_text(folder / CARD_FILE, f"---\n{front}---\n\n" + "\n".join(sections) + "\n")


def describe_card(info: Bundle, verify: Verify | None) -> dict[str, Any]:
    """The card's front matter: values of tasks appear only where ``verify.json`` holds them."""
    model = recommended_file(info)
    tasks = [] if verify is None else verify.tasks
    results = []
    for task in tasks:
        row = row_of(task, model)
        if row is None:
            continue
        kind, name = _METRICS[task.metric]
        results.append(
            {
                "task": {"type": "audio-classification", "name": task.name},
                "dataset": {"type": task.dataset, "name": task.dataset, "split": "test"},
                "metrics": [{"type": kind, "value": round(row.value, 4), "name": f"{name} of {model}"}],
            }
        )
    card: dict[str, Any] = {
        "license": "other",
        "license_name": "not-chosen",
        "library_name": "onnx",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "auscultation", "onnx", *(["int8"] if MODEL_FILES["int8"] in info.files else [])],
        "datasets": list(info.provenance.datasets or {}),
        "metrics": sorted({_METRICS[task.metric][0] for task in tasks}),
    }
    if results:
        card["model-index"] = [{"name": info.name, "results": results}]
    return card


def recommended_file(info: Bundle) -> str:
    """The model that the bundle recommends."""
    return MODEL_FILES[info.recommended or "float"]


def row_of(task: TaskEvaluation, file: str) -> ValueInterval | None:
    """The row of a task that evaluates a file of the bundle; None where none does."""
    row: ValueInterval | None = getattr(task, ROW_OF_FILE[file]) if file in ROW_OF_FILE else None
    return row


def _introduction(info: Bundle) -> Iterator[str]:
    yield f"# {info.name}\n"
    yield f"**{info.disclaimer}**\n"
    network = info.student or info.encoder
    yield (
        f"An audio encoder ({network}, {info.parameters:,} parameters) with {len(info.tasks)} task heads, as "
        f"ONNX files for the profile {info.profile}. Input: {info.input.window_s:g} s of mono sound at "
        f"{info.input.sample_rate_hz} Hz. Output: an embedding of {info.embedding_dim} values and a score per task. "
        f"Recommended file: `{recommended_file(info)}` ({info.recommended_because or ''}).\n"
    )


def _use(info: Bundle) -> Iterator[str]:
    yield "## Intended use\n"
    yield (
        "Research on body sounds recorded with stethoscopes and microphones, and the engineering of devices that run "
        "such models. It is not a medical device, and no score is to be shown to a patient or used to decide on care.\n"
    )
    yield "| task | what | kind | classes |\n|---|---|---|---|"
    for task in info.tasks:
        yield f"| {task.id} | {task.name} | {task.kind} | {', '.join(task.labels)} |"
    yield ""


def _data(info: Bundle) -> Iterator[str]:
    yield "## Data and licences\n"
    datasets = info.provenance.datasets
    if not datasets:
        yield "What it was made of is not stated in this bundle.\n"
        return
    yield "| data set | recordings | persons | licence | source |\n|---|---|---|---|---|"
    for name, facts in datasets.items():
        title = facts.title or name
        made = " (generated sound, no recordings of persons)" if facts.synthetic else ""
        licence, access = facts.licence or "not stated", facts.access or "-"
        yield f"| {title}{made} | {facts.recordings} | {facts.subjects} | {licence} | {access} |"
    yield (
        "\nThe licence of this model is not chosen: its owner chooses one that the data sets' licences, and that of "
        "the encoder's weights, allow.\n"
    )


def _results(verify: Verify | None) -> Iterator[str]:
    yield "## Results\n"
    if verify is None or not verify.tasks:
        yield "Nothing was measured yet: `acula-edge verify` where the model was made.\n"
        return
    adjusted = verify.summary.verdicts_holm.int8_vs_student
    yield "On persons who took no part in training (95 % interval); the verdict is adjusted over tasks (Holm):\n"
    yield "| task | metric | persons | float | INT8 | INT8 against float |\n|---|---|---|---|---|---|"
    for task in verify.tasks:
        verdict = adjusted[task.id].verdict if task.id in adjusted else "-"
        values = f"{_value(task.float_student)} | {_value(task.int8)}"
        yield f"| {task.id} {task.name} | {task.metric} | {task.n_subjects} | {values} | {verdict} |"
    for missing in verify.summary.tasks_missing:
        yield f"| {missing.id} | not evaluated: {missing.reason} | | | | |"
    yield ""


def _subgroups(verify: Verify | None) -> Iterator[str]:
    rows = [] if verify is None else [(task, group) for task in verify.tasks for group in task.subgroups]
    if not rows:
        return
    yield "### Subgroups\n"
    yield "Point values; small groups say little, and many comparisons are made.\n"
    yield "| task | group | persons | float | INT8 |\n|---|---|---|---|---|"
    for task, group in rows:
        values = " | ".join("-" if value is None else f"{value:.3f}" for value in (group.float_student, group.int8))
        yield f"| {task.id} | {group.column}: {group.group} | {group.n_subjects} | {values} |"
    yield ""


def _speed(verify: Verify | None, benchmark: Benchmark | None) -> Iterator[str]:
    yield "## Latency, with the accuracy of the same file\n"
    rows = []
    tasks = [] if verify is None else verify.tasks
    for row in [] if benchmark is None else benchmark.measurements:
        scored = [(task.id, found) for task in tasks if (found := row_of(task, row.artifact)) is not None]
        if row.stage == "end_to_end" and scored:
            accuracy = ", ".join(f"{name} {found.value:.3f}" for name, found in scored)
            rows.append(f"| `{row.artifact}` | {row.p50_ms:.2f} | {row.p95_ms:.2f} | {row.threads} | {accuracy} |")
    if benchmark is None or not rows:
        yield "None is shown: latency appears here only for files whose accuracy was measured.\n"
        return
    cpu = benchmark.environment.cpu.model or benchmark.environment.machine or "an unnamed CPU"
    yield f"Waveform to scores on {cpu}, one window of {benchmark.window_s:g} s; other machines differ.\n"
    yield "| file | p50 ms | p95 ms | threads | value by task |\n|---|---|---|---|---|"
    yield from rows
    yield ""


def _criteria(acceptance: Acceptance) -> Iterator[str]:
    said = {True: "met", False: "not met", None: "not decided: not everything was measured"}
    yield "## Acceptance criteria\n"
    yield (
        f"Fixed {acceptance.fixed}, {acceptance.fixed_at}, SHA-256 `{acceptance.criteria_sha256}`. "
        f"Altogether: {said[acceptance.accepted]}.\n"
    )
    for change in acceptance.changed:
        yield f"* **Changed later**: {change.name} was {change.fixed}, at {change.at} {change.later}"
    if acceptance.changed:
        yield ""
    yield "| criterion | limit | found | met | where |\n|---|---|---|---|---|"
    for row in acceptance.results:
        value = f"{row.value:.4g}" if isinstance(row.value, float) else row.value
        met = {True: "yes", False: "no", None: "-"}[row.met]
        yield f"| {row.name} | {row.limit} | {'-' if value is None else value} | {met} | {row.where or ''} |"
    yield ""


def _limits(info: Bundle, verify: Verify | None) -> Iterator[str]:
    yield "## Limits\n"
    yield (
        "* Scores hold for sound like that of the data sets above: their sensors, places and persons. On others they "
        "were not measured.\n"
        "* Recordings that are too short, silent, clipped or without contact are answered with a reason, not a score; "
        "the limits are in `bundle.json`.\n"
        "* Thresholds were chosen on training persons; sensitivity and specificity elsewhere may differ."
    )
    leaks = verify.split.leaks if verify is not None and verify.split is not None else []
    if leaks:
        yield f"* {len(leaks)} leaks between training and test were found (see verify.json): values are too good."
    if any(facts.synthetic for facts in (info.provenance.datasets or {}).values()):
        yield "* Generated sound took part: figures on it say nothing about patients."
    yield ""


def _how_to_check() -> Iterator[str]:
    yield "## Checking this bundle\n"
    yield (
        "`python selftest.py` in this folder needs only numpy and onnxruntime, and says whether this device computes "
        "the same. `acula-edge bundle verify .` checks every file, the bill of materials (`sbom.cdx.json`) and the "
        "criteria (`acceptance.json`)."
    )


def _value(row: ValueInterval | None) -> str:
    if row is None:
        return "-"
    return f"{row.value:.3f}" + (f" ({row.ci95[0]:.3f} to {row.ci95[1]:.3f})" if row.ci95 else "")
