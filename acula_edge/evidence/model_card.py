"""The model card of a bundle, ``README.md`` in Hugging Face's form, written from the bundle's JSON files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from acula_edge.evidence.acceptance import ACCEPTANCE_FILE
from acula_edge.files import read_json, write_text

CARD_FILE = "README.md"

_MODELS = {"model.int8.onnx": "int8", "model.onnx": "float_student"}
_METRICS = {"auroc": ("roc_auc", "AUROC"), "mae": ("mae", "mean absolute error")}


def write_card(bundle: Path, info: Mapping[str, Any]) -> None:
    """Write ``README.md`` into a bundle.

    Args:
        info: content of ``bundle.json``.
    """
    verify = _read(bundle / "verify.json")
    benchmark = _read(bundle / "benchmark.json")
    acceptance = _read(bundle / ACCEPTANCE_FILE)
    front = yaml.safe_dump(describe_card(info, verify), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        *_introduction(info),
        *_use(info),
        *_data(info),
        *_results(info, verify),
        *_subgroups(verify),
        *_speed(verify, benchmark),
        *_criteria(acceptance),
        *_limits(info, verify),
        *_how_to_check(),
    ]
    write_text(bundle / CARD_FILE, f"---\n{front}---\n\n" + "\n".join(sections) + "\n")


def describe_card(info: Mapping[str, Any], verify: Mapping[str, Any]) -> dict[str, Any]:
    """The card's front matter: values of tasks appear only where ``verify.json`` holds them."""
    model = recommended_file(info)
    datasets = list(info["provenance"].get("datasets") or {})
    results = []
    for task in verify.get("tasks", ()):
        row = task.get(_MODELS[model])
        if row is None:
            continue
        kind, name = _METRICS[task["metric"]]
        results.append(
            {
                "task": {"type": "audio-classification", "name": task["name"]},
                "dataset": {"type": task["dataset"], "name": task["dataset"], "split": "test"},
                "metrics": [{"type": kind, "value": round(row["value"], 4), "name": f"{name} of {model}"}],
            }
        )
    card: dict[str, Any] = {
        "license": "other",
        "license_name": "not-chosen",
        "library_name": "onnx",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "auscultation", "onnx", *(["int8"] if "model.int8.onnx" in info["files"] else [])],
        "datasets": datasets,
        "metrics": sorted({_METRICS[task["metric"]][0] for task in verify.get("tasks", ())}),
    }
    if results:
        card["model-index"] = [{"name": info["name"], "results": results}]
    return card


def recommended_file(info: Mapping[str, Any]) -> str:
    """The model that the bundle recommends."""
    return "model.int8.onnx" if info.get("recommended") == "int8" else "model.onnx"


def _introduction(info: Mapping[str, Any]) -> Iterator[str]:
    source = info["input"]
    yield f"# {info['name']}\n"
    yield f"**{info['disclaimer']}**\n"
    network = info["student"] or info["encoder"]
    yield (
        f"An audio encoder ({network}, {info['parameters']:,} parameters) with {len(info['tasks'])} task heads, as "
        f"ONNX files for the profile {info['profile']}. Input: {source['window_s']:g} s of mono sound at "
        f"{source['sample_rate_hz']} Hz. Output: an embedding of {info['embedding_dim']} values and a score per task. "
        f"Recommended file: `{recommended_file(info)}` ({info.get('recommended_because', '')}).\n"
    )


def _use(info: Mapping[str, Any]) -> Iterator[str]:
    yield "## Intended use\n"
    yield (
        "Research on body sounds recorded with stethoscopes and microphones, and the engineering of devices that run "
        "such models. It is not a medical device, and no score is to be shown to a patient or used to decide on care.\n"
    )
    yield "| task | what | kind | classes |\n|---|---|---|---|"
    for task in info["tasks"]:
        yield f"| {task['id']} | {task['name']} | {task['kind']} | {', '.join(task['labels'])} |"
    yield ""


def _data(info: Mapping[str, Any]) -> Iterator[str]:
    yield "## Data and licences\n"
    datasets = info["provenance"].get("datasets")
    if not datasets:
        yield "What it was made of is not stated in this bundle.\n"
        return
    yield "| data set | recordings | persons | licence | source |\n|---|---|---|---|---|"
    for name, facts in datasets.items():
        title = facts["title"] or name
        made = " (generated sound, no recordings of persons)" if facts["synthetic"] else ""
        licence, access = facts["licence"] or "not stated", facts["access"] or "-"
        yield f"| {title}{made} | {facts['recordings']} | {facts['subjects']} | {licence} | {access} |"
    yield (
        "\nThe licence of this model is not chosen: its owner chooses one that the data sets' licences, and that of "
        "the encoder's weights, allow.\n"
    )


