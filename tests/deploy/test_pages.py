"""Every command of the deployment pages that a plain Linux PC can run is run, as it is printed, on a small bundle.

Two things differ: the plans of `benchmark` are shortened, so that a quick one takes a second and not a minute, and
PyTorch cannot be imported, as on a device.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from acula_edge.audio.samples import to_wave
from acula_edge.cli.main import cli
from tests.deploy.pages import FOLDER, PAGES, ROOT, blocks_of
from tests.tiny_bundle import make_sound, write_tiny_bundle

PROGRAM = """\
import sys

sys.modules.update(dict.fromkeys(("torch", "torchaudio", "transformers", "timm")))

import acula_edge.benchmarking.measure as measure
from acula_edge.cli.main import main

brief = measure.Plan(loops=1, loop_s=0.01, warmup_runs=1, warmup_s=0.0, pairs=2, block_s=0.002)
measure.PLANS.update(dict.fromkeys(measure.PLANS, brief))
main()
"""
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("deploy") / "bundle")


@pytest.fixture
def workplace(tmp_path: Path, bundles: Path) -> Path:
    """A folder with what the pages speak of: two bundles, a recording, and the program on the path."""
    for name in ("base-cpu_arm", "tiny-cpu_arm"):
        (tmp_path / name).mkdir()
        for file in bundles.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    with wave.open(str(tmp_path / "heart.wav"), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(4000)
        recording.writeframes((make_sound(5.0, 4000) * 32767).astype("<i2").tobytes())
    (tmp_path / "program.py").write_text(PROGRAM)
    command = tmp_path / "bin" / "acula-edge"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {tmp_path}/program.py "$@"\n')
    command.chmod(0o755)
    (command.parent / "python3").symlink_to(sys.executable)
    return tmp_path


def run_page(name: str, folder: Path) -> str:
    """Type all blocks of a page that are marked ``run``, in one shell that stops at the first failure."""
    script = "set -euo pipefail\n" + "\n".join(b.text for b in BLOCKS if b.page == name and b.mark == "run")
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_every_block_says_whether_it_was_run(block) -> None:
    assert block.mark, f"{block.page}:{block.line}: no <!-- run --> or <!-- not run here: REASON --> above it"
    assert block.mark != "run" or block.language == "bash"


def test_no_fence_and_no_mark_is_overlooked() -> None:
    for page in PAGES:
        source = page.read_text(encoding="utf-8")
        assert source.count("```") == 2 * len(blocks_of(page)), page.name
        assert len(re.findall(r"<!-- (?:run|not run)", source)) == len(blocks_of(page)), page.name


def test_the_first_page_is_typed_as_it_stands(workplace: Path) -> None:
    printed = run_page("README.md", workplace)
    assert "passed" in printed
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [line["audio"] for line in lines] == ["heart.wav", *["-"] * (len(lines) - 1)]
    assert len(lines) > 3 and all("tasks" in line for line in lines)
    benchmark = json.loads((workplace / "this-machine.json").read_text())
    assert benchmark["schema"] == "acula-edge/benchmark/1" and len(benchmark["measurements"]) == 5
    assert (workplace / benchmark["samples_file"]).is_file()
    assert not (workplace / "base-cpu_arm" / "benchmark.json").exists()
    assert "How latency is spread" in (workplace / "compare.html").read_text(encoding="utf-8")


def test_the_jetson_page_is_typed_as_it_stands(workplace: Path) -> None:
    assert "passed" in run_page("jetson.md", workplace)


def test_the_raspberry_pi_page_is_typed_as_it_stands(workplace: Path) -> None:
    run_page("raspberry-pi.md", workplace)
    rows = json.loads((workplace / "pi5.json").read_text())["measurements"]
    assert {row["threads"] for row in rows} == {2}


def test_the_android_page_is_typed_as_it_stands(workplace: Path) -> None:
    printed = run_page("android.md", workplace)
    assert '"window_s"' in printed and '"threshold"' in printed
    assert (workplace / "assets" / "model.int8.ort").is_file()
    golden = json.loads((workplace / "golden.json").read_text())
    assert golden["tolerances"]["score_max_abs"] > 0
    assert f"{len(golden['vectors'])} vectors" in printed and len(golden["vectors"][0]["pcm"]) == 2000


def test_the_microcontroller_page_is_typed_as_it_stands(workplace: Path) -> None:
    printed = run_page("microcontroller.md", workplace)
    assert '"ram_int8_bytes"' in printed
    assert printed.rstrip().endswith("heart: passed\nsilence: passed")


def test_repeat_padding_is_what_the_android_page_says() -> None:
    from acula_edge.audio.segment import repeat_pad

    recording, samples = np.arange(7, dtype=np.float32), 30
    by_the_page = np.array([recording[(i - samples) % 7] for i in range(samples)])
    np.testing.assert_array_equal(repeat_pad(recording, samples), by_the_page)
    assert to_wave(np.array([-32768, 16384], dtype=np.int16)).tolist() == [-1.0, 0.5]


def test_verbs_and_options_of_blocks_that_were_not_run_exist() -> None:
    """Blocks for a device are not run; at least what they ask of acula-edge must be there."""
    checked = 0
    for block in BLOCKS:
        if block.language != "bash" or block.mark == "run":
            continue
        for line in block.text.splitlines():
            for words in re.findall(r"(?:^|\| )acula-edge ([^|#>\n]*)", line):
                command, rest = cli, shlex.split(words)
                while rest and hasattr(command, "commands" if command is not cli else "list_commands"):
                    command = command.get_command(None, rest.pop(0))
                    assert command is not None, f"{block.page}:{block.line}: {line}"
                known = {option for parameter in command.params for option in parameter.opts}
                assert {word for word in rest if word.startswith("--")} <= known, f"{block.page}:{block.line}: {line}"
                checked += 1
    assert checked >= 7


def test_links_and_files_that_the_pages_name_exist() -> None:
    for page in PAGES:
        source = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)", source):
            assert target.startswith("https://") or (FOLDER / target).exists(), f"{page.name}: {target}"
        for anchor in re.findall(r"\((\w[\w-]*\.md)#([\w-]+)\)", source):
            titles = re.findall(r"^#+ (.*)$", (FOLDER / anchor[0]).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1] in {title.lower().replace(" ", "-") for title in titles}, f"{page.name}: {anchor}"
        for path in re.findall(r"(?:docs/deploy|acula_edge)/[\w./-]*\w", source):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
