"""The HTTP writer against a stub endpoint: busy, faulty, slow, talkative and wrong."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from acula_edge.clinical_text.consent import estimate
from acula_edge.clinical_text.corpus import write_corpus
from acula_edge.clinical_text.writers import http
from acula_edge.clinical_text.writers.http import Pace, endpoint_of, pause_s, retry_after_s
from acula_edge.data.manifest import write_manifest
from acula_edge.errors import InputError, RecipeError
from acula_edge.recipe import HttpWriterConfig, ReportsConfig
from tests.clinical_text.conftest import Endpoint, breaths, chat, recording, rows_of, state

ROOT = Path(__file__).parents[2]


def test_every_recording_gets_its_faithful_report(endpoint: Endpoint, tmp_path: Path) -> None:
    summary = write_corpus(breaths(12), endpoint.config(variants=2), tmp_path / "r.jsonl")
    rows = rows_of(tmp_path / "r.jsonl")
    assert [(row["recording"], row["variant"]) for row in rows] == [
        (f"icbhi/r{number:03d}", variant) for number in range(12) for variant in (0, 1)
    ]
    assert {row["writer"] for row in rows} == {"http"} and len(endpoint.requests) == 24
    assert summary["fallbacks"] == summary["set_aside"] == 0
    assert (summary["tokens_in"], summary["tokens_out"], summary["cost"]) == (2400, 480, None)


def test_the_endpoint_is_kept_busy_and_not_overrun(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay_s = 0.03
    write_corpus(breaths(40), endpoint.config(concurrency=6), tmp_path / "r.jsonl")
    assert endpoint.most == 6
    endpoint.most = 0
    write_corpus(breaths(6), endpoint.config(concurrency=1, temperature=0.5), tmp_path / "other.jsonl")
    assert endpoint.most == 1


def test_faults_are_asked_again(endpoint: Endpoint, tmp_path: Path) -> None:
    faults = {
        0: (500, b"oops", {}), 1: (429, b"", {"Retry-After": "0.05"}), 2: (200, b"{not json", {}),
        3: (503, b"", {}), 4: (200, b'{"choices": []}', {}), 5: chat(""), 6: chat(None), 7: chat(["no", "text"]),
    }  # fmt: skip
    endpoint.answer = lambda body, number: faults.get(number) or chat(state(body))
    summary = write_corpus(breaths(10), endpoint.config(retries=9, concurrency=3), tmp_path / "r.jsonl")
    assert len(endpoint.requests) == 10 + len(faults)
    assert summary["reports"] == 10 and summary["set_aside"] == 0


def test_a_wait_that_is_asked_for_is_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: (429, b"", {"Retry-After": "0.4"}) if number == 0 else chat(state(body))
    write_corpus(breaths(1), endpoint.config(), tmp_path / "r.jsonl")
    first, second = (request["time"] for request in endpoint.requests)
    assert second - first >= 0.4
    assert retry_after_s({"Retry-After": formatdate(time.time() + 30)}) == pytest.approx(30, abs=2)
    assert retry_after_s({"Retry-After": "soon"}) is None is retry_after_s({})
    assert all(0.5 <= pause_s(50) / http.LONGEST_PAUSE_S <= 1.5 for _ in range(20))


def test_one_bad_row_is_set_aside(endpoint: Endpoint, tmp_path: Path) -> None:
    recordings = breaths(6, wheeze=0)
    recordings[2].metadata["wheezes"] = 1
    endpoint.answer = lambda body, number: (
        (400, b"", {}) if "wheeze: present" in body["messages"][1]["content"] else chat(state(body))
    )
    recordings[4].metadata["diagnosis"] = "seen on 12/03/2019"
    summary = write_corpus(recordings, endpoint.config(), tmp_path / "r.jsonl")
    aside = {row["recording"]: row["reason"] for row in rows_of(tmp_path / "r.set-aside.jsonl")}
    assert set(aside) == {"icbhi/r002", "icbhi/r004"} and summary["set_aside"] == 2
    assert aside["icbhi/r002"] == "HTTP 400" and "2019" not in aside["icbhi/r004"]
    assert len(rows_of(tmp_path / "r.jsonl")) == 4


def test_a_slow_answer_is_given_up(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay_s = 0.5
    summary = write_corpus(breaths(2), endpoint.config(timeout_s=0.05, retries=1), tmp_path / "r.jsonl")
    assert summary["reports"] == 0 and summary["set_aside"] == 2
    assert "2 times" in rows_of(tmp_path / "r.set-aside.jsonl")[0]["reason"]
    endpoint.delay_s = 0.0
    again = write_corpus(breaths(2), endpoint.config(timeout_s=5.0), tmp_path / "r.jsonl")
    assert again["reports"] == 2, "what failed is tried again by the next run"


@pytest.mark.parametrize("code", [401, 404])
def test_a_refusal_ends_the_work_at_once(endpoint: Endpoint, tmp_path: Path, code: int) -> None:
    endpoint.answer = lambda body, number: (code, b"", {}) if number >= 5 else chat(state(body))
    with pytest.raises(InputError, match=f"refuses the request[^$]*HTTP {code}"):
        write_corpus(breaths(300), endpoint.config(concurrency=2), tmp_path / "r.jsonl")
    assert len(endpoint.requests) <= 8
    assert len(rows_of(tmp_path / "r.jsonl.partial")) == 5 and not (tmp_path / "r.jsonl").exists()


def test_an_endpoint_that_is_gone_ends_the_work(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: (500, b"", {})
    with pytest.raises(InputError, match="have failed"):
        write_corpus(breaths(300), endpoint.config(retries=0, concurrency=4), tmp_path / "r.jsonl")
    assert len(endpoint.requests) < 40


def test_unfaithful_reports_are_written_again_then_by_the_template(endpoint: Endpoint, tmp_path: Path) -> None:
    def answer(body: dict[str, Any], number: int) -> Any:
        wheezes = "wheeze: present" in body["messages"][1]["content"]
        if len(body["messages"]) == 2:
            return chat("There is stridor.")
        assert "invented: stridor" in body["messages"][3]["content"]
        return chat(state(body) if wheezes else "There is still stridor.")

    endpoint.answer = answer
    summary = write_corpus(breaths(4), endpoint.config(), tmp_path / "r.jsonl")
    rows = rows_of(tmp_path / "r.jsonl")
    assert [row["writer"] for row in rows] == ["template", "http"] * 2
    assert [row.get("fallback", False) for row in rows] == [True, False] * 2
    assert all("invented: stridor (present)" in row["problems"] for row in rows)
    assert "stridor" not in "".join(row["report"] for row in rows)
    assert (summary["rewritten"], summary["fallbacks"], len(endpoint.requests)) == (2, 2, 8)
    assert summary["invented"] == 6 and summary["missing"] > 0


def test_requests_per_minute_are_spread(endpoint: Endpoint, tmp_path: Path) -> None:
    now = 0.0
    pace = Pace(120, clock=lambda: now)
    assert [pace.take() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    now = 10.0
    assert [pace.take() for _ in range(2)] == [0.0, 0.5], "a pause is not made up for by a rush"
    write_corpus(breaths(4), endpoint.config(requests_per_minute=300), tmp_path / "r.jsonl")
    times = [request["time"] for request in endpoint.requests]
    assert times[-1] - times[0] >= 3 * 0.2 - 0.1


def test_a_killed_run_pays_for_nothing_twice(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.delay_s = 0.02
    # A rate of its own tells each recording's request from the others.
    rates = {f"r{number:03d}": 10 + number / 10 for number in range(120)}
    recordings = [recording("nosemic", {"respiratory_rate": rate}, name) for name, rate in rates.items()]
    write_manifest(tmp_path / "m.jsonl", recordings)
    words = ["data", "reports", "m.jsonl", "--recipe", "phantom", "--yes", "--set", "reports.writer=http",
             "--set", "reports.variants=1", "--set", "reports.pool=64", "--set", f"reports.http.url={endpoint.url}",
             "--set", "reports.http.model=stub", "--set", "reports.http.concurrency=4"]  # fmt: skip
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "acula_edge", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    partial = tmp_path / "reports.jsonl.partial"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (not partial.exists() or partial.read_bytes().count(b"\n") < 30):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = partial.read_bytes().splitlines(keepends=True)
    finished = {json.loads(line)["recording"].partition("/")[2] for line in lines if line.endswith(b"\n")}
    assert 30 <= len(finished) < 120
    with open(partial, "ab") as file:
        file.write(b'{"recording": "nosemic/r119", "rep')  # a row that the kill cut off
    config = ReportsConfig(
        writer="http", variants=1, http=HttpWriterConfig(url=endpoint.url, model="stub", concurrency=4)
    )
    summary = write_corpus(recordings, config, tmp_path / "reports.jsonl")
    assert summary["kept"] == len(finished)
    asked = Counter(request["body"]["messages"][1]["content"].split()[-3] for request in endpoint.requests)
    assert all(asked[f"{rates[name]:g}"] == 1 for name in finished)
    assert all(asked[f"{rate:g}"] in (1, 2) for rate in rates.values())
    assert len(endpoint.requests) <= 120 + 4, "only what was under way at the kill is asked again"
    rows = rows_of(tmp_path / "reports.jsonl")
    assert [row["recording"] for row in rows] == [f"nosemic/{name}" for name in rates]
    assert not list(tmp_path.glob("*.partial*"))


def test_other_settings_do_not_go_on_with_an_unfinished_corpus(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: (401, b"", {}) if number else chat(state(body))
    with pytest.raises(InputError, match="refuses"):
        write_corpus(breaths(9), endpoint.config(concurrency=1), tmp_path / "r.jsonl")
    with pytest.raises(InputError, match="begun with another writer"):
        write_corpus(breaths(9), endpoint.config(concurrency=1, temperature=0.9), tmp_path / "r.jsonl")


def test_changed_facts_are_written_anew(endpoint: Endpoint, tmp_path: Path) -> None:
    recordings = breaths(6)
    write_corpus(recordings, endpoint.config(), tmp_path / "r.jsonl")
    recordings[3].metadata["wheezes"] = 0
    summary = write_corpus(recordings, endpoint.config(), tmp_path / "r.jsonl")
    assert summary["kept"] == 5 and len(endpoint.requests) == 7
    rows = rows_of(tmp_path / "r.jsonl")
    assert len(rows) == 6 and rows[3]["facts"]["wheeze"] == "absent"


def test_the_key_is_sent_and_kept_nowhere(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", "s3cret")
    write_corpus(breaths(2), endpoint.config(api_key_env="MY_KEY"), tmp_path / "r.jsonl")
    assert {request["headers"]["Authorization"] for request in endpoint.requests} == {"Bearer s3cret"}
    assert not any("s3cret" in file.read_text() for file in tmp_path.iterdir())
    assert "s3cret" not in caplog.text and "COPD" not in caplog.text
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(RecipeError, match="MY_KEY is not set"):
        write_corpus(breaths(2), endpoint.config(api_key_env="MY_KEY"), tmp_path / "other.jsonl")


def test_what_is_sent_holds_facts_and_no_ids(endpoint: Endpoint, tmp_path: Path) -> None:
    write_corpus(breaths(3), endpoint.config(), tmp_path / "r.jsonl")
    for request in endpoint.requests:
        assert request["path"] == "/v1/chat/completions"
        assert "icbhi" not in str(request["body"]) and "r00" not in str(request["body"])
    example = estimate(breaths(3), endpoint.config()).example
    assert '"role": "system"' in example and "diagnosis: COPD" in example


def test_the_estimate_comes_near_what_is_sent(endpoint: Endpoint, tmp_path: Path) -> None:
    config = endpoint.config(variants=2, price_in=0.5, price_out=2.0)
    expected = estimate(breaths(30), config)
    assert expected.requests == 60
    write_corpus(breaths(30), config, tmp_path / "r.jsonl")
    sent = sum(len(m["content"]) for r in endpoint.requests for m in r["body"]["messages"])
    assert expected.tokens_in == pytest.approx(sent / 4 + 12 * 60, rel=0.05)
    assert expected.cost == pytest.approx((expected.tokens_in * 0.5 + expected.tokens_out * 2) / 1e6)


def test_nothing_is_asked_about_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    recordings = [*breaths(2), recording("icbhi", {"wheezes": None}, "empty")]
    summary = write_corpus(recordings, endpoint.config(), tmp_path / "r.jsonl")
    assert len(endpoint.requests) == 2 and summary["reports"] == 3
    assert rows_of(tmp_path / "r.jsonl")[2]["report"] == "No finding is recorded."


def test_endpoints() -> None:
    http = HttpWriterConfig(url="http://x:1/v1/", model="m")
    assert endpoint_of(http) == "http://x:1/v1/chat/completions"
    for broken in (HttpWriterConfig(model="m"), HttpWriterConfig(url="http://x"), HttpWriterConfig(url="x", model="m")):
        with pytest.raises(RecipeError):
            endpoint_of(broken)
    with pytest.raises(RecipeError, match="needs an endpoint"):
        write_corpus(breaths(1), ReportsConfig(writer="http"), Path("never.jsonl"))
