"""Verification and latency as tables, the same for every verb that ends in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acula_edge.cli.console import note, print_json, print_line, print_table
from acula_edge.data.leaks import Leak
from acula_edge.files import read_json
from acula_edge.run import Run
from acula_edge.untrusted.json_file import showing

_MODELS = (("teacher", "float_teacher"), ("float", "float_student"), ("INT8", "int8"))


def print_verification(verification: Mapping[str, Any]) -> None:
    """One row per task: each model's value with its interval, then INT8 against its own float student."""
    _print_tasks(verification["tasks"], "As good as float? Values with 95 % intervals over subjects")
    _print_published(verification["tasks"])
    for leak in (verification.get("split") or {}).get("leaks", ()):
        note(f"the published partition leaks: {Leak(**{**leak, 'sides': tuple(leak['sides'])})}")
    for missing in verification.get("summary", {}).get("tasks_missing", ()):
        note(f"not evaluated: {missing['id']}: {missing['reason']}")
    if verification.get("zero_shot") is not None:
        _print_zero_shot(verification["zero_shot"])
    print_line()
    gate = verification.get("gate")
    if gate is not None and not any(task.get("int8") for task in verification["tasks"]) and verification["tasks"]:
        print_line("gate: not asked, there is no INT8 model")
    elif gate is not None:
        print_line(f"gate: {'passed' if gate['passed'] else 'refused'}")
        for reason in gate.get("reasons", ()):
            print_line(f"  {reason}")


def _print_tasks(tasks: Sequence[Mapping[str, Any]], title: str) -> None:
    rows = []
    for task in tasks:
        comparison = task.get("int8_vs_student") or {}
        rows.append(
            [
                task["id"],
                task["name"],
                task["metric"].upper(),
                task["n_subjects"],
                *(_value(task.get(model)) for _, model in _MODELS),
                _signed(comparison.get("delta"), comparison.get("ci95")),
                comparison.get("verdict"),
            ]
        )
    labels = [label for label, _ in _MODELS]
    print_table(
        ["task", "", "metric", "subjects", *labels, "INT8 - float", "verdict"],
        rows,
        title=title,
        numeric=["subjects", *labels, "INT8 - float"],
    )


def _print_zero_shot(zero_shot: Mapping[str, Any]) -> None:
    """Tasks scored from prompts, and which report belongs to a recording."""
    print_line()
    _print_tasks(zero_shot["tasks"], f"Zero-shot: the text prompts {zero_shot['prompts']!r} instead of a probe")
    for missing in zero_shot["tasks_missing"]:
        note(f"not evaluated zero-shot: {missing['id']}: {missing['reason']}")
    scopes = zero_shot["retrieval"]["scopes"]
    if not scopes:
        return
    rows: list[list[object]] = []
    for scope in scopes:
        where = [scope["dataset"] or "all", scope["n_subjects"], scope["n_recordings"], scope["n_reports"]]
        rows.extend(
            [*where, label, *(_value(scope[model][key]) for key in scope["chance"])]
            for label, model in _MODELS
            if model in scope
        )
        usual = next(scope[model] for _, model in _MODELS if model in scope)
        rows.append([*where, "shuffled", *(f"{usual[key]['shuffled']:.3f}" for key in scope["chance"])])
        rows.append([*where, "chance", *(f"{value:.3f}" for value in scope["chance"].values())])
    columns = [key.replace("_", " ") for key in scopes[0]["chance"]]
    print_line()
    print_table(
        ["data set", "subjects", "recordings", "reports", "model", *columns],
        rows,
        title="Which report belongs to a recording? Validation persons, 95 % intervals over subjects",
        numeric=["subjects", "recordings", "reports", *columns],
    )


