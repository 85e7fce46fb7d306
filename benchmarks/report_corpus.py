"""How fast the template writer turns metadata into a checked corpus, and how much memory that takes.

    python benchmarks/report_corpus.py [--rows 100000] [--variants 1 8] [--json FILE]

Rows are drawn from what CirCor, KAUH, ICBHI and NoseMic can hold, each NoseMic row with facts of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from acula_edge.clinical_text.corpus import write_corpus
from acula_edge.data.manifest import Recording
from acula_edge.recipe import ReportsConfig

GRADES, SITES = ("I/VI", "II/VI", "III/VI"), ("AV", "PV", "TV", "MV")


def draw_metadata(draw: random.Random, number: int) -> tuple[str, dict[str, Any]]:
    """Data set and columns of one recording."""
    kind = number % 10
    if kind < 5:
        present = draw.random() < 0.4
        return "circor", {
            "murmur": "Present" if present else draw.choice(["Absent", "Absent", "Unknown"]),
            "murmur_at_this_location": int(draw.random() < 0.8) if present else 0,
            "location": draw.choice(SITES),
            "most_audible_location": draw.choice(SITES) if present else None,
            "systolic_timing": draw.choice(["Holosystolic", "Early-systolic", "Mid-systolic"]) if present else None,
            "systolic_grading": draw.choice(GRADES) if present else None,
            "systolic_pitch": draw.choice(["Low", "Medium", "High"]) if present else None,
            "systolic_quality": draw.choice(["Harsh", "Blowing", "Musical"]) if present else None,
            "systolic_shape": draw.choice(["Plateau", "Diamond", "Decrescendo"]) if present else None,
        }
    if kind < 8:
        return "icbhi", {
            "diagnosis": draw.choice(["COPD", "Healthy", "Pneumonia", "URTI", "Asthma"]),
            "crackles": int(draw.random() < 0.4),
            "wheezes": int(draw.random() < 0.4),
        }
    if kind < 9:
        sounds = ["Normal", "Expiratory wheeze", "Inspiratory crackles"]
        return "kauh", {
            "diagnosis": draw.choice(["Normal", "Asthma", "Heart failure + COPD"]),
            "sound": draw.choice(sounds),
        }
    return "nosemic", {"sound": "nasal breathing", "respiratory_rate": round(draw.uniform(8, 40), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--variants", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    draw = random.Random(0)
    recordings = []
    for number in range(options.rows):
        dataset, metadata = draw_metadata(draw, number)
        recordings.append(
            Recording(f"r{number}", "", f"{dataset}/s", dataset, 4000, 1.0, split="train", metadata=metadata)
        )
    before_mb = _peak_mb()
    results = []
    for variants in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "reports.jsonl"
            started_s, cpu_s = time.perf_counter(), time.process_time()
            summary = write_corpus(recordings, ReportsConfig(variants=variants), path)
            result = {
                "rows": options.rows,
                "variants": variants,
                "reports": summary["reports"],
                "unfaithful": summary["contradicted"] + summary["invented"] + summary["missing"],
                "wall_s": round(time.perf_counter() - started_s, 1),
                "cpu_s": round(time.process_time() - cpu_s, 1),
                "size_mb": round(path.stat().st_size / 1e6, 1),
                "peak_rss_above_manifest_mb": round(_peak_mb() - before_mb, 1),
            }
        results.append(result)
        print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
