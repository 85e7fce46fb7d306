"""The corpus: byte for byte the same, test recordings left out, bad rows set aside, read back by alignment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from acula_edge.clinical_text import corpus as corpus_module
from acula_edge.clinical_text.corpus import ensure_corpus, find_corpus, load_corpus, write_corpus, write_reports
from acula_edge.clinical_text.corpus_file import read_summary
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.writers.template import TemplateWriter
from acula_edge.errors import ArtifactError, InputError
from acula_edge.recipe import ReportsConfig
from tests.clinical_text.conftest import Endpoint, breaths, recording, rows_of


def test_the_same_seed_gives_the_same_corpus_byte_for_byte(tmp_path: Path) -> None:
    config = ReportsConfig(variants=3)
    for name in ("one", "two"):
        write_corpus(breaths(40), config, tmp_path / f"{name}.jsonl")
    write_corpus(breaths(40), ReportsConfig(variants=3, seed=1), tmp_path / "other.jsonl")
    one, two, other = ((tmp_path / f"{name}.jsonl").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other
    rows = rows_of(tmp_path / "one.jsonl")
    assert [row["report"] for row in rows[:3]] == write_reports(breaths(1)[0], config)
    assert all(
        check_report(load_corpus(tmp_path / "one.jsonl")[row["recording"]][0], row["report"]) == [] for row in rows
    )


def test_tested_unused_and_withheld_recordings_are_left_out(tmp_path: Path) -> None:
    recordings = [
        recording("circor", {"murmur": "Absent"}, f"{split}{number}", split)
        for number, split in enumerate(("train", "test", "val", "test"))
    ]
    recordings.append(recording("circor", {"murmur": "Absent"}, "unused4", "unused"))
    recordings.append(replace(recordings[0], recording="twin", withheld="near duplicate"))
    summary = write_corpus(recordings, ReportsConfig(variants=2), tmp_path / "r.jsonl")
    rows = rows_of(tmp_path / "r.jsonl")
    assert summary["reports"] == 4 and summary["recordings"] == 2
    assert [(row["recording"], row["variant"]) for row in rows] == [
        (f"circor/{name}", variant) for name in ("train0", "val2") for variant in (0, 1)
    ]


def test_a_bad_row_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    recordings = breaths(5)
    recordings[1].metadata["wheezes"] = "perhaps; see Dr Miller"
    summary = write_corpus(recordings, ReportsConfig(variants=2), tmp_path / "r.jsonl")
    (aside,) = rows_of(tmp_path / "r.set-aside.jsonl")
    assert aside["recording"] == "icbhi/r001" and "wheezes" in aside["reason"] and "Miller" not in aside["reason"]
    assert summary["set_aside"] == 1 and summary["reports"] == 8
    assert "icbhi/r001" not in load_corpus(tmp_path / "r.jsonl")


def test_an_interrupted_template_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ReportsConfig(variants=2)
    write_corpus(breaths(30), config, tmp_path / "whole.jsonl")
    text, asked = TemplateWriter.text, []

    def interrupted(self: TemplateWriter, job: object) -> str:
        asked.append(job)
        if len(asked) == 31:
            raise KeyboardInterrupt
        return text(self, job)  # type: ignore[arg-type]

    monkeypatch.setattr(TemplateWriter, "text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_corpus(breaths(30), config, tmp_path / "r.jsonl")
    assert not (tmp_path / "r.jsonl").exists()
    summary = write_corpus(breaths(30), config, tmp_path / "r.jsonl")
    assert summary["kept"] == 30 and summary["reports"] == 60
    assert (tmp_path / "r.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_alignment_reads_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, beside = ReportsConfig(variants=2), tmp_path / "reports.jsonl"
    assert find_corpus(config, beside) is None
    write_corpus(breaths(4), config, beside)
    assert find_corpus(config, beside) == beside
    assert find_corpus(ReportsConfig(variants=3), beside) is None, "written with other settings"
    named = ReportsConfig(variants=3, corpus=str(beside))
    assert find_corpus(named, tmp_path / "nothing.jsonl") == beside, "a corpus that is named is taken as it is"
    with pytest.raises(InputError, match=r"reports\.corpus: there is no file"):
        find_corpus(ReportsConfig(corpus=str(tmp_path / "gone.jsonl")), beside)
    beside.write_text("{}\n")
    with pytest.raises(ArtifactError, match="line 1"):
        load_corpus(beside)


def test_training_never_starts_what_sends_data_away(endpoint: Endpoint, tmp_path: Path) -> None:
    config = endpoint.config()
    with pytest.raises(InputError, match="written by another machine"):
        ensure_corpus(breaths(3), config, tmp_path / "r.jsonl", tmp_path / "recordings.jsonl")
    assert endpoint.requests == []
    write_corpus(breaths(3), config, tmp_path / "r.jsonl")
    ensure_corpus(breaths(3), config, tmp_path / "r.jsonl", tmp_path / "recordings.jsonl")
    assert len(endpoint.requests) == 3


def test_the_summary_says_what_became_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    news: list[str] = []
    monkeypatch.setattr(corpus_module, "NEWS_S", 0.0)
    monkeypatch.setattr(corpus_module, "notify", lambda message, *values: news.append(message % values))
    write_corpus(breaths(3), ReportsConfig(variants=1), tmp_path / "r.jsonl")
    summary = read_summary(tmp_path / "r.jsonl")
    assert summary is not None and json.loads(json.dumps(summary)) == summary
    assert (summary["reports"], summary["recordings"], summary["contradicted"]) == (3, 3, 0)
    assert news[0].startswith("1 of 3 reports") and "min left" in news[0]
    assert not any(word in line for line in news for word in ("COPD", "wheeze"))
