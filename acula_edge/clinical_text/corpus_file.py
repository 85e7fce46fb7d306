"""The corpus on disk: rows that are appended, found again after a kill, and put in order at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as _quote
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from acula_edge.clinical_text.facts import Facts, dump_facts, load_facts
from acula_edge.clinical_text.writer import Job
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import atomic_path, read_json, write_json, write_jsonl, writing
from acula_edge.limits import MAX_LINE_CHARACTERS
from acula_edge.untrusted.texts import open_regular, parse_json, read_lines

SCHEMA = "acula-edge/reports/1"
FLUSH_S = 1.0
"""Reports that cost nothing are flushed this often, all others at once."""
_MOST_VARIANTS = 1 << 12


class CorpusFile:
    """One corpus while it is written.

    Args:
        path: of the finished file.
        fingerprint: of the settings; rows that other settings wrote are not kept.
        keep_finished: whether a finished file's rows are kept as well, instead of being written anew.

    Raises:
        InputError: there is an unfinished file of other settings.
    """

    def __init__(self, path: Path, fingerprint: str, keep_finished: bool) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.partial = path.with_name(f"{path.name}.partial")
        self._mark = path.with_name(f"{path.name}.partial.json")
        self._flush_s = 0.0 if keep_finished else FLUSH_S
        self._done: dict[str, tuple[int, int]] = {}
        self._last = -1
        self._ordered = True
        self._handle: BinaryIO | None = None
        self._flushed = 0.0
        self.rows = 0
        with writing(self.partial):
            self._open(keep_finished)

    def _open(self, keep_finished: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.partial.exists() and self._mark.exists():
            if read_json(self._mark, SCHEMA)["fingerprint"] != self.fingerprint:
                raise InputError(
                    f"{self.partial} was begun with another writer, prompt or vocabulary",
                    remedy="give the settings that it was begun with, another --out, or delete it",
                )
        else:
            found = read_summary(self.path)
            write_json(self._mark, {"schema": SCHEMA, "fingerprint": self.fingerprint})
            if keep_finished and found is not None and found["fingerprint"] == self.fingerprint:
                shutil.copyfile(self.path, self.partial)
            else:
                self.partial.write_bytes(b"")
        self._read_done()

    def _read_done(self) -> None:
        """Note which rows are there; a last one that was cut off is dropped."""
        whole = 0
        with open_regular(self.partial) as file:
            while line := file.readline(MAX_LINE_CHARACTERS):
                try:
                    row = parse_json(line.decode())
                    key, variant = str(row["recording"]), int(row["variant"])
                    facts = hash_facts(dump_facts(load_facts(row["facts"])))
                except (ValueError, KeyError, TypeError, AttributeError):
                    break
                if not 0 <= variant < _MOST_VARIANTS:
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                former, mask = self._done.get(key, (facts, 0))
                self._done[key] = (facts, (mask if former == facts else 0) | 1 << variant)
                self.rows += 1
                self._ordered = False
        os.truncate(self.partial, whole)

    def __enter__(self) -> CorpusFile:
        with writing(self.partial):
            self._handle = open(self.partial, "ab", buffering=1 << 20)  # noqa: SIM115
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with writing(self.partial) if error is None else contextlib.suppress(OSError):
                handle.close()

    def has(self, recording: str, variant: int, dumped: str) -> bool:
        """Whether the report is there, of these very facts."""
        facts, mask = self._done.get(recording, (None, 0))
        return bool(mask >> variant & 1) and facts == hash_facts(dumped)

    def append(self, job: Job, report: str, writer: str, extra: Mapping[str, Any]) -> None:
        """Add a finished row; a kill does not lose it where it cost something."""
        assert self._handle is not None
        # The facts are JSON already, and the same for every variant.
        more = "".join(f", {_quote(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in extra.items())
        with writing(self.partial):
            self._handle.write(
                f'{{"recording": {_quote(job.recording)}, "variant": {job.variant}, "report": {_quote(report)}, '
                f'"facts": {job.dumped}, "writer": {_quote(writer)}{more}}}\n'.encode()
            )
        if job.position <= self._last:
            self._ordered = False
        self._last = job.position
        now = time.monotonic()
        if now - self._flushed >= self._flush_s:
            with writing(self.partial):
                self._handle.flush()
            self._flushed = now

    def finish(
        self, expected: Mapping[str, tuple[int, int]], summary: Mapping[str, Any], set_aside: Sequence[Any]
    ) -> None:
        """Put the rows in order and in the place of the finished file, whole or not at all.

        Args:
            expected: by recording its place in the order and what :func:`hash_facts` makes of its facts.
            summary, set_aside: for the files beside it.
        """
        if not self._ordered:
            self._sort(expected)
        with writing(self.partial):
            with open(self.partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self.partial, self.path)
        write_jsonl(self.path.with_name(f"{self.path.stem}.set-aside.jsonl"), set_aside)
        write_json(summary_path(self.path), {"schema": SCHEMA, "fingerprint": self.fingerprint, **summary})
        self._mark.unlink(missing_ok=True)

    def _sort(self, expected: Mapping[str, tuple[int, int]]) -> None:
        """Rows in the order of the recordings, without those of other recordings and of facts that have changed."""
        places: dict[tuple[int, int], int] = {}
        offset = 0
        with open(self.partial, "rb") as file:
            for line in file:
                row = json.loads(line)
                number, facts = expected.get(row["recording"], (-1, 0))
                if number >= 0 and facts == hash_facts(dump_facts(load_facts(row["facts"]))):
                    places[number, row["variant"]] = offset
                offset += len(line)
            with atomic_path(self.partial) as temporary, open(temporary, "wb") as ordered:
                for place in sorted(places):
                    file.seek(places[place])
                    ordered.write(file.readline())


def summary_path(path: Path) -> Path:
    """Where a corpus's summary lies."""
    return path.with_name(f"{path.stem}.summary.json")


def read_summary(path: Path) -> dict[str, Any] | None:
    """The summary of a finished corpus; None where there is none."""
    if not path.is_file() or not summary_path(path).is_file():
        return None
    found: dict[str, Any] = read_json(summary_path(path), SCHEMA)
    return found


def read_corpus(path: Path) -> dict[str, tuple[Facts, list[str]]]:
    """Facts and reports of each recording.

    Raises:
        ArtifactError: there is no such file, or a row of it is none.
    """
    found: dict[str, tuple[Facts, list[str]]] = {}
    facts_of: dict[str, Facts] = {}
    try:
        for number, line in enumerate(read_lines(path), start=1):
            try:
                row = parse_json(line)
                facts = load_facts(row["facts"])
                facts = facts_of.setdefault(dump_facts(facts), facts)  # type: ignore[assignment]
                recording, report = row["recording"], row["report"]
                if not isinstance(recording, str) or not isinstance(report, str):
                    raise TypeError("a report or its recording is no text")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ArtifactError(
                    f"{path}, line {number}: not a report with its facts", given=type(error).__name__
                ) from error
            found.setdefault(recording, (facts, []))[1].append(report)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"the reports {path} cannot be read", given=error) from error
    return found


def hash_facts(dumped: str) -> int:
    """Eight bytes that tell facts apart."""
    return int.from_bytes(hashlib.blake2b(dumped.encode(), digest_size=8).digest(), "big")
