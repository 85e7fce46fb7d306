"""What the system refuses: which file, in its own words, what to do, and the very command that goes on."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import acula_edge
from acula_edge.cli.known_errors import as_user_error
from acula_edge.cli.main import cli
from acula_edge.clinical_text.corpus_file import CorpusFile
from acula_edge.data import prepare
from acula_edge.data.manifest import Recording
from acula_edge.data.wave_files import WaveReader
from acula_edge.errors import ArtifactError, StorageError
from acula_edge.files import atomic_path, changed_folder, write_text
from acula_edge.folder_lock import locked
from acula_edge.run import Run


def refusing(number: int) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("number", "to_do"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "get the right"),
        (errno.EACCES, "get the right"),
        (errno.EIO, "see to the disk"),
        (errno.EMFILE, "ulimit"),
        (errno.ENAMETOOLONG, "shorter names"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_each_refusal_names_the_file_the_words_and_the_way_out(
    number: int, to_do: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "x.json", "old")
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(StorageError) as caught:
        write_text(tmp_path / "x.json", "new")
    said = str(caught.value)
    assert f"cannot write {tmp_path / 'x.json'}" in said and os.strerror(number) in said and to_do in said
    assert (tmp_path / "x.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        write_text(tmp_path / ("x" * 300), "new")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_names_that_one(tmp_path: Path) -> None:
    said = r"cannot write .*/x\n  given:   Input/output error: /data/shard"
    with pytest.raises(StorageError, match=said), atomic_path(tmp_path / "x"):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/data/shard")


@pytest.mark.parametrize(
    ("line", "how"),
    [
        (
            "train --out 'a b' --set seed=1",
            "go on where it stopped: acula-edge train --out 'a b' --set seed=1 --resume",
        ),
        ("distill 'a b' --resume", "go on where it stopped: acula-edge distill 'a b' --resume"),
        ("verify 'a b'", "run it again: acula-edge verify 'a b'"),
    ],
)
def test_the_command_that_goes_on_is_spelled_out(line: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = types.ModuleType("acula_edge.pipeline")
    for verb in ("train", "distill", "verify"):
        setattr(pipeline, verb, refusing(errno.ENOSPC))
    monkeypatch.setitem(sys.modules, "acula_edge.pipeline", pipeline)
    monkeypatch.setattr(acula_edge, "pipeline", pipeline, raising=False)
    done = CliRunner().invoke(cli, shlex.split(line))
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0] == "error: the disk is full"
    assert done.stderr.splitlines()[-1] == f"  then:    {how}"


def test_a_lock_that_cannot_be_written_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", refusing(errno.ENOSPC))
    with pytest.raises(StorageError, match="No space left"), locked(tmp_path / "run", "train"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_a_disk_that_fails_under_a_shard_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = tmp_path / "waves-00000.i16"
    np.arange(100, dtype="<i2").tofile(shard)
    reader = WaveReader([shard])
    assert reader.read(0, 10, 5).tolist() == [10, 11, 12, 13, 14]
    os.truncate(shard, 100)
    with pytest.raises(ArtifactError, match=r"waves-00000\.i16 has been cut"):
        reader.read(0, 40, 20)
    monkeypatch.setattr(os, "preadv", refusing(errno.EIO))
    with pytest.raises(StorageError, match=r"cannot read .*waves-00000\.i16\n  given:   Input/output error"):
        reader.read(0, 0, 5)


def test_a_failing_disk_is_no_reason_to_do_without_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = [Recording("1", "/nowhere/1.wav", "s", "d", 4000, 1.0)]
    assert prepare.hash_recordings(recordings).set_aside[0].reason == "cannot be read: No such file or directory"
    monkeypatch.setattr(prepare, "sha256_file", refusing(errno.EIO))
    with pytest.raises(StorageError, match=r"cannot read the recording /nowhere/1\.wav"):
        prepare.hash_recordings(recordings)


def test_a_line_that_was_cut_short_costs_no_other(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log("align", epoch=1)
    with open(run.metrics_path, "a") as file:
        file.write('{"stage": "al')
    run.log("align", epoch=2)
    assert [row["epoch"] for row in run.metrics("align")] == [1, 2]


def test_reports_that_do_not_fit_name_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CorpusFile(tmp_path / "reports.jsonl", "f", keep_finished=True)
    monkeypatch.setattr(os, "fsync", refusing(errno.EDQUOT))
    with file, pytest.raises(StorageError, match=r"reports\.jsonl\.partial\n  given:   Disk quota exceeded"):
        file.finish({}, {}, [])


def test_a_folder_is_changed_as_a_whole(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "below").mkdir(parents=True)
    for name in ("kept", "replaced", "deleted", "below/kept"):
        (bundle / name).write_text("old")
    with pytest.raises(ZeroDivisionError), changed_folder(bundle) as stage:
        write_text(stage / "replaced", "new")
        (stage / "deleted").unlink()
        assert (bundle / "replaced").read_text() == "old"
        raise ZeroDivisionError
    assert len(list(bundle.rglob("*"))) == 5 and (bundle / "replaced").read_text() == "old"
    with changed_folder(bundle) as stage:
        write_text(stage / "replaced", "new")
        write_text(stage / "added", "new")
        (stage / "deleted").unlink()
    found = {path.name: path.read_text() for path in bundle.iterdir() if path.is_file()}
    assert found == {"kept": "old", "replaced": "new", "added": "new"}
    assert (bundle / "below" / "kept").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_no_fault_of_the_system_stays_a_bug() -> None:
    assert as_user_error(RuntimeError("unforeseen")) is None
    assert as_user_error(OSError(errno.EBADF, os.strerror(errno.EBADF))) is None
