"""What readers of published releases share: the way from what a release lists to recordings, audio by name, counts
against the complete release, seeded divisions."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import (
    Corpus,
    Options,
    PublishedSplit,
    Reader,
    ReadResult,
    SetAside,
    check_options,
    read_header,
    require_folder,
)
from acula_edge.data.release_tables import column_name
from acula_edge.errors import AudioError, ManifestError
from acula_edge.plain_text import is_plain_name, make_plain

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Candidate:
    """A recording that a release lists, before its audio is looked at.

    Attributes:
        recording, path, metadata, stratum, split: as in :class:`acula_edge.data.manifest.Recording`.
        person: id of the person within the data set.
        reason: why it takes no part; "" where its audio decides.
    """

    recording: str
    path: Path
    person: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    stratum: str = ""
    split: str = ""
    reason: str = ""


class ReleaseReader(Reader):
    """A reader of a published release: it lists the recordings, and their audio is read here.

    Attributes:
        corpus: facts of the release.
        options: names of the options that the reader has.
    """

    corpus: Corpus
    options: tuple[str, ...] = ()

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """The recordings of a release, in order.

        Args:
            root: its folder, absolute.
            warnings: what differs from the release is added to them.

        Raises:
            ManifestError: the folder does not hold the release, or contradicts itself.
        """
        raise NotImplementedError

    def complete(self, options: Options) -> Corpus:
        """Facts that the counts of a complete copy are held against."""
        return self.corpus

    def read(self, root: Path, options: Options) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; :attr:`options` names the options."""
        dataset = self.corpus.name
        check_options(dataset, options, self.options)
        require_folder(root, f"{self.corpus.title} (it holds {self.corpus.layout[0]})")
        root = root.absolute()
        result = ReadResult()
        for listed in self.list_recordings(root, options, result.warnings):
            key = f"{dataset}/{listed.recording}"
            if listed.reason:
                result.set_aside.append(SetAside(key, str(listed.path), listed.reason))
            elif (header := read_or_set_aside(result, key, listed.path)) is not None:
                result.recordings.append(
                    Recording(
                        recording=listed.recording,
                        path=str(listed.path),
                        subject=f"{dataset}/{listed.person}",
                        dataset=dataset,
                        sample_rate_hz=header[0],
                        duration_s=header[1],
                        split=listed.split,
                        stratum=listed.stratum,
                        metadata=listed.metadata,
                    )
                )
        require_recordings(root, self.corpus, result)
        warn_of_counts(self.complete(options), result)
        return result

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """See :class:`acula_edge.data.reader.Reader`; where all tasks leave one person out, everybody is tested."""
        if not self.corpus.test_only:
            return None
        return PublishedSplit({r.key: {"*": "test"} for r in recordings}, "leave one subject out", True, True)


def parse_name(corpus: Corpus, pattern: re.Pattern[str], name: str, where: object) -> re.Match[str]:
    """Parts of a recording's name.

    Args:
        where: it stands, for the error.

    Raises:
        ManifestError: recordings of the corpus are named otherwise.
    """
    if (match := pattern.fullmatch(name)) is None:
        raise ManifestError(f"{where}: {name} is not named like a recording of {corpus.title}", allowed=corpus.layout)
    return match


def find_entry(folder: Path, *names: str, suffix: str = "") -> Path | None:
    """What in a folder has one of the names, first name first; case, blanks and underscores do not count.

    Args:
        suffix: the entry is a file that ends so; "" for a folder.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() if not suffix else path.suffix.casefold() == suffix and not path.name.startswith("."):
            found.setdefault(column_name(path.stem if suffix else path.name), path)
    return next((found[column_name(name)] for name in names if column_name(name) in found), None)


def require_file(corpus: Corpus, name: str, suffix: str, *folders: Path) -> Path:
    """The file of a name (:func:`find_entry`) in the first of the folders that has it.

    Raises:
        ManifestError: none has.
    """
    for folder in folders:
        if (found := find_entry(folder, name, suffix=suffix)) is not None:
            return found
    raise ManifestError(
        f"{folders[0]} is not {corpus.title}: it has no {name}{suffix}",
        allowed=corpus.layout,
        remedy="give the folder that holds them",
    )


def list_audio(folder: Path, suffixes: Iterable[str] = (".wav", ".flac")) -> list[Path]:
    """Audio files of a folder in order of name, whatever the case of their ending; hidden files are left out."""
    if not folder.is_dir():
        return []
    endings = set(suffixes)
    return sorted(p for p in folder.iterdir() if p.suffix.casefold() in endings and not p.name.startswith("."))


def name_audio(folder: Path) -> dict[str, Path]:
    """Audio files of a folder by name without ending, in lower case.

    Raises:
        ManifestError: two files have one name.
    """
    found: dict[str, Path] = {}
    for path in list_audio(folder):
        other = found.setdefault(path.stem.casefold(), path)
        if other is not path:
            raise ManifestError(
                f"two files in {folder} have one name", given=f"{other.name}, {path.name}", remedy="remove one of them"
            )
    return found


def read_or_set_aside(result: ReadResult, key: str, path: Path) -> tuple[int, float] | None:
    """Sample rate in Hz and seconds of an audio file; None, and an entry in `result`, where it cannot be read.

    A name that is a path, as a table may hold it, is not followed.
    """
    name = key.partition("/")[2]
    if name.startswith("..") or not is_plain_name(name):
        result.set_aside.append(SetAside(make_plain(key), make_plain(str(path)), "its name is none of a file"))
        return None
    try:
        return read_header(path)
    except AudioError as error:
        result.set_aside.append(SetAside(key, str(path), error.problem))
        return None


def warn_of_counts(corpus: Corpus, result: ReadResult) -> None:
    """Add a warning where the copy holds another number of recordings than the complete release."""
    usable = len(result.recordings)
    found = usable + len(result.set_aside)
    if corpus.recordings is not None and corpus.recordings not in (usable, found):
        persons = len({recording.subject for recording in result.recordings})
        of = f" of {corpus.subjects} persons" if corpus.subjects is not None else ""
        result.warnings.append(
            f"{corpus.name}: {found} recordings of {persons} persons are here, {len(result.set_aside)} of them set "
            f"aside; the complete release has {corpus.recordings}{of}"
        )


def require_recordings(root: Path, corpus: Corpus, result: ReadResult) -> None:
    """Raises ManifestError where no recording can be used."""
    if not result.recordings:
        raise ManifestError(
            f"{root} holds no {corpus.title} recording that can be read",
            given=f"{len(result.set_aside)} set aside; the first: {result.set_aside[0].reason}"
            if result.set_aside
            else "no audio",
            allowed=corpus.layout,
        )


def divide(strata: Mapping[K, str], seed: int, test: float, val: float) -> dict[K, str] | None:
    """Split per key as scikit-learn's ``train_test_split`` deals them: a share is test, a share of the rest validation.

    The order of the keys matters, and so does the order of the strata's names.

    Args:
        strata: stratum of each key.

    Returns:
        None where there are too few keys of some stratum to deal.
    """
    from sklearn.model_selection import train_test_split

    split = dict.fromkeys(strata, "train")
    rest = list(strata)
    for share, side in ((test, "test"), (val, "val")):
        if not share:
            continue
        try:
            rest, held_out = train_test_split(
                rest, test_size=share, random_state=seed, stratify=[strata[key] for key in rest]
            )
        except ValueError:
            return None
        split.update((key, side) for key in held_out)
    return split
