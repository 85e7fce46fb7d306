"""The folder that is written: what is in it, what is refused, and that it asks nobody for anything."""

from __future__ import annotations

import json
import re
import shutil
import threading
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.json_files import plain
from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import sha256_file
from acula_edge.web import OrtWeb, write_page
from acula_edge.web.server import open_server
from tests.tiny_bundle import reseal, write_tiny_bundle
from tests.web.conftest import PAGE
from tests.web.listening_bundle import FRONTEND, NATIVE_FILE

SCRIPTS = sorted(PAGE.rglob("*.js"))


@pytest.fixture(scope="module")
def page(bundle_dir: Path, stand_in: OrtWeb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "page"
    sample = folder.parent / "heart.wav"
    sample.write_bytes(b"RIFF")
    write_page(bundle_dir, folder, stand_in, [sample])
    return folder


def test_every_file_is_listed_with_its_hash(page: Path, bundle_dir: Path) -> None:
    site = json.loads((page / "site.json").read_text())
    present = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert set(site["files"]) == present - {"site.json"}
    assert all(sha256_file(page / name) == sha256 for name, sha256 in site["files"].items())
    assert site["samples"] == ["heart.wav"] and site["onnxruntime_web"] == {"version": "9.9.9", "tested": False}
    info = plain(read_bundle(bundle_dir))
    copied = {name.removeprefix("bundle/") for name in present if name.startswith("bundle/")}
    halves = {"frontend.onnx", NATIVE_FILE, "encoder.onnx", "encoder.int8.onnx"}
    assert copied == halves | {"bundle.json", "selftest.npz", "selftest-frontends.npz", "zero_shot.npz"}
    assert all(site["files"][f"bundle/{name}"] == info["files"][name] for name in copied - {"bundle.json"})


def test_a_page_is_replaced_and_nothing_else_is(page: Path, bundle_dir: Path, stand_in: OrtWeb, tmp_path: Path) -> None:
    copy = shutil.copytree(page, tmp_path / "page")
    (copy / "left-over").touch()
    write_page(bundle_dir, copy, stand_in)
    assert not (copy / "left-over").exists() and not (copy / "samples").exists()
    other = tmp_path / "photos"
    other.mkdir()
    write_page(bundle_dir, other, stand_in)
    shutil.rmtree(other)
    other.mkdir()
    (other / "holiday.jpg").touch()
    with pytest.raises(InputError, match="not replaced"):
        write_page(bundle_dir, other, stand_in)
    assert (other / "holiday.jpg").exists()
    for place in (bundle_dir, bundle_dir.parent):
        with pytest.raises(InputError, match="would replace the bundle"):
            write_page(bundle_dir, place, stand_in)


def test_a_damaged_bundle_is_refused_by_name(bundle_dir: Path, stand_in: OrtWeb, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle_dir, tmp_path / "copy")
    data = bytearray((copy / "encoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "encoder.onnx").write_bytes(data)
    with pytest.raises(ArtifactError, match="encoder.onnx was altered"):
        write_page(copy, tmp_path / "page", stand_in)
    assert not (tmp_path / "page").exists()


def test_a_bundle_that_says_too_little_is_refused(stand_in: OrtWeb, tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with pytest.raises(ArtifactError, match="no description of its spectrogram"):
        write_page(bundle, tmp_path / "page", stand_in)


def test_samples_are_files_with_names_of_their_own(bundle_dir: Path, stand_in: OrtWeb, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").touch()
    with pytest.raises(InputError, match="same name"):
        write_page(bundle_dir, tmp_path / "page", stand_in, [tmp_path / "a/x.wav", tmp_path / "b/x.wav"])
    with pytest.raises(InputError, match="no recording"):
        write_page(bundle_dir, tmp_path / "page", stand_in, [tmp_path / "none.wav"])


def test_a_bundle_that_states_no_limits_has_the_defaults(stand_in: OrtWeb, tmp_path: Path, page: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    reseal(bundle, mel={"name": "mel", "frames": 20, "bands": 8}, frontend=FRONTEND)
    defaults = describe_quality(QualityLimits())
    assert write_page(bundle, tmp_path / "page", stand_in)["quality"] == defaults
    assert json.loads((page / "site.json").read_text())["quality"] != defaults


class Elements(HTMLParser):
    """Ids, addresses and inline code of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        self.inline += [name for name in values if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in values):
            self.inline.append(tag)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""


def test_the_page_may_reach_nothing_but_its_own_folder() -> None:
    elements = Elements()
    elements.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    rules = dict(rule.strip().split(" ", 1) for rule in elements.policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'" and rules["style-src"] == "'self'"
    assert elements.inline == []
    assert all(re.match(r"[\w./#-]+$|data:,$", address) for address in elements.addresses)
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[\w.]*\w", text)) <= {"http://127.0.0.1", "http://localhost"}, script
        assert not re.search(r"XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|innerHTML", text), script
        assert ("fetch(" in text) == (script.name == "site.js"), script


def test_scripts_import_what_is_there_and_find_what_they_look_for() -> None:
    elements = Elements()
    elements.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    assert len(elements.ids) == len(set(elements.ids))
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        for name in re.findall(r'(?:from|import) "(\.[^"]+)"', text):
            assert (script.parent / name).is_file(), f"{script} imports {name}"
        missing = set(re.findall(r'byId\("([^"]+)"\)', text)) - set(elements.ids)
        assert not missing, f"{script} looks for {missing}"
        assert len(text.splitlines()) <= 250


def test_the_server_gives_the_page_to_this_computer_only(page: Path) -> None:
    with open_server(page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert server.server_address[0] == "127.0.0.1"
            address = f"http://127.0.0.1:{server.server_port}"
            for name, kind in (
                ("", "text/html"),
                ("js/app.js", "text/javascript"),
                ("ort/ort.wasm.min.mjs", "text/javascript"),
                ("ort/ort-wasm-simd-threaded.wasm", "application/wasm"),
            ):
                with urllib.request.urlopen(f"{address}/{name}") as answer:
                    assert answer.headers.get_content_type() == kind
                    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
                    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        finally:
            server.shutdown()


@pytest.mark.parametrize("words", [["bundle", "web"], ["bundle", "--web"]])
def test_the_command_writes_a_page(words: list[str], bundle_dir: Path, stand_in: OrtWeb, tmp_path: Path) -> None:
    given = ["--onnxruntime-web", str(next(iter(stand_in.files.values())).parent)]
    result = CliRunner().invoke(cli, [*words, str(bundle_dir), "--out", str(tmp_path / "page"), *given])
    assert result.exit_code == 0, result.output
    assert (
        "a page for tiny-cpu_x86" in result.output and "unknown is another than acula-edge is tested" in result.output
    )
    assert "python3 -m http.server --bind 127.0.0.1" in result.output
    assert (tmp_path / "page" / "index.html").is_file()
    result = CliRunner().invoke(cli, ["bundle", f"--web={bundle_dir}", "--out", str(tmp_path / "p"), *given, "--json"])
    assert json.loads(result.stdout)["schema"] == "acula-edge/web/1"
