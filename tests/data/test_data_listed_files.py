"""Paths as tables list them, files as they lie on the disk."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from acula_edge.data.listed_files import ListedFiles


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("lies", "listed"),
    [
        (unicodedata.normalize("NFD", "Börse/Herztön.wav"), "Börse/Herztön.wav"),
        ("Börse/Herztön.wav", unicodedata.normalize("NFD", "Börse/Herztön.wav")),
        ("Recording 9.41\u202fAM.wav", "Recording 9.41 AM.wav"),
        ("day 1/a.wav", "day\u00a01/a.wav"),
        ("audio/a.WAV", "audio/a.wav"),
        ("Audio/a.wav", "audio/A.wav"),
        ("audio/day 1/a.wav", "audio\\day 1\\a.wav"),
        ("audio/a.wav", ".\\audio\\a.wav"),
        ("a\\b.wav", "a\\b.wav"),
        ("audio/a.wav", "x/../audio/a.wav"),
    ],
)
def test_what_means_one_file_is_found(tmp_path: Path, lies: str, listed: str) -> None:
    lay(tmp_path, lies, "other/another.wav")
    assert ListedFiles().find(tmp_path, listed) == tmp_path / lies
    if "\\" not in lies:
        assert ListedFiles().find(Path("/nowhere"), str(tmp_path / listed)) == tmp_path / lies


def test_an_exact_name_wins_and_nothing_is_guessed_between_two(tmp_path: Path) -> None:
    lay(tmp_path, "A.wav", "a.wav")
    assert ListedFiles().find(tmp_path, "a.wav") == tmp_path / "a.wav"
    assert ListedFiles().find(tmp_path, "a.WAV") == tmp_path / "a.WAV"


def test_what_nearly_has_the_name_of_a_missing_file_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "A.wav", "a.WAV", "Ä.flac", "b.wav")
    files = ListedFiles()
    assert files.near(files.find(tmp_path, "a.wav")) == ["A.wav", "a.WAV"]
    assert files.near(files.find(tmp_path, unicodedata.normalize("NFD", "ä.wav"))) == ["Ä.flac"]
    assert files.near(files.find(tmp_path, "b")) == ["b.wav"]
    assert files.near(files.find(tmp_path, "none/x.wav")) == files.near(files.find(tmp_path, "x.wav")) == []


def test_a_file_that_is_not_there_keeps_its_listed_path(tmp_path: Path) -> None:
    assert ListedFiles().find(tmp_path, "none/x.wav") == tmp_path / "none/x.wav"
