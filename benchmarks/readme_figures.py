"""Fill the README's tables and draw its figure from result files, so that no figure in it was typed by hand.

    python benchmarks/readme_figures.py --demo runs/demo --run runs/auscultation --controls runs/controls/controls.json

Each part is filled from what is given; the others stay as they are. The files that the figure and tables of real
recordings rest on are kept in ``benchmarks/results/`` (aggregates only: no score or label of any person).
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FIGURE = RESULTS / "auscultation.svg"
LABELS = {
    ("random", "teacher"): "random initialization",
    ("self-supervised", "teacher"): "self-supervision alone (COLA)",
    ("published-cka", "teacher"): "published form: CKA, both heads trained, COLA",
    ("shuffled", "teacher"): "aligned to shuffled reports",
    ("label", "teacher"): "trained on the label itself",
    ("facts", "teacher"): "aligned to facts, without a language model",
    ("random-language", "teacher"): "aligned to reports, the language model's weights random",
    ("by-facts", "teacher"): "aligned, equal facts as one",
    ("unnormalized", "teacher"): "aligned, embeddings not normalized",
    ("student-alone", "teacher"): "the student aligned without a teacher",
    ("aligned", "teacher"): "aligned",
    ("deployed", "student"): "float student of it",
    ("deployed", "int8"): "INT8 student",
}
OBJECTIVES = {
    "random": "none (random initialization)",
    "self-supervised": "COLA alone",
    "released": "released covariance form + COLA, both heads trained",
    "cka": "linear CKA",
    "cka-debiased": "debiased CKA",
    "infonce": "InfoNCE",
    "aligned": "regression + InfoNCE (the recipe)",
    "shuffled": "regression + InfoNCE, reports shuffled",
}
MODELS = ("float_teacher", "float_student", "int8")
STAGES = {"frontend": "front end", "encoder": "encoder", "end_to_end": "waveform to scores"}

Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="run of `acula-edge demo`")
    parser.add_argument("--run", type=Path, help="run on CirCor and KAUH, with its INT8 bundle")
    parser.add_argument("--controls", type=Path, help="controls.json of alignment_controls.py")
    parser.add_argument("--objectives", type=Path, help="the same file, of single objectives")
    parser.add_argument("--int8-latency", type=Path, help="JSON of int8_latency.py")
    parser.add_argument("--transformers", type=Path, help="JSON of transformer_int8.py")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args()
    text = options.readme.read_text(encoding="utf-8")
    if options.demo:
        text = fill(text, "demo", [*tasks_table(bundle_of(options.demo)), "", *latency_table(bundle_of(options.demo))])
    if options.run and options.controls:
        controls = json.loads(options.controls.read_text(encoding="utf-8"))
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "controls.json").write_text(json.dumps(controls, indent=2) + "\n", encoding="utf-8")
        draw(controls, FIGURE)
        lines = [f"![AUROC of C1 with intervals]({FIGURE.relative_to(ROOT)})", "", *controls_table(controls)]
        text = fill(text, "auscultation", [*lines, "", *latency_table(bundle_of(options.run))])
    if options.objectives:
        objectives = json.loads(options.objectives.read_text(encoding="utf-8"))
        (RESULTS / "objectives.json").write_text(json.dumps(objectives, indent=2) + "\n", encoding="utf-8")
        text = fill(text, "objectives", objectives_table(objectives))
    if options.int8_latency:
        figures = json.loads(options.int8_latency.read_text(encoding="utf-8"))
        (RESULTS / "int8_latency.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        text = fill(text, "int8-latency", targets_table(figures))
    if options.transformers:
        figures = json.loads(options.transformers.read_text(encoding="utf-8"))
        (RESULTS / "transformer_int8.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        text = fill(text, "transformer-int8", transformers_table(figures))
    options.readme.write_text(text, encoding="utf-8")


def fill(text: str, name: str, lines: Sequence[str]) -> str:
    """Put lines between the markers of a name."""
    start, end = f"<!-- figures: {name} -->", f"<!-- /figures: {name} -->"
    if start not in text or end not in text:
        raise SystemExit(f"the README has no markers {start} and {end}")
    body = "\n".join(lines)
    return re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: f"{start}\n{body}\n{end}", text, flags=re.DOTALL)


def bundle_of(run: Path) -> Path:
    """The run's only bundle."""
    found = sorted(path.parent for path in run.glob("export/*/bundle.json"))
    if len(found) != 1:
        raise SystemExit(f"{run} holds {len(found)} bundles; one is needed")
    return found[0]


