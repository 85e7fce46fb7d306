"""One writer per folder, and no lock that outlives its process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from acula_edge import folder_lock
from acula_edge.cli.main import cli
from acula_edge.errors import InputError
from acula_edge.folder_lock import LOCK_FILE, locked, move_locked, taking_turns

ROOT = Path(__file__).parents[1]


@contextmanager
def holder(folder: Path, purpose: str = "train", name: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed."""
    program = (
        "import sys, time\n"
        "from acula_edge.folder_lock import locked\n"
        f"with locked({str(folder)!r}, {purpose!r}, {name or LOCK_FILE!r}):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as other:
        with (
            pytest.raises(InputError, match="another process is writing") as caught,
            locked(tmp_path / "run", "export"),
        ):
            pass
        assert re.search(rf"acula-edge train, process {other.pid} on \S+, for 0 min \d s", str(caught.value))
        typed = CliRunner().invoke(cli, ["train", "--out", str(tmp_path / "run")])
        assert typed.exit_code == 2 and f"process {other.pid}" in typed.stderr
    with locked(tmp_path / "run", "export"):  # killed: nothing has to be deleted by hand
        assert (tmp_path / "run" / LOCK_FILE).is_file()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_lock_file_that_was_left_and_says_nothing_is_taken_over(tmp_path: Path) -> None:
    for content in ("", "{", "[1]", '{"pid": 1}'):
        (tmp_path / LOCK_FILE).write_text(content)
        with locked(tmp_path, "train"):
            pass
        assert list(tmp_path.iterdir()) == []


def test_verbs_that_call_one_another_share_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path, "export"), locked(tmp_path / "." / "x" / "..", "verify"):
        pass
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "export"), holder(tmp_path / "other"), locked(tmp_path, "a", name=".part.lock"):
        pass


def test_taking_the_lock_clears_away_what_was_never_finished(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / ".model.partial-abcdefgh.safetensors").write_text("half")
    with locked(tmp_path, "train"):
        assert list((tmp_path / "encoder").iterdir()) == []


def test_a_folder_that_is_set_aside_takes_no_lock_along(tmp_path: Path) -> None:
    run, kept = tmp_path / "run", tmp_path / "kept"
    with locked(run, "train"):
        (run / "recipe.yaml").write_text("old")
        move_locked(run, kept)
        assert sorted(path.name for path in kept.iterdir()) == ["recipe.yaml"]
        assert sorted(path.name for path in run.iterdir()) == [LOCK_FILE]
        program = f"from acula_edge.folder_lock import locked\nwith locked({str(run)!r}, 'x'): pass"
        second = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert f"process {os.getpid()}" in second.stderr
    assert list(run.iterdir()) == []


def test_a_forked_child_neither_holds_nor_frees_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path, "train"):
        child = os.fork()
        if child == 0:
            ok = not folder_lock._held
            time.sleep(30)
            os._exit(0 if ok else 1)
    try:
        with locked(tmp_path, "export"):  # the child lives on, without it
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_other_processes_of_the_same_job_do_not_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with locked(tmp_path, "train"):
        assert list(tmp_path.iterdir()) == []


def test_who_takes_turns_waits_and_ignores_the_lock(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from acula_edge.folder_lock import taking_turns\n"
        f"with taking_turns(Path({str(tmp_path)!r})) as alone:\n"
        "    print(alone, flush=True)\n"
        "    sys.stdin.readline()\n"
        f"    Path({str(tmp_path / 'first')!r}).touch()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        holder(tmp_path),
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as other,
    ):
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "True\n"
        release = threading.Timer(0.3, lambda: other.communicate("\n"))
        release.start()
        with taking_turns(tmp_path) as alone:
            assert alone and (tmp_path / "first").exists()
        release.join()
