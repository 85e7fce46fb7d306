"""Which way of teaching keeps most of the teacher? The ``base`` student, one change at a time, on real recordings.

    python benchmarks/distillation_ablation.py --run runs/clean --out runs/trials --epochs 8

Every trial goes through distillation, export and INT8 and is read by a linear probe fitted on training persons. The
default is chosen by validation figures: nearest neighbors in common with the teacher, which are nobody's loss, beside
the cosine and CKA to the teacher and AUROC on validation persons. Test persons only say what the choice is worth. A
trial that is done is not done again, and one that was interrupted is resumed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from distillation_trial import Trial, add_options, run_all
from trial_summary import MARGIN, compare, scores_of, shown, summarize_scores, tasks_of

from acula_edge.encoders.students import students
from acula_edge.files import write_json

RESULTS = Path(__file__).resolve().parent / "results"
SCHEMA = "acula-edge/distillation-ablation/1"
BASE = students["base"]
DEFAULT = "base"
TRIALS = (
    Trial("base", "the default: cosine, CKA to the teacher, CKA to the reports, degraded input", BASE),
    Trial("cosine", "cosine alone", BASE, {"cka_teacher": 0.0, "cka_text": 0.0}),
    Trial("no-text", "cosine and CKA to the teacher", BASE, {"cka_text": 0.0}),
    Trial("text", "the default with ten times the CKA to the reports", BASE, {"cka_text": 1.0}),
    Trial(
        "relational", "the default and relational terms", BASE, {"relational_distance": 1.0, "relational_angle": 2.0}
    ),
    Trial(
        "relational-for-cka",
        "cosine and relational terms, no CKA",
        BASE,
        {"cka_teacher": 0.0, "cka_text": 0.0, "relational_distance": 1.0, "relational_angle": 2.0},
    ),
    Trial("clean-input", "the default without sensor degradation and masks", BASE, {"degrade": False}),
    Trial("longer", "the default, twice the epochs", BASE, epochs_factor=2),
    Trial("second-generation", "the default, taught by the default's student", BASE, teacher="base"),
    Trial("untrained", "control: the network at random initialization", BASE, untrained=True),
    Trial("aligned-itself", "control: the network aligned with the reports, taught by nobody", BASE, aligned="student"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    done = run_all(TRIALS, options)
    if DEFAULT not in done:
        raise SystemExit(f"there is nothing to compare with before the trial {DEFAULT} is done")
    result = summarize(options.out, done)
    write_json(RESULTS / "distillation_ablation.json", result)
    show(result)


def summarize(out: Path, done: list[str]) -> dict[str, Any]:
    """AUROC of every way of teaching, and its paired difference to the default and to the teacher."""
    teacher, default = scores_of(out, "teacher"), scores_of(out, DEFAULT)
    trials = []
    for name in done:
        scores = scores_of(out, name)
        facts = json.loads((out / name / "result.json").read_text())
        facts["training"] |= json.loads((out / name / "readout.json").read_text())
        tasks = tasks_of(scores)
        trials.append(
            {
                "name": name,
                "title": facts["title"],
                "training": facts["training"],
                "tasks": summarize_scores(scores),
                "less_teacher": compare(scores, teacher, ("float", "float"), tasks),
                "less_default": compare(scores, default, ("float", "float"), tasks),
                "degraded_less_default": compare(scores, default, ("degraded", "degraded"), tasks),
                "val_less_default": compare(scores, default, ("float", "float"), tasks, split="val"),
            }
        )
    left_out = [{"name": trial.name, "title": trial.title} for trial in TRIALS if trial.name not in done]
    return {
        "schema": SCHEMA, "default": DEFAULT, "margin": MARGIN, "teacher": summarize_scores(teacher), "trials": trials,
        "not_run": left_out,
    }  # fmt: skip


def show(result: dict[str, Any]) -> None:
    """Print validation figures first: they choose."""
    for row in result["trials"]:
        cosine = row["training"]["val_cosine"]
        parts = [f"val cosine {cosine:.3f}" if cosine is not None else "val cosine -    "]
        parts.append(f"CKA {row['training']['val_cka']:.3f}  neighbors {row['training']['val_neighbors']:.3f}")
        for task in ("C1", "T10"):
            splits = row["tasks"][task]
            parts.append(f"{task} val {shown(splits['val']['float'])} test {shown(splits['test']['float'])}")
            parts.append(f"degraded {shown(splits['test']['degraded'])}")
            parts.append(f"less default {shown(row['less_default'].get(task), 'delta')}")
        print(f"{row['name']:20s} " + "  ".join(parts))


if __name__ == "__main__":
    main()
