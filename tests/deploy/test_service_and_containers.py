"""The systemd unit and the container files, as far as a machine without a device, a microphone or a daemon can tell."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError, MissingCapability
from tests.deploy.pages import FOLDER, ROOT

UNIT = FOLDER / "jetson" / "acula-edge-stream.service"
CONTAINERS = sorted((FOLDER / "jetson").glob("Containerfile*"))
HARDENED = (
    "DynamicUser", "NoNewPrivileges", "PrivateNetwork", "PrivateTmp", "ProtectHome", "ProtectKernelModules",
    "ProtectKernelTunables", "RestrictSUIDSGID", "LockPersonality",
)  # fmt: skip


class _Repeated(dict):
    """systemd allows a key several times."""

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, [*self.get(key, []), *value] if isinstance(value, list) else value)


def read_unit() -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(strict=False, dict_type=_Repeated, comment_prefixes="#", delimiters="=")
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(UNIT, encoding="utf-8")
    return unit


def pipeline() -> str:
    """What the unit's shell is given, as systemd hands it on."""
    words = shlex.split(read_unit()["Service"]["ExecStart"])
    assert words[:4] == ["/bin/bash", "-o", "pipefail", "-c"] and len(words) == 5
    assert not re.search(r"(?<!\$)\$(?!\$)", words[4]), "systemd would put its own values there"
    return words[4].replace("$$", "$")


def test_systemd_itself_finds_no_fault(tmp_path: Path) -> None:
    assert {"Unit", "Service", "Install"} == set(read_unit().sections())
    program = shutil.which("systemd-analyze")
    if program is not None:  # containers for tests may be without; the other tests here do not need it
        done = subprocess.run([program, "verify", str(UNIT)], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_it_starts_again_after_a_failure_but_not_for_a_refused_bundle() -> None:
    service = read_unit()["Service"]
    assert service["Restart"] == "on-failure"
    codes = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert codes == {ArtifactError.exit_code, MissingCapability.exit_code}


def test_it_may_do_little_else() -> None:
    service = read_unit()["Service"]
    assert all(service[key] == "yes" for key in HARDENED)
    assert service["ProtectSystem"] == "strict" and service["CapabilityBoundingSet"] == ""
    assert service["DevicePolicy"] == "closed" and service["DeviceAllow"] == "char-alsa rw"


def test_its_pipe_runs_with_stand_ins_for_microphone_and_program(tmp_path: Path) -> None:
    """Values of stream.env arrive in both programs, sound goes from one to the other, failures are not swallowed."""
    settings = dict(
        line.split("=", 1) for line in (FOLDER / "jetson/stream.env").read_text().splitlines() if line[:1] not in "#"
    )
    script = pipeline().replace("/opt/acula-edge/bin/", "")
    (tmp_path / "arecord").write_text('#!/bin/sh\necho "arecord $*" >&2\nprintf sound\nexit ${MICROPHONE_FAILS:-0}\n')
    (tmp_path / "acula-edge").write_text('#!/bin/sh\necho "acula-edge $*" >&2\ncat\nexit ${REFUSES:-0}\n')
    for name in ("arecord", "acula-edge"):
        (tmp_path / name).chmod(0o755)

    def run(**extra: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **settings, **extra}
        return subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", script], env=environment, capture_output=True, text=True
        )

    done = run()
    assert done.returncode == 0 and done.stdout == "sound"
    assert "arecord -q -D plughw:1,0 -t raw -f S16_LE -c 1 -r 4000" in done.stderr
    assert "acula-edge run /var/lib/acula-edge/bundle - --stream --rate 4000 --threads 1" in done.stderr
    assert run(MICROPHONE_FAILS="1").returncode == 1
    assert run(REFUSES="2").returncode == 2


def test_its_options_are_those_of_the_verb() -> None:
    words = shlex.split(pipeline().split("acula-edge run")[1])
    command = cli.get_command(None, "run")  # type: ignore[arg-type]
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("path", CONTAINERS, ids=lambda path: path.name)
def test_container_files_keep_to_the_rules(path: Path) -> None:
    lines = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8")).splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    names = [name for name, _ in steps]
    assert names[0] == "FROM"
    assert set(names) <= {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    for name, rest in steps:
        if name == "FROM":
            assert re.match(r"\S+:[\w.-]+( AS \w+)?$", rest) and ":latest" not in rest
        if name == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists" in rest
        if name == "RUN" and "pip install" in rest:
            assert "--no-cache-dir" in rest
        if name == "COPY" and "--from" not in rest:
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    assert next(rest for name, rest in steps if name == "USER").isdigit()
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert [rest for name, rest in steps if name == "ENTRYPOINT"] == ['["acula-edge"]']


def test_what_the_container_files_copy_is_all_that_a_wheel_needs(tmp_path: Path) -> None:
    copied: list[list[str]] = []
    for path in CONTAINERS:
        lines = [
            line.split()[1:]
            for line in path.read_text().splitlines()
            if line.startswith("COPY ") and "--from" not in line
        ]
        copied.append(sorted(source for words in lines for source in words[:-1]))
    assert copied[0] == copied[1]
    source = tmp_path / "source"
    source.mkdir()
    for name in copied[0]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "."]
    subprocess.run([*build, "-w", str(tmp_path)], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("acula_edge-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "acula_edge/runtime/bundle.py",
        "acula_edge/_recipes/phantom.yaml",
        "acula_edge/reporting/templates/compare.css",
    ):
        assert needed in names
