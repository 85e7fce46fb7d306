"""Recall and false alarms of the faithfulness check, on planted errors.

    python benchmarks/report_faithfulness.py [--json FILE]

Templates: reports of altered facts of the miniature releases and the phantom corpus, compared with the true ones.
Hand-written: clinical sentences (tests/clinical_text/*.yaml), compared with altered facts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from planted_errors import KINDS, plant_errors

from acula_edge.clinical_text.fact_selection import select_facts
from acula_edge.clinical_text.facts import Facts, dump_facts, load_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.writers.template import write_reports
from acula_edge.data.manifest import Recording
from acula_edge.data.miniature import MiniatureConfig, miniatures, write_miniature
from acula_edge.data.phantom.plan import PhantomConfig, plan_corpus
from acula_edge.data.reader import readers
from acula_edge.recipe import ReportsConfig

SENTENCES = Path(__file__).parents[1] / "tests" / "clinical_text"
VARIANTS = 4


def distinct_facts(folder: Path) -> Iterator[Facts]:
    """Every set of facts of the miniature releases and of the phantom corpus, once."""
    config = ReportsConfig(demographics=True, leave_out=[])
    recordings: list[Recording] = []
    for name in miniatures.names():
        write_miniature(name, folder / name, MiniatureConfig(subjects=40, duration_s=1.0))
        recordings += readers[name].read(folder / name, {}).recordings
    for number, plan in enumerate(plan_corpus(PhantomConfig(subjects=60))):
        recordings.append(Recording(f"r{number}", "", "s", "phantom", 4000, 1.0, metadata=plan.facts))
    seen = set()
    for recording in recordings:
        facts = select_facts(recording, config)
        if (dumped := dump_facts(facts)) not in seen:
            seen.add(dumped)
            yield facts


def judge_templates(folder: Path) -> dict[str, Any]:
    """Counts of reports and errors, by kind of error."""
    planted, found = Counter[str](), Counter[str]()
    reports = alarms = 0
    for facts in distinct_facts(folder):
        dumped = dump_facts(facts)
        for report in write_reports(dumped, 0, "r", VARIANTS, 64):
            reports += 1
            alarms += bool(check_report(facts, report, dumped))
        for kind, altered in plant_errors(facts):
            report = write_reports(dump_facts(altered), 0, "r", 1, 64)[0]
            planted[kind] += 1
            found[kind] += bool(check_report(facts, report, dumped))
    return _table(planted, found, reports, alarms)


def judge_sentences(file: Path) -> dict[str, Any]:
    """The same of hand-written sentences."""
    planted, found = Counter[str](), Counter[str]()
    reports = alarms = 0
    for row in yaml.safe_load(file.read_text(encoding="utf-8")):
        facts = load_facts(row["facts"])
        reports += 1
        alarms += bool(check_report(facts, row["text"]))
        for kind, altered in plant_errors(facts):
            # What the true facts lack, the sentence lacks; what the altered ones lack, it adds.
            named = {"added": "dropped", "dropped": "added"}.get(kind, kind)
            planted[named] += 1
            found[named] += bool(check_report(altered, row["text"]))
    return _table(planted, found, reports, alarms)


def _table(planted: Counter[str], found: Counter[str], reports: int, alarms: int) -> dict[str, Any]:
    return {
        "reports": reports,
        "false_alarms": alarms,
        "planted": sum(planted.values()),
        "found": sum(found.values()),
        "by_kind": {kind: {"planted": planted[kind], "found": found[kind]} for kind in KINDS if planted[kind]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    results = {file.stem: judge_sentences(file) for file in sorted(SENTENCES.glob("*_sentences.yaml"))}
    with tempfile.TemporaryDirectory() as folder:
        results = {"templates": judge_templates(Path(folder)), **results}
    for name, result in results.items():
        print(f"{name}: {result['false_alarms']} false alarms in {result['reports']} faithful reports; "
              f"{result['found']} of {result['planted']} planted errors found")  # fmt: skip
        for kind, counts in result["by_kind"].items():
            print(f"  {kind:12} {counts['found']} of {counts['planted']}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