def _results(info: Mapping[str, Any], verify: Mapping[str, Any]) -> Iterator[str]:
    yield "## Results\n"
    if not verify.get("tasks"):
        yield "Nothing was measured yet: `acula-edge verify` where the model was made.\n"
        return
    adjusted = verify["summary"].get("verdicts_holm", {}).get("int8_vs_student", {})
    yield "On persons who took no part in training (95 % interval); the verdict is adjusted over tasks (Holm):\n"
    yield "| task | metric | persons | float | INT8 | INT8 against float |\n|---|---|---|---|---|---|"
    for task in verify["tasks"]:
        verdict = adjusted.get(task["id"], task.get("int8_vs_student") or {}).get("verdict", "-")
        values = f"{_value(task.get('float_student'))} | {_value(task.get('int8'))}"
        yield f"| {task['id']} {task['name']} | {task['metric']} | {task['n_subjects']} | {values} | {verdict} |"
    for missing in verify["summary"].get("tasks_missing", ()):
        yield f"| {missing['id']} | not evaluated: {missing['reason']} | | | | |"
    yield ""


def _subgroups(verify: Mapping[str, Any]) -> Iterator[str]:
    rows = [(task, group) for task in verify.get("tasks", ()) for group in task.get("subgroups", ())]
    if not rows:
        return
    yield "### Subgroups\n"
    yield "Point values; small groups say little, and many comparisons are made.\n"
    yield "| task | group | persons | float | INT8 |\n|---|---|---|---|---|"
    for task, group in rows:
        values = " | ".join("-" if group.get(m) is None else f"{group[m]:.3f}" for m in ("float_student", "int8"))
        yield f"| {task['id']} | {group['column']}: {group['group']} | {group['n_subjects']} | {values} |"
    yield ""


def _speed(verify: Mapping[str, Any], benchmark: Mapping[str, Any]) -> Iterator[str]:
    yield "## Latency, with the accuracy of the same file\n"
    rows = []
    for row in benchmark.get("measurements", ()):
        model = _MODELS.get(row["artifact"])
        scored = [(task, task[model]["value"]) for task in verify.get("tasks", ()) if model and task.get(model)]
        if row["stage"] == "end_to_end" and scored:
            accuracy = ", ".join(f"{task['id']} {value:.3f}" for task, value in scored)
            rows.append(
                f"| `{row['artifact']}` | {row['p50_ms']:.2f} | {row['p95_ms']:.2f} | {row['threads']} | {accuracy} |"
            )
    if not rows:
        yield "None is shown: latency appears here only for files whose accuracy was measured.\n"
        return
    environment = benchmark["environment"]
    cpu = environment["cpu"].get("model") or environment.get("machine") or "an unnamed CPU"
    yield f"Waveform to scores on {cpu}, one window of {benchmark['window_s']:g} s; other machines differ.\n"
    yield "| file | p50 ms | p95 ms | threads | value by task |\n|---|---|---|---|---|"
    yield from rows
    yield ""


def _criteria(acceptance: Mapping[str, Any]) -> Iterator[str]:
    if not acceptance:
        return
    said = {True: "met", False: "not met", None: "not decided: not everything was measured"}
    yield "## Acceptance criteria\n"
    yield (
        f"Fixed {acceptance['fixed']}, {acceptance['fixed_at']}, SHA-256 `{acceptance['criteria_sha256']}`. "
        f"Altogether: {said[acceptance['accepted']]}.\n"
    )
    for change in acceptance["changed"]:
        yield f"* **Changed later**: {change['name']} was {change['fixed']}, at {change['at']} {change['later']}"
    if acceptance["changed"]:
        yield ""
    yield "| criterion | limit | found | met | where |\n|---|---|---|---|---|"
    for row in acceptance["results"]:
        value = f"{row['value']:.4g}" if isinstance(row["value"], float) else row["value"]
        met = {True: "yes", False: "no", None: "-"}[row["met"]]
        yield f"| {row['name']} | {row['limit']} | {'-' if value is None else value} | {met} | {row['where'] or ''} |"
    yield ""


def _limits(info: Mapping[str, Any], verify: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits\n"
    yield (
        "* Scores hold for sound like that of the data sets above: their sensors, places and persons. On others they "
        "were not measured.\n"
        "* Recordings that are too short, silent, clipped or without contact are answered with a reason, not a score; "
        "the limits are in `bundle.json`.\n"
        "* Thresholds were chosen on training persons; sensitivity and specificity elsewhere may differ."
    )
    leaks = (verify.get("split") or {}).get("leaks")
    if leaks:
        yield f"* {len(leaks)} leaks between training and test were found (see verify.json): values are too good."
    if any(facts["synthetic"] for facts in (info["provenance"].get("datasets") or {}).values()):
        yield "* Generated sound took part: figures on it say nothing about patients."
    yield ""


def _how_to_check() -> Iterator[str]:
    yield "## Checking this bundle\n"
    yield (
        "`python selftest.py` in this folder needs only numpy and onnxruntime, and says whether this device computes "
        "the same. `acula-edge bundle verify .` checks every file, the bill of materials (`sbom.cdx.json`) and the "
        "criteria (`acceptance.json`)."
    )


def _value(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    interval = row.get("ci95")
    return f"{row['value']:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _read(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}
