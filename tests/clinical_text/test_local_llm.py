"""The local writer on a tiny model of random weights, whose nonsense the check must not let through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acula_edge.clinical_text.corpus import write_corpus
from acula_edge.clinical_text.fact_selection import select_facts
from acula_edge.clinical_text.facts import dump_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.writer import Job, Pull, Written
from acula_edge.clinical_text.writers.local_llm import LocalWriter
from acula_edge.errors import InputError, RecipeError
from acula_edge.recipe import LocalWriterConfig, ReportsConfig
from tests.clinical_text.conftest import breaths, rows_of
from tests.clinical_text.tiny_writer import NO_SYSTEM, write_tiny_writer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_writer(tmp_path_factory.mktemp("tiny"))
    (folder / "prompt.txt").write_text("State the facts.")  # the model reads letter by letter
    return folder


def configure(model: Path, variants: int = 1, **local: Any) -> ReportsConfig:
    settings = {"model": str(model), "max_new_tokens": 8, "batch_size": 3, "device": "cpu", **local}
    prompt = model / "prompt.txt"
    return ReportsConfig(
        writer="local-llm",
        variants=variants,
        prompt=str(prompt) if prompt.exists() else None,
        local=LocalWriterConfig(**settings),
    )


def jobs_of(count: int) -> list[Job]:
    config = ReportsConfig()
    jobs = []
    for number, recording in enumerate(breaths(count)):
        facts = select_facts(recording, config)
        jobs.append(Job(number, recording.key, 0, facts, dump_facts(facts)))
    return jobs


def pulled(jobs: list[Job]) -> Pull:
    left = iter(jobs)
    return lambda: next(left, None)


def answers(config: ReportsConfig, count: int = 7) -> list[Written]:
    return list(LocalWriter(config).write(pulled(jobs_of(count))))


def test_nonsense_falls_back_to_the_template_and_is_marked(model: Path, tmp_path: Path) -> None:
    recordings = breaths(5)
    summary = write_corpus(recordings, configure(model, variants=2), tmp_path / "r.jsonl")
    rows = rows_of(tmp_path / "r.jsonl")
    assert len(rows) == 10 == summary["fallbacks"] and summary["set_aside"] == 0
    assert all(row["fallback"] and row["writer"] == "template" and row["problems"] for row in rows)
    for row, recording in zip(rows[::2], recordings, strict=True):
        assert check_report(select_facts(recording, ReportsConfig()), row["report"]) == []
    assert summary["missing"] >= 20 and summary["tokens_out"] > 0


def test_every_job_gets_its_own_answer_whatever_the_batch(model: Path) -> None:
    one = {written.job.recording: written.text for written in answers(configure(model, batch_size=1))}
    many = {written.job.recording: written.text for written in answers(configure(model, batch_size=4))}
    assert one == many and len(one) == 7, "padding on the left changes no answer"


def test_drawn_words_depend_on_the_seed_alone(model: Path) -> None:
    drawn = configure(model, temperature=1.0)
    texts = [written.text for written in answers(drawn)]
    assert texts == [written.text for written in answers(drawn)]
    other = ReportsConfig(**{**vars(drawn), "seed": 1})
    assert texts != [written.text for written in answers(other)]


@pytest.mark.parametrize("template", [None, NO_SYSTEM], ids=["no template", "no system role"])
def test_models_that_know_no_chat_or_no_system_role(tmp_path: Path, template: str | None) -> None:
    writer = LocalWriter(configure(write_tiny_writer(tmp_path, template)))
    text = writer._render(jobs_of(1)[0])
    assert "Use only the given facts" in text and "diagnosis: COPD" in text
    assert text.endswith("Report:" if template is None else "<assistant>")
    assert len(list(writer.write(pulled(jobs_of(2))))) == 2


def test_a_faithful_model_is_believed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(tokenizer: Any) -> Callable[..., list[str]]:
        return lambda ids, **_: ['"Known COPD.\n  No crackles, no wheeze."'] * len(ids)

    from acula_edge.clinical_text.writers import local_llm

    load = local_llm.load_model

    def load_and_teach(config: LocalWriterConfig) -> tuple[Any, Any, Any]:
        tokenizer, network, device = load(config)
        monkeypatch.setattr(tokenizer, "batch_decode", decode(tokenizer))
        return tokenizer, network, device

    monkeypatch.setattr(local_llm, "load_model", load_and_teach)
    summary = write_corpus(breaths(4, wheeze=0), configure(model), tmp_path / "r.jsonl")
    rows = rows_of(tmp_path / "r.jsonl")
    assert {row["report"] for row in rows} == {"Known COPD. No crackles, no wheeze."}
    assert {row["writer"] for row in rows} == {"local-llm"} and summary["fallbacks"] == 0


def test_what_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs a model"):
        LocalWriter(ReportsConfig(writer="local-llm"))
    with pytest.raises(InputError, match="cannot be loaded to write reports"):
        LocalWriter(configure(tmp_path))
