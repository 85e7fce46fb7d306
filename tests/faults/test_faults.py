"""The fast part of ``make faults``: the harness itself, and a few kills of the verbs that take least time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults.verbs import VERBS, begin, fingerprints, leftovers, torn_files

ROOT = Path(__file__).resolve().parents[2]


def test_killed_verbs_lose_nothing(tmp_path: Path) -> None:
    line = [
        "-m",
        "tests.faults",
        "--trials",
        "3",
        "--verbs",
        "data prepare,reports write",
        "--json",
        tmp_path / "x.json",
    ]
    done = subprocess.run([sys.executable, *map(str, line)], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    tallies = {tally["verb"]: tally for tally in json.loads((tmp_path / "x.json").read_text())}
    assert set(tallies) == {"data prepare", "reports write"}
    for tally in tallies.values():
        assert tally["survived"] == 3 and tally["lost"] == []
        assert tally["kills"] == tally["by_clock"] + tally["by_operation"] > 0
        assert tally["operations"] > 5
    assert "trials survived" in done.stdout


def test_the_harness_sees_what_is_torn_or_different(tmp_path: Path) -> None:
    verb = next(verb for verb in VERBS if verb.name == "verify")
    begin(tmp_path / "here")
    bundle = tmp_path / "here" / "run" / "export" / "tiny-cpu_x86"
    bundle.mkdir(parents=True)
    (bundle / "verify.json").write_text(json.dumps({"tasks": [1], "environment": {"finished": "yesterday"}}))
    np.savez(bundle / "verify_scores.npz", a=np.zeros(3))
    before = fingerprints(verb, tmp_path / "here")
    assert len(before) == 2
    (bundle / "verify.json").write_text(json.dumps({"tasks": [1], "environment": {"finished": "today"}}))
    np.savez(bundle / "verify_scores.npz", a=np.zeros(3))
    assert fingerprints(verb, tmp_path / "here") == before
    np.savez(bundle / "verify_scores.npz", a=np.ones(3))
    assert fingerprints(verb, tmp_path / "here") != before
    assert torn_files(tmp_path) == [] and leftovers(tmp_path) == []
    for name in ("a.json", "b.npz", "c.safetensors", "d.onnx", ".half.json"):
        (bundle / name).write_bytes(b'{"half')
    assert [text.split("/")[-1].split(":")[0] for text in torn_files(tmp_path)] == [
        "a.json", "b.npz", "c.safetensors", "d.onnx",
    ]  # fmt: skip
    assert leftovers(tmp_path) == ["here/run/export/tiny-cpu_x86/.half.json"]
