"""The fast part of ``make faults``: the harness itself, and a few faults of the verbs that take least time."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults.disturbances import Disturbance, must_clear_up, wrong_ending
from tests.faults.verbs import VERBS, begin, fingerprints, leftovers, torn_files

ROOT = Path(__file__).resolve().parents[2]


def test_disturbed_verbs_lose_nothing(tmp_path: Path) -> None:
    words = ["--trials", "2", "--verbs", "data prepare,data reports", "--kind", "kill,signal,error"]
    line = ["-m", "tests.faults", *words, "--json", str(tmp_path / "x.json")]
    done = subprocess.run([sys.executable, *line], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    tallies = json.loads((tmp_path / "x.json").read_text())
    verbs, kinds = ("data prepare", "data reports"), ("kill", "signal", "error")
    assert [(tally["verb"], tally["kind"]) for tally in tallies] == [(verb, kind) for verb in verbs for kind in kinds]
    for tally in tallies:
        assert tally["survived"] == 2 and tally["lost"] == []
        assert tally["operations"] > 20
    assert sum(tally["tried"] for tally in tallies) >= 6
    assert "trials survived" in done.stdout


def test_the_harness_sees_an_end_that_is_not_orderly() -> None:
    term = Disturbance("signal", signal.SIGTERM, after_s=1.0)
    orderly = "interrupted\n  to do:   run it again: acula-edge verify run"
    assert wrong_ending(term, 143, orderly) == "" and must_clear_up(term, 143, orderly)
    assert wrong_ending(term, 143, "Terminated") and wrong_ending(term, -15, "") and wrong_ending(term, 1, orderly)
    full = Disturbance("error", at=3, errors=(errno.ENOSPC, errno.EIO), stays=True)
    said = (
        "error: cannot write run/x\n  given:   No space left on device\n  then:    run it again: acula-edge verify run"
    )
    assert wrong_ending(full, 2, said) == "" and must_clear_up(full, 2, said)
    assert wrong_ending(full, 1, said) and wrong_ending(full, 2, said.replace("No space", "No room"))
    assert wrong_ending(full, 2, said.replace("acula-edge", "it")) and wrong_ending(
        full, 2, said.replace("cannot ", "")
    )
    assert wrong_ending(Disturbance("kill", signal.SIGKILL, at=3), 1, "")
    small = Disturbance("memory", spare_memory=1 << 20)
    assert wrong_ending(small, 1, "MemoryError") and not wrong_ending(small, -signal.SIGABRT, "")


def test_the_harness_counts_and_fails_operations(tmp_path: Path) -> None:
    """In a process of its own, whose files are then counted for good."""
    code = """
import errno, os
from tests.faults.disturbances import Disturbance
from tests.faults.faulty import Counter, count_operations
from acula_edge.files import write_json
counter = Counter(None, print)
count_operations(counter)
write_json("x.json", {"a": 1})
whole = counter.count
failed = 0
for at in range(whole):
    counter.__init__(Disturbance("error", at=at, errors=(errno.ENOSPC, errno.EIO), stays=True), print)
    try:
        write_json("x.json", {"a": 2})
    except Exception as error:
        failed += "No space left on device" in str(error) and "x.json" in str(error)
print(whole, failed, sorted(os.listdir()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    whole, failed, *left = done.stdout.split(maxsplit=2)
    assert int(whole) >= 5, done.stderr
    assert int(whole) - int(failed) <= 2  # reading back, and deleting what is deleted already
    assert left == ["['x.json']\n"]


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
