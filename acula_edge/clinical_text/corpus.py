"""Reports of many recordings: streamed, checked against their facts, resumable at any row.

Finished rows are appended to ``FILE.partial`` as they come; a run that is killed continues behind them and pays for
none of them twice. At the end they take the place of FILE, in the order of the recordings. Beside it lies
``<name>.summary.json``, and what could not be written, with reasons, in ``<name>.set-aside.jsonl``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from acula_edge.clinical_text.corpus_file import CorpusFile, hash_facts, read_corpus, read_summary
from acula_edge.clinical_text.corpus_summary import Summary
from acula_edge.clinical_text.fact_selection import may_be_written, select_facts, selectable_kinds
from acula_edge.clinical_text.facts import Facts, dump_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.mapping import load_mapping
from acula_edge.clinical_text.phrasing import frames_fingerprint
from acula_edge.clinical_text.prompt import load_prompt, tidy_answer
from acula_edge.clinical_text.rules import RowError
from acula_edge.clinical_text.vocabulary import load_vocabulary
from acula_edge.clinical_text.writer import Job, Written, writers
from acula_edge.clinical_text.writers.http import endpoint_of
from acula_edge.clinical_text.writers.template import NOTHING, TemplateWriter
from acula_edge.command_line import command_line
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError, RecipeError
from acula_edge.files import clear_partial, sha256_json
from acula_edge.folder_lock import locked
from acula_edge.progress import notify, track
from acula_edge.recipe import ReportsConfig

TEMPLATE = "template"
REMOTE = frozenset({"http"})
"""Writers that send what is stated to another machine, and may cost money: never started without consent."""
NEWS_S = 60.0


def write_reports(recording: Recording, config: ReportsConfig) -> list[str]:
    """Reports of one recording by the template writer, ``config.variants`` phrasings of the same facts.

    Raises:
        InputError: the recording belongs to a test split, or its data set has no mapping.
    """
    if recording.split == "test":
        raise InputError(
            f"{recording.key} is a test recording; a report of it would leak its label into alignment",
            allowed="recordings of the train and val splits",
        )
    facts = select_facts(recording, config)
    writer, dumped = TemplateWriter(config), dump_facts(facts)
    return [writer.text(Job(0, recording.key, variant, facts, dumped)) for variant in range(config.variants)]


def write_corpus(recordings: Iterable[Recording], config: ReportsConfig, path: str | Path) -> dict[str, Any]:
    """Write the reports of recordings, one JSON line each; tested, unused and withheld ones are left out.

    A row holds ``recording, variant, report, facts, writer`` and, where a language model's text was not faithful,
    ``problems`` of what it wrote first and whether the report is a ``fallback`` to the template.

    Returns:
        The summary that lies beside the file (:class:`acula_edge.clinical_text.corpus_summary.Summary`).

    Raises:
        InputError: an unfinished file was written with other settings, another process writes it, or the writer cannot
            go on.
    """
    path = Path(path)
    with locked(path.parent, "data reports", f".{path.name}.lock"):
        clear_partial(path.parent, of=path.stem)
        return _write(recordings, config, path)


def _write(recordings: Iterable[Recording], config: ReportsConfig, path: Path) -> dict[str, Any]:
    writer = writers[config.writer](config)
    rows = [recording for recording in recordings if may_be_written(recording)]
    file = CorpusFile(path, corpus_fingerprint(config), keep_finished=config.writer != TEMPLATE)
    summary = Summary(config, total=len(rows) * config.variants)
    feed = _Feed(rows, config, file, summary)
    template = TemplateWriter(config)
    with file:
        done = track(_news(writer.write(feed.pull), summary), "writing reports", total=feed.estimated())
        for written in done:
            _take(written, feed, file, summary, template, config)
    file.finish(feed.expected, summary.to_dict(), summary.set_aside)
    return summary.to_dict()


def ensure_corpus(recordings: Sequence[Recording], config: ReportsConfig, path: Path, manifest: Path) -> None:
    """Write a corpus for alignment, unless `path` holds the finished one.

    Args:
        manifest: that the recordings are listed in, for the error's sake.

    Raises:
        InputError: the writer sends data to another machine, which needs consent.
    """
    found = read_summary(path)
    if found is not None and found["fingerprint"] == corpus_fingerprint(config) and config.writer != TEMPLATE:
        return
    if config.writer in REMOTE:
        raise InputError(
            "the reports are written by another machine, and are not written yet",
            remedy="have them written, then train with --resume: "
            + command_line("acula-edge", "data", "reports", manifest),
        )
    write_corpus(recordings, config, path)


def find_corpus(config: ReportsConfig, beside: Path) -> Path | None:
    """The finished corpus that a recipe names, or that lies in the run with the recipe's settings; None for none.

    Raises:
        InputError: the recipe names one that is not there.
    """
    if config.corpus is not None:
        path = Path(config.corpus).expanduser()
        if not path.is_file():
            raise InputError(f"reports.corpus: there is no file {path}", remedy="acula-edge data reports makes one")
        return path
    found = read_summary(beside)
    return beside if found is not None and found["fingerprint"] == corpus_fingerprint(config) else None


def load_corpus(path: Path) -> dict[str, tuple[Facts, list[str]]]:
    """Facts and reports of each recording of a finished corpus."""
    return read_corpus(path)


def check_reports_config(config: ReportsConfig) -> None:
    """Look up what a recipe's reports name, without writing any: facts left out, mappings, prompt, endpoint, model.

    Raises:
        InputError: something is not there, or is not what it should be.
    """
    selectable_kinds(config.demographics, tuple(config.leave_out))
    load_mapping("", config.mapping)
    if config.writer == TEMPLATE:
        return
    load_prompt(config.prompt)
    if config.writer in REMOTE:
        endpoint_of(config.http)
    elif not config.local.model:
        raise RecipeError("reports.local.model is not given", remedy="--set reports.local.model=FOLDER_OR_ID")


def corpus_fingerprint(config: ReportsConfig) -> str:
    """SHA-256 of what decides how facts become reports; of the facts themselves each row says which it states."""
    parts: dict[str, Any] = {
        "writer": config.writer,
        "seed": config.seed,
        "vocabulary": load_vocabulary().fingerprint,
        "frames": frames_fingerprint(),
        "variants": config.variants,
        "pool": config.pool,
    }
    if config.writer != TEMPLATE:
        parts["prompt"] = load_prompt(config.prompt)
        local, http = config.local, config.http
        parts["model"] = (
            [http.url, http.model, http.temperature, http.max_tokens]
            if config.writer in REMOTE
            else [local.model, local.revision, local.temperature, local.max_new_tokens]
        )
    return sha256_json(parts)


class _Feed:
    """Jobs in the order of the recordings; those to be written again come first."""

    def __init__(
        self, recordings: Sequence[Recording], config: ReportsConfig, file: CorpusFile, summary: Summary
    ) -> None:
        self._config, self._file, self._summary = config, file, summary
        self._total = len(recordings) * config.variants
        self._jobs = self._make(recordings)
        self._again: deque[Job] = deque()
        self.expected: dict[str, tuple[int, int]] = {}

    def estimated(self) -> int:
        """About how many reports there are to write."""
        return max(0, self._total - self._file.rows)

    def pull(self) -> Job | None:
        """See :data:`acula_edge.clinical_text.writer.Pull`."""
        return self._again.popleft() if self._again else next(self._jobs, None)

    def write_again(self, job: Job) -> None:
        """Put a job before all others."""
        self._again.append(job)

    def _make(self, recordings: Sequence[Recording]) -> Iterator[Job]:
        variants = self._config.variants
        for number, recording in enumerate(recordings):
            try:
                facts = select_facts(recording, self._config)
            except RowError as error:
                self._summary.put_aside(recording.key, error.problem)
                continue
            dumped = dump_facts(facts)
            self.expected[recording.key] = (number, hash_facts(dumped))
            self._summary.recordings += 1
            for variant in range(variants):
                if self._file.has(recording.key, variant, dumped):
                    self._summary.kept += 1
                    continue
                job = Job(number * variants + variant, recording.key, variant, facts, dumped)
                if facts or self._config.writer == TEMPLATE:
                    yield job
                else:  # no model is asked to make something of nothing
                    self._file.append(job, NOTHING, TEMPLATE, {})
                    self._summary.reports += 1


def _take(
    written: Written, feed: _Feed, file: CorpusFile, summary: Summary, template: TemplateWriter, config: ReportsConfig
) -> None:
    job = written.job
    summary.add_tokens(written)
    if written.text is None:
        summary.put_aside(job.recording, written.failure, job.variant)
        return
    text = written.text if config.writer == TEMPLATE else tidy_answer(written.text)
    problems = check_report(job.facts, text, job.dumped)
    if problems and config.writer != TEMPLATE and not job.reasons:
        reasons = tuple(problem.say() for problem in problems)
        summary.count_problems(problems)
        feed.write_again(Job(job.position, job.recording, job.variant, job.facts, job.dumped, reasons, text))
        return
    extra: dict[str, Any] = {}
    if problems:
        summary.count_problems(problems)
    if job.reasons:
        extra["problems"] = list(job.reasons)
        summary.rewritten += not problems
    author = config.writer
    if problems and author != TEMPLATE:
        text, author, extra["fallback"] = template.text(job), TEMPLATE, True
        summary.fallbacks += 1
    elif problems:
        extra["problems"] = [problem.say() for problem in problems]
    file.append(job, text, author, extra)
    summary.reports += 1


def _news(results: Iterator[Written], summary: Summary) -> Iterator[Written]:
    """The same results, with a line on how far it is now and then."""
    started = said = time.monotonic()
    for number, written in enumerate(results, start=1):
        yield written
        now = time.monotonic()
        if now - said >= NEWS_S:
            said = now
            rate = number / (now - started)
            left = max(0, summary.total - summary.kept - summary.reports)
            notify(
                "%d of %d reports, %.1f per second, about %.0f min left, %d fallbacks",
                summary.kept + summary.reports, summary.total, rate, left / rate / 60, summary.fallbacks,
            )  # fmt: skip
