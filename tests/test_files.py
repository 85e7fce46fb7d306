"""Files and folders that appear whole or not at all, whatever kills the writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from acula_edge import files
from acula_edge.errors import InputError
from acula_edge.files import atomic_folder, atomic_path, clear_partial, clear_partial_of, write_text
from tests.pipeline.conftest import snapshot


def write_version(folder: Path, version: str) -> None:
    with atomic_folder(folder) as stage:
        (stage / "a").write_text(version)
        (stage / "below").mkdir()
        (stage / "below" / "b").write_text(version)


def killed_where(line: str, folder: Path) -> None:
    """Write version 2 in a process that is killed at a line of this program."""
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from acula_edge import files\n"
        "from tests.test_files import write_version\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{line}\n"
        f"write_version(Path({str(folder)!r}), '2')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("exchanging", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanging: bool) -> None:
    if not exchanging:
        monkeypatch.setattr(files.ctypes, "CDLL", lambda *_, **__: object())
    write_version(tmp_path / "x", "1")
    write_version(tmp_path / "x", "2")
    assert snapshot(tmp_path) == {"x/a": b"2", "x/below/b": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("files._sync = die", "1"),
        ("files._take_place = die", "1"),
        ("files.shutil.rmtree = die", "2"),
        # Without an exchange in one step there is a moment between two renames.
        (
            "files.ctypes.CDLL = lambda *_, **__: object()\n"
            "move, moves = os.replace, []\n"
            "files.os.replace = lambda *names: (moves.append(1), move(*names) if len(moves) < 2 else die())",
            "1",
        ),
    ],
)
def test_a_writer_that_is_killed_leaves_a_whole_folder(tmp_path: Path, line: str, version: str) -> None:
    write_version(tmp_path / "x", "1")
    killed_where(line, tmp_path / "x")
    assert len(list(tmp_path.iterdir())) > 1 or not (tmp_path / "x").exists()
    clear_partial(tmp_path)
    assert snapshot(tmp_path) == {"x/a": version.encode(), "x/below/b": version.encode()}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_others_have_hidden_stays(tmp_path: Path) -> None:
    theirs = [
        ".partial-x",
        ".config.partial-notes",
        "a.partial-abcdefgh",
        ".hidden-abcdefgh",
        ".x.partial-abcdefgh.d.e",
    ]
    for name in theirs:
        (tmp_path / name).write_text("theirs")
    (tmp_path / ".ours.partial-abcd_123.json").write_text("half")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".ours.partial-abcd_123").write_text("half")
    clear_partial(tmp_path, of="other")
    assert len(list(tmp_path.rglob(".ours*"))) == 2
    clear_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*theirs, "below"])
    assert list((tmp_path / "below").iterdir()) == []


def test_a_file_is_as_it_was_until_it_is_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "x.json") as path:
        path.write_text("half")
        assert path.suffix == ".json"
        raise ZeroDivisionError
    assert snapshot(tmp_path) == {"x.json": b"old"}
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "x.json", "new")
    finally:
        os.umask(mask)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write_version(tmp_path / "x", "1")
    assert snapshot(tmp_path) == {"x": b"mine"}


def test_what_was_begun_of_one_file_is_cleared_alone(tmp_path: Path) -> None:
    others = [".reports.partial-abcd_123.jsonl", ".report.partial-abcd_123.md", ".report.partial-notes.html"]
    for name in (*others, ".report.partial-abcd_123.html"):
        (tmp_path / name).write_text("half")
    clear_partial_of(tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
