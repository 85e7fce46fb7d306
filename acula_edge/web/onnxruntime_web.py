"""Where the three files of onnxruntime-web come from: a folder, a tarball, the cache, or npm. Never a CDN.

npm is asked for one pinned version, whose tarball must have the SHA-512 that the registry lists for it and whose files
the SHA-256 below. They are kept in ``$XDG_CACHE_HOME/acula-edge/onnxruntime-web/VERSION``, by default below
``~/.cache``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import atomic_folder, sha256_file
from acula_edge.limits import MAX_JSON_BYTES
from acula_edge.untrusted.texts import parse_json, read_text

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
NPM_TIMEOUT_S = 600
_PACK = f"npm pack {PACKAGE}@{VERSION}"


@dataclass(frozen=True)
class OrtWeb:
    """Files of onnxruntime-web.

    Attributes:
        files: path by name.
        version: as its package says; "unknown" where the files lie without it.
        tested: whether they are, byte by byte, those that acula-edge is tested with.
        source: where they were found, in words.
    """

    files: dict[str, Path]
    version: str
    tested: bool
    source: str


def find_onnxruntime_web(given: str | Path | None = None) -> OrtWeb:
    """Find onnxruntime-web, or have npm fetch it.

    Args:
        given: a folder with it (the package, its ``dist``, or the files alone) or the tarball that ``npm pack`` makes.
            Without it: ``node_modules`` of the current folder and the cache, if they hold the pinned version, then npm.

    Raises:
        MissingCapability: it is nowhere, and npm is missing or did not bring it.
        ArtifactError: a tarball or a file that is not what it should be.
        InputError: `given` holds no onnxruntime-web.
    """
    if given is not None:
        return _take_given(Path(given))
    for folder, source in ((Path("node_modules") / PACKAGE, "node_modules"), (cache_dir(), "the cache")):
        found = _take_folder(folder, source)
        if found is not None and found.tested:
            return found
    return _fetch()


def cache_dir() -> Path:
    """Where the files are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "acula-edge" / PACKAGE / VERSION


def _take_given(given: Path) -> OrtWeb:
    if given.is_file():
        return _unpack(given, f"{given}")
    found = _take_folder(given, str(given))
    if found is None:
        raise InputError(
            f"{given} holds no {PACKAGE}",
            allowed=f"a folder with {', '.join(FILES)}, or the tarball that {_PACK} makes",
        )
    return found


def _take_folder(folder: Path, source: str) -> OrtWeb | None:
    for place in (folder, folder / "dist"):
        files = {name: place / name for name in FILES}
        if all(path.is_file() for path in files.values()):
            tested = all(sha256_file(path) == FILES[name] for name, path in files.items())
            return OrtWeb(files, VERSION if tested else _package_version(place), tested, source)
    return None


def _package_version(place: Path) -> str:
    for path in (place / "package.json", place.parent / "package.json"):
        try:
            package = parse_json(read_text(path, MAX_JSON_BYTES))
        except (OSError, ValueError):
            continue
        if isinstance(package, dict) and package.get("name") == PACKAGE:
            return str(package.get("version") or "unknown")
    return "unknown"


def _fetch() -> OrtWeb:
    npm = shutil.which("npm")
    elsewhere = f"where there is npm: {_PACK}, then here: --onnxruntime-web {PACKAGE}-{VERSION}.tgz"
    if npm is None:
        raise MissingCapability(
            f"the page needs {PACKAGE} {VERSION}, which is not here, and npm, which fetches it, is not either",
            remedy=f"install Node.js (apt install npm), or {elsewhere}",
        )
    with tempfile.TemporaryDirectory(prefix="acula-edge-npm-") as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
        command += ["--no-update-notifier", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, cwd=folder)
            said = done.stderr.strip().splitlines()
        except (OSError, subprocess.TimeoutExpired) as error:
            said = [str(error)]
        tarballs = list(Path(folder).glob("*.tgz"))
        if len(tarballs) != 1:
            raise MissingCapability(
                f"npm did not bring {PACKAGE} {VERSION}",
                given=said[-1] if said else "it said nothing",
                remedy=f"connect this machine to the registry, or {elsewhere}",
            )
        return _unpack(tarballs[0], f"npm, kept in {cache_dir()}")


def _unpack(tarball: Path, source: str) -> OrtWeb:
    """Check a tarball and keep its files in the cache."""
    with open(tarball, "rb") as file:
        digest = hashlib.sha512()
        while block := file.read(1 << 20):
            digest.update(block)
    integrity = f"sha512-{base64.b64encode(digest.digest()).decode()}"
    if integrity != INTEGRITY:
        raise ArtifactError(
            f"{tarball.name} is not {PACKAGE} {VERSION} as the registry lists it",
            given=integrity,
            allowed=INTEGRITY,
            remedy=f"fetch it again: {_PACK}",
        )
    folder = cache_dir()
    with atomic_folder(folder) as temporary, tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("package/dist/")
            data = archive.extractfile(member) if name in FILES else None
            if data is not None:
                with open(temporary / name, "wb") as out:
                    shutil.copyfileobj(data, out)
    found = _take_folder(folder, source)
    if found is None or not found.tested:
        raise ArtifactError(f"{tarball.name} does not hold the files of {PACKAGE} {VERSION}", remedy=_PACK)
    return found
