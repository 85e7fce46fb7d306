"""Kill the verbs that write, at random, and see whether anything is lost.

    python -m tests.faults                                  # 40 trials a verb, about half an hour
    python -m tests.faults --trials 5 --verbs train,export --seed 7

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

from tests.faults.kills import Broken, Tally, kill_verbs
from tests.faults.processes import import_everything
from tests.faults.verbs import VERBS


def main() -> int:
    names = [verb.name for verb in VERBS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40, help="of each verb (default 40)")
    parser.add_argument("--verbs", default=",".join(names), help=f"some of: {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    chosen = given.verbs.split(",")
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        parser.error(f"no such verbs: {', '.join(unknown)}")
    # The same to the last bit each time: read when torch and BLAS are imported.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    import_everything()
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(prefix="acula-edge-faults-") as work:
        try:
            for tally, trial in kill_verbs(chosen, given.trials, given.seed, Path(work)):
                tallies[tally.verb] = tally
                print(f"{tally.verb}: {trial} of {given.trials}, {len(tally.lost)} lost", file=sys.stderr, flush=True)
        except Broken as error:
            print(error, file=sys.stderr)
            return 1
    if given.json is not None:
        given.json.write_text(json.dumps([tally.to_dict() for tally in tallies.values()], indent=2) + "\n")
    _show(list(tallies.values()))
    return 1 if any(tally.lost for tally in tallies.values()) else 0


def _show(tallies: list[Tally]) -> None:
    table = Table(title="Killed with SIGKILL, then typed again")
    for column in ("verb", "kills", "at a moment", "at a file operation", "trials survived", "lost"):
        table.add_column(column, justify="left" if column == "verb" else "right")
    for tally in tallies:
        row = (tally.kills, tally.by_clock, tally.by_operation, tally.survived, len(tally.lost))
        table.add_row(tally.verb, *map(str, row))
    total = [sum(values) for values in zip(*(
        (t.kills, t.by_clock, t.by_operation, t.survived, len(t.lost)) for t in tallies
    ), strict=True)]  # fmt: skip
    table.add_section()
    table.add_row("all", *map(str, total))
    Console(width=110).print(table)
    for tally in tallies:
        for story in tally.lost:
            print(f"{tally.verb}: {story}")


if __name__ == "__main__":
    sys.exit(main())
