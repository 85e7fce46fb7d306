"""A bundle's files: reading them, checking that none was altered, listing what was added. NumPy only."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.command_line import command_line
from acula_edge.engines.bundle_facts import check_facts
from acula_edge.engines.sealed_json import read_sealed_json, render_sealed_json, write_sealed_json
from acula_edge.engines.signature import SIGNATURE_FILE, check_signature
from acula_edge.errors import ArtifactError
from acula_edge.files import sha256_file
from acula_edge.limits import MAX_BUNDLE_FILE_BYTES, MAX_BUNDLE_FILES, MAX_WINDOW_SAMPLES
from acula_edge.progress import notify
from acula_edge.untrusted.npz import Arrays, read_npz

BUNDLE_SCHEMA = "acula-edge/bundle/1"
BUNDLE_FILE = "bundle.json"
SELFTEST_SCHEMA = "acula-edge/selftest/1"
SELFTEST_FILE = "selftest.npz"
FRONTEND_SELFTEST_FILE = "selftest-frontends.npz"
SELFTEST_SCRIPT = "selftest.py"
FIXED_FILES = (SELFTEST_FILE, FRONTEND_SELFTEST_FILE, SELFTEST_SCRIPT)
PCM_SCALE = 32768

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SelfTest:
    """Golden waveforms and what the models made of them where the bundle was written.

    Attributes:
        names: of the waveforms.
        waves: [N, T] in [-1, 1].
        embeddings, scores: expected outputs by precision (``float``, ``int8``): [N, D] and [N, K].
        tolerances: by precision: ``cosine_min`` of an embedding and ``score_max_abs`` (for a regression relative to
            its value where that exceeds 1).
        recordings: int16 sound of other lengths than a window by name, and the rows of `waves` that are its windows;
            empty in bundles of earlier versions.
    """

    names: list[str]
    waves: Array
    embeddings: dict[str, Array]
    scores: dict[str, Array]
    tolerances: dict[str, dict[str, float]]
    recordings: dict[str, tuple[NDArray[np.int16], list[int]]]

    def compare(self, precision: str, embeddings: Array, scores: Array) -> list[dict[str, Any]]:
        """Judge what this machine computed, one entry per waveform, as :meth:`judge` gives them.

        Shape: [N, D], [N, K].
        """
        return [self.judge(precision, row, embeddings[row], scores[row]) for row in range(len(self.names))]

    def judge(self, precision: str, row: int, embedding: Array, scores: Array) -> dict[str, Any]:
        """Judge the outputs for one waveform: ``name, cosine, score_error, passed``.

        Shape: [D], [K].
        """
        tolerance = self.tolerances[precision]
        expected, found = (np.asarray(values, np.float64) for values in (self.embeddings[precision][row], embedding))
        lengths = float(np.linalg.norm(expected) * np.linalg.norm(found))
        equal = bool(np.array_equal(expected, found))
        cosine = 1.0 if equal else float(expected @ found) / lengths if lengths > 0 else 0.0
        wanted = self.scores[precision][row].astype(np.float64)
        errors = np.abs(scores - wanted) / np.maximum(1.0, np.abs(wanted))
        error = float(errors.max(initial=0.0))
        # A NaN fails both comparisons.
        passed = bool(cosine >= tolerance["cosine_min"] and error <= tolerance["score_max_abs"])
        return {
            "name": self.names[row],
            "cosine": cosine if np.isfinite(cosine) else None,
            "score_error": error if np.isfinite(error) else None,
            "passed": passed,
        }


def read_bundle(folder: str | Path, verify: bool = True, public_key: str | Path | None = None) -> dict[str, Any]:
    """Read ``bundle.json``, after every file that it lists was checked against its SHA-256, and it against its own.

    Bundles that were written before ``bundle.json`` carried its own hash are read without that check.

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
    info = read_sealed_json(path / BUNDLE_FILE, BUNDLE_SCHEMA, required=False)
    files = info.get("files")
    if not isinstance(files, dict):
        raise ArtifactError(f"{path / BUNDLE_FILE} does not list the bundle's files")
    check_facts(info, path / BUNDLE_FILE)
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


def listed(folder: Path, info: Mapping[str, Any], name: str) -> Path:
    """Path of a file that ``bundle.json`` lists; one that merely lies there was not checked.

    Raises:
        ArtifactError: it is not listed.
    """
    if name not in info["files"]:
        raise ArtifactError(
            f"{folder / BUNDLE_FILE} does not list {name}",
            allowed=sorted(info["files"]),
            remedy="export the bundle again" if (folder / name).exists() else "acula-edge export",
        )
    return folder / name