def _print_published(tasks: Sequence[Mapping[str, Any]]) -> None:
    """The published protocol's figures, where there are any."""
    rows = []
    for task in tasks:
        figures = task.get("published_probe")
        if figures is None or figures["reason"] is not None:
            continue
        values = [figures.get(model) for _, model in _MODELS]
        rows.append([task["id"], task["name"], task["metric"].upper(), *(_mean_and_std(value) for value in values)])
    if rows:
        labels = [label for label, _ in _MODELS]
        print_line()
        print_table(
            ["task", "", "metric", *labels],
            rows,
            title="By the published protocol: mean and standard deviation over five seeds, or over subjects",
            numeric=labels,
        )


def _mean_and_std(figure: Mapping[str, Any] | None) -> str | None:
    return None if figure is None else f"{figure['value']:.3f} +- {figure['std']:.3f}"


def print_benchmark(benchmark: Mapping[str, Any]) -> None:
    """One row per measurement, then speed-ups, each beside the accuracy of the same two files."""
    columns = ["artifact", "stage", "provider", "threads", "p50 ms", "p90 ms", "p99 ms", "cold ms", "peak MB", "mJ"]
    keys = [*columns[:4], "p50_ms", "p90_ms", "p99_ms", "cold_start_ms", "peak_rss_mb", "energy_mj"]
    print_table(
        columns,
        [[_shortened(row[key]) for key in keys] for row in benchmark["measurements"]],
        title="Latency on this machine; energy above idle; a dash was not measured",
        numeric=columns[3:],
    )
    for comparison in benchmark["comparisons"]:
        print_line(_speed_up(comparison))
    for warning in benchmark.get("warnings", ()):
        note(f"warning: {warning}")


def _shortened(value: object) -> object:
    """``CPU`` for ``CPUExecutionProvider``, ``end to end`` for ``end_to_end``: a terminal is narrow."""
    return (
        value.removesuffix("ExecutionProvider").replace("end_to_end", "end to end") if isinstance(value, str) else value
    )


def _speed_up(comparison: Mapping[str, Any]) -> str:
    pair = f"{comparison['candidate']} against {comparison['reference']}"
    accuracy = comparison["accuracy"]
    if not accuracy["tasks"]:
        return f"{pair}: no speed-up is stated without an accuracy ({accuracy['reason']})"
    low, high = comparison["speedup_ci95"]
    kept = "; ".join(
        f"{task['id']} {task['metric'].upper()} {_number(task['reference'])} -> {_number(task['candidate'])}"
        for task in accuracy["tasks"]
    )
    return f"{pair}: {comparison['speedup']:.2f} times [{low:.2f}, {high:.2f}] as fast; {kept}"


def _number(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["value"] is None else f"{row['value']:.3f}"


def newest_bundle(run: Path) -> Path:
    """The bundle of a run that was written last."""
    return max(Run.open(run).bundles, key=lambda bundle: (bundle / "bundle.json").stat().st_mtime)


def print_bundle_summary(bundle: Path, as_json: bool) -> None:
    """What an export made: where it lies, whether it is as good as float, how fast it is here."""
    verification = _read(bundle / "verify.json")
    benchmark = _read(bundle / "benchmark.json")
    report = bundle.parent.parent / "report.html"
    if as_json:
        print_json(
            {
                "bundle": str(bundle),
                "report": str(report) if report.is_file() else None,
                "verify": verification,
                "benchmark": benchmark,
            }
        )
        return
    with showing(f"{bundle}: verify.json, benchmark.json or quantize.json"):
        if verification is not None:
            print_verification(verification)
            print_line()
        if benchmark is not None:
            print_benchmark(benchmark)
            print_line()
        speed = (_read(bundle / "quantize.json") or {}).get("speed")
        if speed is not None:
            model = "INT8" if speed["recommended"] == "int8" else "float"
            print_line(f"recommended: the {model} model; {speed['reason']}")
    print_line(f"bundle: {bundle}")
    if report.is_file():
        print_line(f"report: {report}")


def _read(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _value(row: Mapping[str, Any] | None) -> str | None:
    if not row or row.get("value") is None:
        return None
    interval = row.get("ci95")
    return f"{row['value']:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _signed(delta: float | None, interval: list[float] | None) -> str | None:
    if delta is None:
        return None
    return f"{delta:+.4f}" + (f" [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else "")
