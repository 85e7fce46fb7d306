"""PyTorch's checkpoint files: the zip archive and the pickle in it, before ``torch.load(weights_only=True)`` sees them.

PyTorch writes a stored (never compressed) zip archive: ``NAME/data.pkl`` and one entry per storage, ``NAME/data/KEY``.
Nothing else is taken: not its older formats (a bare pickle, a tar), not TorchScript, not archives with tricks. Which
classes the pickle may name is left to PyTorch's own list; here it is held to what cannot take memory or time.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import BinaryIO

from acula_edge.errors import ArtifactError
from acula_edge.limits import MAX_ARCHIVE_ENTRIES, MAX_CHECKPOINT_BYTES, MAX_PICKLE_BYTES
from acula_edge.untrusted.pickles import check_pickle
from acula_edge.untrusted.regular_files import open_artifact

_WHAT = "a checkpoint"
_LOCAL = b"PK\x03\x04"
_END = b"PK\x05\x06"
_END_BYTES = 22
_REMEDY = "save it again: torch.save of PyTorch 1.6 or later, of a state_dict; or safetensors"


def check_checkpoint(path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint file that would take more memory or time than an honest one of its size.

    Raises:
        ArtifactError: no such file, none that ``torch.save`` writes, or one beyond the limits.
    """
    path = Path(path)
    with open_artifact(path, _WHAT, MAX_CHECKPOINT_BYTES) as file:
        try:
            _check(file)
        except ArtifactError:
            raise
        except Exception as error:  # zipfile and pickletools raise a dozen kinds for damaged files
            given = str(error).partition("\n")[0][:200] or type(error).__name__
            raise ArtifactError(f"{path} cannot be read as {_WHAT}", given=given, remedy=_REMEDY) from error


def _check(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if file.read(4) != _LOCAL:
        raise ValueError("it is no zip archive, as torch.save of PyTorch 1.6 and later writes")
    file.seek(max(0, size - _END_BYTES))
    # Readers that look for the directory elsewhere than at the end would see another archive.
    if file.read(4) != _END:
        raise ValueError("something follows its zip archive, or it was cut off")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _check_entries(entries, size)
        pickled = next((entry for entry in entries if entry.filename.endswith("/data.pkl")), None)
        if pickled is None or pickled.filename.count("/") != 1:
            raise ValueError("its archive holds no data.pkl")
        if pickled.file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"a pickle of {pickled.file_size} bytes, at most {MAX_PICKLE_BYTES}")
        data = archive.read(pickled)
    prefix = pickled.filename.removesuffix("data.pkl")
    storages = {e.filename.removeprefix(f"{prefix}data/"): e.file_size for e in entries}
    check_pickle(data, storages)


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > MAX_ARCHIVE_ENTRIES:
        raise ValueError(f"{len(entries)} entries, at most {MAX_ARCHIVE_ENTRIES}")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("two entries of its archive have the same name")
    strange = [name for name in names if "\\" in name or name.startswith("/") or ".." in name.split("/")]
    if strange or len({name.partition("/")[0] for name in names}) != 1:
        raise ValueError(f"its archive names {strange[0][:80]!r}" if strange else "its archive holds several folders")
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise ValueError(f"the entry {entry.filename[:80]} is compressed, which torch.save never does")
        if entry.flag_bits & 1:
            raise ValueError(f"the entry {entry.filename[:80]} is encrypted")
        if entry.header_offset < end:
            raise ValueError(f"the entry {entry.filename[:80]} overlaps another")
        end = entry.header_offset + entry.file_size
        if end > size:
            raise ValueError(f"the entry {entry.filename[:80]} is longer than the file")