def write_bundle_file(folder: str | Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Write ``bundle.json``: `facts`, the hashes of the files beside it, and its own. The last thing in a bundle.

    A signature that no longer fits is removed, which is said.

    Returns:
        What was written.
    """
    folder = Path(folder)
    path = folder / BUNDLE_FILE
    known = facts.get("files")
    info = {**facts, **list_files(folder, known if isinstance(known, dict) else {})}
    text = render_sealed_json(info)
    if not path.is_file() or path.read_bytes() != text.encode():
        write_sealed_json(path, info)
        if (folder / SIGNATURE_FILE).is_file():
            (folder / SIGNATURE_FILE).unlink()
            notify(
                "%s changed, so its signature was removed; sign it again: %s",
                *(folder, command_line("acula-edge", "bundle", "sign", folder, "--key", "KEY.pem")),
            )
    return read_sealed_json(path, BUNDLE_SCHEMA)


def check(folder: str | Path) -> list[str]:
    """Verify every checksum; names of files in the folder that bundle.json does not know.

    Raises:
        ArtifactError: see :func:`read_bundle`.
    """
    info = read_bundle(folder)
    return [name for name in file_names(folder) if name not in info["files"]]


def seal(folder: str | Path, **facts: Any) -> dict[str, Any]:
    """List files that came since (verify.json, benchmark.json, an engine) in ``bundle.json``, with their hashes.

    Args:
        facts: entries of ``bundle.json`` that these files change.

    Returns:
        The content of ``bundle.json``.

    Raises:
        ArtifactError: a model or the golden waveforms changed since the bundle was written.
    """
    folder = Path(folder)
    info = read_bundle(folder, verify=False)
    listing = list_files(folder, info["files"])["files"]
    for name, sha256 in info["files"].items():
        # Everything else was measured on these, or built from them, and may be measured or built anew.
        fixed = name in FIXED_FILES or name.endswith(".onnx")
        if fixed and listing.get(name) != sha256:
            raise ArtifactError(
                f"{folder / name} is not the file that this bundle was written with",
                remedy="export the bundle again; measurements belong to the files that they were made on",
            )
    return write_bundle_file(folder, {**info, **facts})


def list_files(folder: Path, known: Mapping[str, str]) -> dict[str, Any]:
    """Sizes and hashes of a bundle's files, as ``bundle.json`` holds them.

    Args:
        known: those that it lists already.

    Raises:
        ArtifactError: a link out of the folder, to other content than is known.
    """
    names = file_names(folder)
    check_entries(folder, names)
    hashes = {name: sha256_file(folder / name) for name in names}
    for name in links_out(folder, names):
        if hashes[name] != known.get(name):
            raise ArtifactError(
                f"{folder / name} is a link out of the bundle's folder, to something that was never part of it",
                remedy="delete it, or copy there what it leads to",
            )
    return {"sizes_bytes": {name: (folder / name).stat().st_size for name in names}, "files": hashes}


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


def read_selftest(folder: str | Path) -> SelfTest:
    """Read the golden waveforms of a bundle.

    Raises:
        ArtifactError: no such file, or not one of these.
    """
    arrays = read_npz(Path(folder) / SELFTEST_FILE, "golden waveforms")
    try:
        return _selftest(arrays)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise arrays.error(error) from error


def _selftest(arrays: Arrays) -> SelfTest:
    header = arrays.header(SELFTEST_SCHEMA)
    pcm = arrays.numbers("pcm", 2)
    names = [str(name) for name in header["names"]]
    if pcm.dtype != np.int16 or len(names) != len(pcm) or not 1 <= pcm.shape[1] <= MAX_WINDOW_SAMPLES or not names:
        raise ValueError(f"{len(names)} names for waveforms {pcm.dtype} {pcm.shape}")
    tolerances = {
        name: {kind: float(entry[kind]) for kind in ("cosine_min", "score_max_abs")}
        for name, entry in header["tolerances"].items()
    }
    if not tolerances or not set(tolerances) <= {"float", "int8"}:
        raise ValueError(f"outputs of {', '.join(tolerances) or 'no model'}, not of float or int8")
    outputs = {
        kind: {name: arrays.numbers(f"{name}_{kind}", 2) for name in tolerances} for kind in ("embedding", "scores")
    }
    if any(len(rows) != len(names) for of_kind in outputs.values() for rows in of_kind.values()):
        raise ValueError("not one output per waveform")
    return SelfTest(
        names=names,
        waves=(pcm.astype(np.float32) / PCM_SCALE).astype(np.float32),
        embeddings=outputs["embedding"],
        scores=outputs["scores"],
        tolerances=tolerances,
        recordings={str(name): _join(pcm, entry) for name, entry in header.get("recordings", {}).items()},
    )


def _join(pcm: NDArray[np.int16], entry: dict[str, Any]) -> tuple[NDArray[np.int16], list[int]]:
    """A golden recording from its windows, and their rows; one shorter than a window lies at the window's end."""
    samples, first, starts = int(entry["samples"]), int(entry["first"]), [int(start) for start in entry["starts"]]
    rows = [first + index for index in range(len(starts))]
    length = min(pcm.shape[1], samples)
    fits = 0 < samples <= pcm.size and first >= 0 and first + len(starts) <= len(pcm)
    if not fits or not starts or not all(0 <= start <= samples - length for start in starts):
        raise ValueError("a recording that does not fit its windows")
    recording = np.zeros(samples, np.int16)
    for row, start in zip(rows, starts, strict=True):
        recording[start : start + length] = pcm[row, -length:]
    return recording, rows
