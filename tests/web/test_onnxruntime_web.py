"""Where onnxruntime-web comes from: given, node_modules, the cache, npm; and what is not taken."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.web import find_onnxruntime_web, onnxruntime_web

CONTENT = {name: f"// {name}, pinned\n".encode() for name in onnxruntime_web.FILES}


def write_package(folder: Path, content: dict[str, bytes], version: str) -> Path:
    """The package as npm installs it."""
    (folder / "dist").mkdir(parents=True)
    for name, data in content.items():
        (folder / "dist" / name).write_bytes(data)
    (folder / "package.json").write_text(json.dumps({"name": "onnxruntime-web", "version": version}))
    return folder


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {**CONTENT, "ort.js": b"much else"}.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch, tarball: Path, tmp_path: Path) -> None:
    """Pin the tarball of this test, and let nothing of this machine be found."""
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    monkeypatch.setattr(onnxruntime_web, "INTEGRITY", f"sha512-{base64.b64encode(digest).decode()}")
    monkeypatch.setattr(onnxruntime_web, "FILES", hashes)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def install_npm(folder: Path, body: str) -> Path:
    """A stand-in for npm that writes down how it was called."""
    (folder / "bin").mkdir(exist_ok=True)
    npm, calls = folder / "bin" / "npm", folder / "calls"
    npm.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nfor last; do :; done\n{body}\n')
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    return calls


def test_npm_is_asked_once_for_the_pinned_version(tmp_path: Path, tarball: Path) -> None:
    calls = install_npm(tmp_path, f'/bin/cp {tarball} "$last/onnxruntime-web-1.2.3.tgz"')
    first, second = find_onnxruntime_web(), find_onnxruntime_web()
    assert first.tested and first.version == onnxruntime_web.VERSION and "npm" in first.source
    assert second.source == "the cache" and second.files == first.files
    (call,) = calls.read_text().splitlines()
    assert call.startswith(f"pack onnxruntime-web@{onnxruntime_web.VERSION} --ignore-scripts")
    assert {path.name: path.read_bytes() for path in onnxruntime_web.cache_dir().iterdir()} == CONTENT


def test_a_tarball_that_was_altered_is_refused(tmp_path: Path, tarball: Path) -> None:
    install_npm(tmp_path, f'(/bin/cat {tarball}; echo x) > "$last/onnxruntime-web-1.2.3.tgz"')
    with pytest.raises(ArtifactError, match="as the registry lists it") as refusal:
        find_onnxruntime_web()
    assert refusal.value.allowed == onnxruntime_web.INTEGRITY
    assert not onnxruntime_web.cache_dir().exists()


def test_without_npm_it_is_said_what_to_do() -> None:
    with pytest.raises(MissingCapability) as missing:
        find_onnxruntime_web()
    assert missing.value.exit_code == 4
    assert f"npm pack onnxruntime-web@{onnxruntime_web.VERSION}" in str(missing.value)
    assert "--onnxruntime-web" in str(missing.value)


def test_what_npm_says_is_passed_on(tmp_path: Path) -> None:
    install_npm(tmp_path, 'echo "npm error network request failed" >&2; exit 1')
    with pytest.raises(MissingCapability, match="network request failed"):
        find_onnxruntime_web()


def test_a_tarball_from_elsewhere_is_taken_without_npm(tarball: Path) -> None:
    assert find_onnxruntime_web(tarball).tested
    tarball.unlink()
    assert find_onnxruntime_web().source == "the cache"


def test_node_modules_count_only_at_the_pinned_version(tmp_path: Path) -> None:
    place = Path("node_modules") / "onnxruntime-web"
    write_package(place, CONTENT, onnxruntime_web.VERSION)
    assert find_onnxruntime_web().source == "node_modules"
    (place / "dist" / next(iter(CONTENT))).write_text("// another version")
    with pytest.raises(MissingCapability):
        find_onnxruntime_web()


def test_a_cache_that_was_altered_is_fetched_anew(tmp_path: Path, tarball: Path) -> None:
    find_onnxruntime_web(tarball)
    name = next(iter(CONTENT))
    (onnxruntime_web.cache_dir() / name).write_bytes(b"altered")
    install_npm(tmp_path, f'/bin/cp {tarball} "$last/onnxruntime-web-1.2.3.tgz"')
    assert find_onnxruntime_web().files[name].read_bytes() == CONTENT[name]


@pytest.mark.parametrize("part", ["", "dist"])
def test_another_version_is_taken_when_it_is_named(part: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "other", {**CONTENT, next(iter(CONTENT)): b"// newer"}, "1.99.0")
    found = find_onnxruntime_web(package / part)
    assert (found.version, found.tested) == ("1.99.0", False)


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no onnxruntime-web"):
        find_onnxruntime_web(tmp_path)


def test_the_cache_lies_where_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    version = onnxruntime_web.VERSION
    assert onnxruntime_web.cache_dir() == Path(os.path.expanduser("~/.cache/acula-edge/onnxruntime-web")) / version
