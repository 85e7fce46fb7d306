"""A bundle's folder: reading it, checking that no file was altered, listing what is in it."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from acula_edge.bundle.json_files import parse_facts
from acula_edge.bundle.layout import BUNDLE_FILE, SIGNATURE_FILE
from acula_edge.bundle.schema import Bundle
from acula_edge.bundle.sealed import read_sealed_json
from acula_edge.bundle.signature import check_signature
from acula_edge.errors import ArtifactError
from acula_edge.files import sha256_file
from acula_edge.limits import MAX_BUNDLE_FILE_BYTES, MAX_BUNDLE_FILES


def read_bundle(folder: str | Path, verify: bool = True, public_key: str | Path | None = None) -> Bundle:
    """Read ``bundle.json``, after every file that it lists was checked against its SHA-256, and it against its own.

    Args:
        verify: without it the other files and the signature are not looked at.
        public_key: an Ed25519 public key (PEM) that the bundle must be signed by. Without it a signature that is there
            must still be right, where the package ``cryptography`` is installed.

    Raises:
        ArtifactError: the folder is no finished bundle, a file in it is missing or altered (named), no regular file or
            a link to other content than ``bundle.json`` lists, or ``bundle.json`` says what no bundle can.
        MissingCapability: a key was named and ``cryptography`` is not installed.
    """
    path = bundle_folder(folder)
    check_entries(path, (BUNDLE_FILE, SIGNATURE_FILE))
    info = parse_facts(read_sealed_json(path / BUNDLE_FILE, Bundle.SCHEMA), Bundle, path / BUNDLE_FILE)
    files = info.files
    check_entries(path, files)
    if verify:
        check_signature(path, public_key)
    # What a link leads to somewhere else is held to its hash in any case.
    damaged = damaged_files(path, files if verify else {name: files[name] for name in links_out(path, files)})
    if damaged:
        raise ArtifactError(
            f"the bundle {path} is damaged",
            given="; ".join(damaged),
            remedy="copy it again from where it was made, or export it again",
        )
    return info


def bundle_folder(path: str | Path) -> Path:
    """The folder of a bundle, which has a ``bundle.json``; ``~`` is the home folder.

    Raises:
        ArtifactError: there is no such folder, or it is no bundle's.
    """
    try:
        folder = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise ArtifactError("a bundle is named by the path of its folder", given=repr(path)) from error
    if (folder / BUNDLE_FILE).is_file():
        return folder
    remedy = "give the folder that acula-edge export wrote; one without bundle.json was never finished"
    if folder.name == BUNDLE_FILE and folder.is_file():
        remedy = f"give its folder: {folder.parent}"
    elif folder.is_file():
        remedy = "give a folder; an archive has to be unpacked first"
    elif os.path.islink(folder / BUNDLE_FILE):
        remedy = f"{BUNDLE_FILE} is a link that leads nowhere: download it again, dvc pull, datalad get"
    why = (
        f"it has no {BUNDLE_FILE}"
        if folder.is_dir()
        else "it is a file"
        if folder.exists()
        else "there is no such folder"
    )
    raise ArtifactError(f"{folder} is no bundle ({why})", remedy=remedy)


def check_entries(folder: Path, names: Iterable[str]) -> None:
    """Refuse what is no regular file, whatever links lead to it, and files that are too long to be a bundle's.

    Raises:
        ArtifactError: names the first.
    """
    for name in names:
        try:
            found = (folder / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, RuntimeError) as error:  # links in a circle
            raise ArtifactError(f"{folder / name} cannot be followed", given=error) from error
        if (folder / name).is_symlink() and not stat.S_ISREG(found.st_mode):
            raise ArtifactError(f"{folder / name} is a link to something that is no file")
        if found.st_size > MAX_BUNDLE_FILE_BYTES:
            raise ArtifactError(
                f"{folder / name} is too long for a bundle",
                given=found.st_size,
                allowed=f"{MAX_BUNDLE_FILE_BYTES} bytes",
            )


def links_out(folder: Path, names: Iterable[str]) -> list[str]:
    """Which of these files are links out of the folder.

    Caches (of the Hugging Face hub, DVC, datalad, Nix) hold a bundle's files somewhere else; which they must be, their
    hashes in ``bundle.json`` say.
    """
    inside = folder.resolve()
    return [name for name in names if os.path.islink(folder / name) and inside not in (folder / name).resolve().parents]


def listed(folder: Path, info: Bundle, name: str) -> Path:
    """Path of a file that ``bundle.json`` lists; one that merely lies there was not checked.

    Raises:
        ArtifactError: it is not listed.
    """
    if name not in info.files:
        raise ArtifactError(
            f"{folder / BUNDLE_FILE} does not list {name}",
            allowed=sorted(info.files),
            remedy="export the bundle again" if (folder / name).exists() else "acula-edge export",
        )
    return folder / name


def check(folder: str | Path) -> list[str]:
    """Verify every checksum; names of files in the folder that bundle.json does not know.

    Raises:
        ArtifactError: see :func:`read_bundle`.
    """
    info = read_bundle(folder)
    return [name for name in file_names(folder) if name not in info.files]


def damaged_files(folder: Path, files: dict[str, str]) -> list[str]:
    """What is wrong with the listed files, one phrase each."""
    problems = []
    for name, sha256 in files.items():
        if not (folder / name).is_file():
            nowhere = (folder / name).is_symlink() and not (folder / name).exists()
            problems.append(f"{name} is a link that leads nowhere" if nowhere else f"{name} is missing")
        elif sha256_file(folder / name) != sha256:
            problems.append(f"{name} was altered")
    return problems


def file_names(folder: str | Path) -> list[str]:
    """Names of a bundle's files but ``bundle.json`` and its signature, sorted; hidden ones are no part of it.

    Raises:
        ArtifactError: the folder holds far more than any bundle.
    """
    most = 4 * MAX_BUNDLE_FILES
    paths = list(itertools.islice(Path(folder).iterdir(), most + 1))
    if len(paths) > most:
        raise ArtifactError(f"{folder} holds more than {most} files, which no bundle does")
    return sorted(
        path.name
        for path in paths
        if path.is_file() and path.name not in (BUNDLE_FILE, SIGNATURE_FILE) and not path.name.startswith(".")
    )
