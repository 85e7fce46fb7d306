"""Which way of teaching keeps most of the teacher? The ``base`` student, one change at a time, on real recordings.

    python benchmarks/distillation_ablation.py --run runs/clean --out runs/trials --epochs 8

Every trial goes through distillation, export and INT8 and is read by a linear probe fitted on training persons. The
default is chosen by validation figures (cosine to the teacher, AUROC on validation persons); test persons only say what
the choice is worth. A trial that is done is not done again, and one that was interrupted is resumed.
"""

from __future__ import annotations

import argparse

from distillation_trial import Trial, add_options, run_all

from acula_edge.encoders.students import students

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
    run_all(TRIALS, options)


if __name__ == "__main__":
    main()
