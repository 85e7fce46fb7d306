"""The fast part of fuzzing, without atheris: seeds, inputs that once broke something, and some blind mutations."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from acula_edge.errors import InputError
from tests.fuzz.archives import mutate_zip
from tests.fuzz.bundles import seal_text
from tests.fuzz.driver import fuzz
from tests.fuzz.harness import MAX_MESSAGE, Harness, Violation, load, names, refusing, regressions, try_input
from tests.fuzz.harnesses import audio
from tests.fuzz.mutations import mutate
from tests.fuzz.protobuf import parse, serialize
from tests.fuzz.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
MUTATIONS = 200


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    yield box
    box.close()


@pytest.mark.parametrize("name", names())
def test_seeds_and_what_once_broke_break_nothing(name: str, sandbox: Sandbox) -> None:
    harness = load(name)
    assert harness.seeds()
    for data in harness.seeds():
        assert len(data) <= harness.max_bytes
        try_input(harness, data, sandbox)
    for path in regressions(name):
        try_input(harness, path.read_bytes(), sandbox)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", names())
def test_mutations_break_nothing(name: str, sandbox: Sandbox) -> None:
    harness = load(name)
    random = Random(name)
    pool = [*harness.seeds(), *(path.read_bytes() for path in regressions(name))]
    for _ in range(MUTATIONS):
        data = random.choice(pool)
        for _ in range(random.randint(1, 2)):
            data = harness.mutate(data, random, lambda data, most: mutate(data, random, most), harness.max_bytes)
        assert len(data) <= harness.max_bytes
        try_input(harness, data, sandbox)


def test_folders_of_regressions_belong_to_harnesses() -> None:
    folder = Path(__file__).parent / "regressions"
    assert {path.name for path in folder.iterdir() if path.is_dir()} <= set(names())


def _harness(one_input: object) -> Harness:
    return Harness("a test", one_input, lambda: [b""], lambda data, *_: data)  # type: ignore[arg-type]


def test_the_watch_sees_files_programs_and_pickles(sandbox: Sandbox, tmp_path: Path) -> None:
    import pickle

    deeds = {
        "writing": lambda data, box: (tmp_path / "x").write_bytes(data),
        "wrote": lambda data, box: Path("stray").write_bytes(data),
        "read": lambda data, box: (tmp_path / "there").read_bytes(),
        "os.remove": lambda data, box: (tmp_path / "there").unlink(),
        "subprocess.Popen": lambda data, box: subprocess.run(["true"], check=True),
        "pickle.find_class": lambda data, box: pickle.loads(pickle.dumps(sandbox.clear.__func__)),
    }
    for what, deed in deeds.items():
        (tmp_path / "there").write_bytes(b"1")
        with pytest.raises(Violation, match=what):
            try_input(_harness(deed), b"1", sandbox)
        assert not list(sandbox.beside.iterdir())
    try_input(_harness(lambda data, box: box.write("x", data).read_bytes()), b"1", sandbox)


def test_only_one_family_of_errors_may_come_out_and_its_messages_are_short(sandbox: Sandbox) -> None:
    class Raw(InputError):
        def __str__(self) -> str:
            return self.problem

    def refuse(data: bytes, box: Sandbox) -> None:
        with refusing():
            raise Raw(data.decode())

    try_input(_harness(refuse), b"two\nlines", sandbox)
    for message, complaint in ((b"x" * (MAX_MESSAGE + 1), "characters"), (b"\x1b[2J", "x1b")):
        with pytest.raises(Violation, match=complaint):
            try_input(_harness(refuse), message, sandbox)
    with pytest.raises(ZeroDivisionError):
        try_input(_harness(lambda data, box: 1 // 0), b"", sandbox)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_mutated_archives_and_messages_are_well_formed() -> None:
    import io
    import zipfile

    from tests.fuzz.bundles import bundle_files

    random = Random(3)
    model = bundle_files()["encoder.onnx"]
    fields = parse(model)
    assert fields is not None and serialize(fields) == model
    data = load("golden").seeds()[0][1:]
    whole = 0
    for _ in range(40):
        changed = mutate_zip(data, random, lambda d, most: d[:most], 1 << 16, lambda name, content: content + b"\0")
        try:
            with zipfile.ZipFile(io.BytesIO(changed)) as archive:
                whole += archive.testzip() is None
        except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError):
            pass  # the directory lies, as it shall at times
    assert whole > 25
    sounds = [data[1:] for data in load("audio").seeds()]
    assert all(audio.seal_ogg(sound) == sound for sound in sounds if sound[:4] == b"OggS")
    assert all(audio.seal_flac(sound) == sound for sound in sounds if sound[:4] == b"fLaC")
    assert seal_text(b'{"sha256": "' + b"0" * 64 + b'"}') == seal_text(b'{"sha256": "' + b"0" * 64 + b'"}')
    assert b"0" * 64 not in seal_text(b'{"sha256": "' + b"0" * 64 + b'"}')


def test_without_atheris_fuzzing_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    driver = importlib.import_module("tests.fuzz.__main__")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["fuzz"])
    assert driver.main() == 4
    assert "pip install 'atheris" in capsys.readouterr().err


def test_the_driver_sees_every_way_to_break_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the driver needs atheris, which exists for Linux on x86-64 only")
    outcome = fuzz("tests.fuzz.broken", 60, None, 3, tmp_path)
    places = sorted(finding["place"].partition(" at ")[0] for finding in outcome.crashes)
    assert places.count("crash") >= 1 and set(places) == {"KeyError", "MemoryError", "Violation", "crash"}
    assert outcome.inputs > 10 and not outcome.hangs
    kept = {finding["place"]: Path(finding["file"]).read_bytes() for finding in outcome.crashes}
    assert set(kept.values()) == {b"raise", b"memory", b"kill", b"write"}


def test_the_driver_counts_inputs_and_edges(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the driver needs atheris, which exists for Linux on x86-64 only")
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.fuzz", "--runs", "300", "--harness", "audio"]
    command += ["--out", str(tmp_path / "out"), "--json", str(figures)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (outcome,) = json.loads(figures.read_text())
    assert outcome["inputs"] >= 300 and outcome["edges"] >= outcome["edges_before"] > 20
    assert not outcome["crashes"] and not outcome["hangs"] and outcome["peak_rss_mb"] > 10
