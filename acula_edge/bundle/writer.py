"""The one writer of bundles: files are staged, each is hashed once, and ``bundle.json`` is sealed last, once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from acula_edge.bundle.acceptance import judge_acceptance
from acula_edge.bundle.folder import check_entries, file_names, links_out, read_bundle
from acula_edge.bundle.json_files import plain, read_facts_if_there, write_facts
from acula_edge.bundle.layout import (
    ACCEPTANCE_FILE,
    AUDIT_FILE,
    BENCHMARK_FILE,
    BUNDLE_FILE,
    FRONTEND_SELFTEST_FILE,
    QUANTIZE_FILE,
    SBOM_FILE,
    SELFTEST_FILE,
    SELFTEST_SCRIPT,
    SIGNATURE_FILE,
    VERIFY_FILE,
)
from acula_edge.bundle.schema import Acceptance, Audit, Benchmark, Bundle, File, Quantize, Verify
from acula_edge.bundle.sealed import render_sealed_json
from acula_edge.command_line import command_line
from acula_edge.errors import ArtifactError
from acula_edge.files import atomic_folder, changed_folder, sha256_file, write_text
from acula_edge.progress import notify

_NAMES: dict[type[File], str] = {
    Acceptance: ACCEPTANCE_FILE, Audit: AUDIT_FILE, Benchmark: BENCHMARK_FILE, Quantize: QUANTIZE_FILE,
    Verify: VERIFY_FILE,
}  # fmt: skip
_FIXED_FILES = (SELFTEST_FILE, FRONTEND_SELFTEST_FILE, SELFTEST_SCRIPT)


class BundleWriter:
    """A bundle that is being made, or changed.

    Stages write their models and arrays into `folder`, hand their facts to :meth:`write`, and say in `info` what
    ``bundle.json`` shall tell of them.

    Attributes:
        folder: where the files are staged.
        final: where they will be.
        info: what ``bundle.json`` will say; files and hashes are filled in by :meth:`list_files`.
        acceptance: the criteria; a bundle with criteria gets its bill of materials and model card.
        verify, benchmark: what was measured in this process; else what lies in the folder counts.
    """

    def __init__(self, folder: Path, final: Path, info: Bundle | None = None) -> None:
        self.folder = folder
        self.final = final
        self.info = info
        self.acceptance: Acceptance | None = None
        self.verify: Verify | None = None
        self.benchmark: Benchmark | None = None
        self._former = {} if info is None else info.files
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def write(self, facts: File) -> None:
        """Write one of the JSON files."""
        write_facts(self.folder / _NAMES[type(facts)], facts)
        if isinstance(facts, Verify):
            self.verify = facts
        elif isinstance(facts, Benchmark):
            self.benchmark = facts

    def list_files(self) -> Bundle:
        """`info` with the sizes and hashes of the files that lie there now."""
        assert self.info is not None
        names = file_names(self.folder)
        check_entries(self.folder, names)
        self.info = msgspec.structs.replace(
            self.info,
            sizes_bytes={name: (self.folder / name).stat().st_size for name in names},
            files={name: self._sha256(name) for name in names},
        )
        for name in links_out(self.folder, names):
            if self.info.files[name] != self._former.get(name):
                raise ArtifactError(
                    f"{self.folder / name} is a link out of the folder, to something that was never part of it",
                    remedy="delete it, or copy there what it leads to",
                )
        return self.info

    def seal(self) -> Bundle:
        """Bring results beside criteria and the card up to date, then write ``bundle.json``.

        A signature that no longer fits is removed, which is said.

        Raises:
            ArtifactError: a model or the golden waveforms changed since the bundle was written.
        """
        info = self.list_files()
        for name, sha256 in self._former.items():
            # Everything else was measured on these, or built from them, and may be measured or built anew.
            fixed = name in _FIXED_FILES or name.endswith(".onnx")
            if fixed and info.files.get(name) != sha256:
                raise ArtifactError(
                    f"{self.folder / name} is not the file that this bundle was written with",
                    remedy="export the bundle again; measurements belong to the files that they were made on",
                )
        acceptance = self.acceptance or read_facts_if_there(self.folder / ACCEPTANCE_FILE, Acceptance)
        if acceptance is not None:
            info = self._write_evidence(info, acceptance)
        write_bundle_file(self.folder, info)
        return info

    def _write_evidence(self, info: Bundle, acceptance: Acceptance) -> Bundle:
        from acula_edge.bundle.card import write_card

        verify = self.verify or read_facts_if_there(self.folder / VERIFY_FILE, Verify)
        benchmark = self.benchmark or read_facts_if_there(self.folder / BENCHMARK_FILE, Benchmark)
        acceptance = judge_acceptance(acceptance, verify, benchmark)
        self.write(acceptance)
        if SBOM_FILE not in info.files:
            from acula_edge.bundle.sbom import write_sbom

            write_sbom(self.folder, info)
        write_card(self.folder, info, verify, benchmark, acceptance)
        return self.list_files()

    def _sha256(self, name: str) -> str:
        entry = (self.folder / name).stat()
        key = (name, entry.st_ino, entry.st_size, entry.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256_file(self.folder / name)
        return self._hashes[key]


@contextlib.contextmanager
def new_bundle(folder: str | Path) -> Iterator[BundleWriter]:
    """Make a bundle; a former one is replaced by the whole, sealed one, or stays as it was.

    Raises:
        StorageError: see :func:`acula_edge.files.atomic_folder`.
    """
    with atomic_folder(folder) as stage:
        writer = BundleWriter(stage, Path(folder))
        yield writer
        writer.seal()


@contextlib.contextmanager
def changed_bundle(folder: str | Path, in_place: bool = False) -> Iterator[BundleWriter]:
    """Add what was measured on a bundle, or built from it.

    Args:
        in_place: the folder itself is written to, file by file: it may be a device's mounted folder, which cannot be
            put in another's place.

    Raises:
        ArtifactError: no bundle, or one whose models were altered.
    """
    folder = Path(folder)
    info = read_bundle(folder, verify=False)
    with contextlib.nullcontext(folder) if in_place else changed_folder(folder) as stage:
        writer = BundleWriter(stage, folder, info)
        yield writer
        writer.seal()


def seal(folder: str | Path) -> None:
    """List files that came since (an engine) in ``bundle.json``, with their hashes; see :meth:`BundleWriter.seal`."""
    with changed_bundle(folder, in_place=True):
        pass


def write_bundle_file(folder: Path, info: Bundle) -> None:
    """Write ``bundle.json`` with its own hash, unless it says just this; a signature of another is removed."""
    path = folder / BUNDLE_FILE
    text = render_sealed_json(plain(info))
    if path.is_file() and path.read_bytes() == text.encode():
        return
    write_text(path, text)
    if (folder / SIGNATURE_FILE).is_file():
        (folder / SIGNATURE_FILE).unlink()
        notify(
            "%s changed, so its signature was removed; sign it again: %s",
            *(folder, command_line("acula-edge", "bundle", "sign", folder, "--key", "KEY.pem")),
        )
