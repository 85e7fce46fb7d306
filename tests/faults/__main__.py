"""Disturb the verbs that write, at random, and see whether anything is lost.

    python -m tests.faults                                  # all kinds, about an hour and a half
    python -m tests.faults --kind kill,signal --trials 5 --verbs train,export --seed 7

Kinds: kill (SIGKILL), signal (SIGTERM, SIGINT, SIGHUP, once or twice), error (no space, no permission, a failing disk:
at an operation on files, or by a limit to the size of files), memory (too little of it).

Leaves with exit code 1 when a trial lost something.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.disturbances import KINDS
from tests.faults.processes import import_everything
from tests.faults.trials import Broken, Tally, disturb_verbs
from tests.faults.verbs import VERBS

TRIALS = {"kill": 40, "signal": 20, "error": 30, "memory": 8}


def main() -> int:
    names = [verb.name for verb in VERBS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ", ".join(f"{count} {kind}" for kind, count in TRIALS.items())
    parser.add_argument("--kind", default=",".join(KINDS), help=f"some of: {', '.join(KINDS)}")
    parser.add_argument("--trials", type=int, help=f"of each kind and verb (default {default})")
    parser.add_argument("--verbs", default=",".join(names), help=f"some of: {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    chosen, kinds = given.verbs.split(","), given.kind.split(",")
    unknown = sorted({*chosen, *kinds} - {*names, *KINDS})
    if unknown:
        parser.error(f"no such verbs or kinds: {', '.join(unknown)}")
    # The same to the last bit each time: read when torch and BLAS are imported.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    import_everything()
    trials = {kind: given.trials or TRIALS[kind] for kind in kinds}
    tallies: dict[tuple[str, str], Tally] = {}
    told: dict[tuple[str, str], int] = {}
    with tempfile.TemporaryDirectory(prefix="acula-edge-faults-") as work:
        try:
            for tally, trial, count in disturb_verbs(chosen, trials, given.seed, Path(work)):
                tallies[tally.kind, tally.verb] = tally
                lost = f"{len(tally.lost)} lost"
                for story in tally.lost[told.get((tally.kind, tally.verb), 0) :]:
                    print(f"{tally.kind}, {tally.verb}: {story}", file=sys.stderr, flush=True)
                told[tally.kind, tally.verb] = len(tally.lost)
                print(f"{tally.kind}, {tally.verb}: {trial} of {count}, {lost}", file=sys.stderr, flush=True)
        except Broken as error:
            print(error, file=sys.stderr)
            return 1
    if given.json is not None:
        given.json.write_text(json.dumps([tally.to_dict() for tally in tallies.values()], indent=2) + "\n")
    _show(list(tallies.values()))
    return 1 if any(tally.lost for tally in tallies.values()) else 0


def _show(tallies: list[Tally]) -> None:
    table = Table(title="Disturbed, then typed again")
    for column in ("kind", "verb", "tried", "at a moment", "at a file operation", "trials survived", "lost"):
        table.add_column(column, justify="left" if column in ("kind", "verb") else "right")
    for kind in dict.fromkeys(tally.kind for tally in tallies):
        rows = [_figures(tally) for tally in tallies if tally.kind == kind]
        for tally, row in zip((tally for tally in tallies if tally.kind == kind), rows, strict=True):
            table.add_row(kind, tally.verb, *map(str, row))
        table.add_row(kind, "all", *(str(sum(values)) for values in zip(*rows, strict=True)), end_section=True)
    total = [sum(values) for values in zip(*map(_figures, tallies), strict=True)]
    table.add_row("all", "all", *map(str, total))
    Console(width=110).print(table)
    for tally in tallies:
        for story in tally.lost:
            print(f"{tally.kind}, {tally.verb}: {story}")


def _figures(tally: Tally) -> tuple[int, ...]:
    return tally.tried, tally.by_clock, tally.by_operation, tally.survived, len(tally.lost)


if __name__ == "__main__":
    sys.exit(main())