def tasks_table(bundle: Path) -> list[str]:
    """Values of the three models and the verdict, a row per task."""
    verify = json.loads((bundle / "verify.json").read_text(encoding="utf-8"))
    lines = [
        "| task | persons | float teacher | float student | INT8 | INT8 - student | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in verify["tasks"]:
        values = [interval(task[model]["value"], task[model]["ci95"]) for model in MODELS]
        compared = task["int8_vs_student"]
        change = interval(compared["delta"], compared["ci95"], signed=True)
        name = f"{task['id']} {task['name']}, {task['metric'].upper()}"
        lines.append(f"| {name} | {task['n_subjects']} | {' | '.join(values)} | {change} | {compared['verdict']} |")
    return lines


def latency_table(bundle: Path) -> list[str]:
    """Median and 99th percentile of every measurement, and the speed-ups that were measured in turn."""
    benchmark = json.loads((bundle / "benchmark.json").read_text(encoding="utf-8"))
    cpu = benchmark["environment"]["cpu"]
    lines = [
        f"One {benchmark['window_s']:g}-s window on {cpu['model']}, "
        f"{'with' if cpu['int8_dot_product'] else 'without'} INT8 dot product (VNNI), one thread:",
        "",
        "| what | stage | p50 | p99 | size |",
        "|---|---|---|---|---|",
    ]
    for row in benchmark["measurements"]:
        size = "" if row["size_bytes"] is None else f"{row['size_bytes'] / 1e6:.2f} MB"
        stage = STAGES[row["stage"]]
        lines.append(f"| {row['artifact']} | {stage} | {row['p50_ms']:.2f} ms | {row['p99_ms']:.2f} ms | {size} |")
    lines.append("")
    for pair in benchmark["comparisons"]:
        low, high = pair["speedup_ci95"]
        lines.append(
            f"* {pair['candidate']} is {pair['speedup']:.2f} [{low:.2f}, {high:.2f}] times as fast as "
            f"{pair['reference']} (in turn, median of {pair['pairs']} pairs)"
        )
    return lines


def controls_table(controls: Json) -> list[str]:
    """AUROC of every condition, pooled over folds, and the differences on the same persons."""
    rows = {(row["condition"], row["model"], row["task"]): row for row in controls["rows"]}
    lines = ["| encoder | C1 heart murmur (CirCor) | T10 obstructive disease (KAUH) | folds |", "|---|---|---|---|"]
    for (condition, model), label in LABELS.items():
        cells = [rows.get((condition, model, task)) for task in ("C1", "T10")]
        if not any(cells):
            continue
        values = [interval(cell["auroc"], cell["ci95"]) if cell else "" for cell in cells]
        lines.append(f"| {label} | {' | '.join(values)} | {next(c['folds'] for c in cells if c)} |")
    persons = {task: max(row["subjects"] for row in controls["rows"] if row["task"] == task) for task in ("C1", "T10")}
    several = any(row.get("seeds", 1) > 1 for row in controls["rows"])
    drawn = "persons and training seeds" if several else "persons"
    lines += [
        "",
        f"AUROC of recordings, pooled out-of-fold scores of five folds over {persons['C1']} and {persons['T10']} "
        f"persons, 95 % bootstrap intervals over {drawn}. Differences on the same persons:",
        "",
    ]
    for entry in controls["differences"]:
        if entry["task"] not in ("C1", "T10") or any(tuple(entry[side]) not in LABELS for side in ("first", "second")):
            continue
        first, second = (LABELS[tuple(entry[side])] for side in ("first", "second"))
        change = interval(entry["delta"], entry["ci95"], signed=True)
        lines.append(f"* {entry['task']}: {first}, less {second}: {change} ({entry['folds']} folds)")
    return lines


def objectives_table(objectives: Json) -> list[str]:
    """AUROC of every objective on some folds, and what each gains over the shuffled control on the same persons."""
    rows = {(row["condition"], row["task"]): row for row in objectives["rows"]}
    gains = {(entry["first"][0], entry["second"][0], entry["task"]): entry for entry in objectives["differences"]}
    lines = ["| objective | C1 | less shuffled | T10 | less shuffled |", "|---|---|---|---|---|"]
    for condition, label in OBJECTIVES.items():
        cells = []
        for task in ("C1", "T10"):
            row, gain = rows[condition, task], gains.get((condition, "shuffled", task))
            cells.append(interval(row["auroc"], row["ci95"]))
            cells.append(interval(gain["delta"], gain["ci95"], signed=True) if gain else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    persons = {task: rows["aligned", task]["subjects"] for task in ("C1", "T10")}
    folds = rows["aligned", "C1"]["folds"]
    return [
        *lines,
        "",
        f"AUROC of recordings over {folds} of the five folds, {persons['C1']} and {persons['T10']} persons, 95 % "
        "intervals over persons. All but the released form are on the recipe's fixed text target.",
    ]


def targets_table(figures: Json) -> list[str]:
    """Every target of the INT8 student beside what was measured, met or not."""
    cpu = figures["environment"]["cpu"]
    lines = [
        f"`{figures['bundle']['name']}` on {cpu['model']}, {'with' if cpu['int8_dot_product'] else 'without'} INT8 dot "
        f"product (VNNI), one thread, one window from waveform to scores, `--mode {figures['plan']['mode']}`:",
        "",
        "| what | target | measured | |",
        "|---|---|---|---|",
    ]
    for row in figures["targets"]:
        sign, unit = "≤" if row["at_most"] else "≥", row["unit"]
        limit, value = (quantity(number, unit) for number in (row["limit"], row["value"]))
        if row["ci95"] is not None:
            low, high = (quantity(number, unit) for number in row["ci95"])
            value += f" [{low}, {high}]"
        lines.append(f"| {row['what']} | {sign} {limit} | {value} | {'met' if row['met'] else '**not met**'} |")
    return [
        *lines,
        "",
        f"Ratios are medians over {figures['comparisons'][0]['pairs']} pairs run in turn, with 95 % intervals. "
        f"OPERA's encoders have random weights of the published shapes; features in Python: {figures['features']}. "
        f"INT8 peak {figures['peak_gmacs_per_s']:.0f} GMAC/s, INT8 encoder {figures['encoder_gmacs_per_s']:.0f}.",
    ]


def transformers_table(figures: Json) -> list[str]:
    """Embeddings of INT8 transformers against their float ones, a row per form of each."""
    lines = [
        "| encoder | INT8 | cosine, 1st percentile | median | centered, mean | SQNR |",
        "|---|---|---|---|---|---|",
    ]
    for encoder in figures["encoders"]:
        for form in encoder["forms"]:
            name = f"**{form['name']}**" if form["chosen"] else form["name"]
            lines.append(
                f"| {encoder['encoder']}, {encoder['steps']} steps | {name} | {form['cosine_p1']:.5f} | "
                f"{form['cosine_median']:.5f} | {form['cosine_centered_mean']:.4f} | {form['sqnr_db']:.1f} dB |"
            )
    return lines


def quantity(value: float, unit: str) -> str:
    """``1.6 ms``, ``312x``, ``51 %``"""
    if not unit:
        return f"{100 * value:.0f} %"
    return f"{value:.3g}x" if unit == "x" else f"{value:.3g} {unit}"


def interval(value: float, ci95: Sequence[float] | None, signed: bool = False) -> str:
    """``0.881 [0.815, 0.933]``"""
    form = "{:+.3f}" if signed else "{:.3f}"
    return form.format(value) + ("" if ci95 is None else f" [{form.format(ci95[0])}, {form.format(ci95[1])}]")


def draw(controls: Json, path: Path) -> None:
    """C1 of every condition as points with intervals."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "acula-edge"
    from matplotlib import pyplot

    rows = {(row["condition"], row["model"]): row for row in controls["rows"] if row["task"] == "C1"}
    shown = [key for key in LABELS if key in rows][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(shown) + 1.1), layout="constrained")
    for position, key in enumerate(shown):
        row = rows[key]
        low, high = row["ci95"]
        color = "#1b6ca8" if key[0] in ("aligned", "deployed") else "#8a8a8a"
        axes.plot([low, high], [position, position], color=color, linewidth=2, solid_capstyle="butt")
        axes.plot(row["auroc"], position, "o", color=color, markersize=7)
        axes.annotate(f"{row['auroc']:.3f}", (row["auroc"], position), (0, 7), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(shown)), [LABELS[key] for key in shown])
    axes.set_ylim(-0.6, len(shown) - 0.3)
    persons = max(row["subjects"] for row in rows.values())
    axes.set_xlabel(f"AUROC of C1, {persons} persons, 95 % intervals over persons")
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
