"""Building engines, against stand-ins for the package and the program. No machine with TensorRT was at hand."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from acula_edge.engines import tensorrt as trt
from acula_edge.engines.tensorrt import BuildPolicy, Gpu, build, hardware, python_api, trtexec
from acula_edge.engines.tensorrt.caches import timing_cache_path
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import read_json, sha256_file
from tests.engines.tensorrt_doubles import FLAVORS, Package, Program

GPU = Gpu("NVIDIA A10", "8.6")
# ModelProto { graph { node { input: "x" output: "y" op_type: "Abs" } } }
MODEL = b"\x3a\x0d\x0a\x0b\x0a\x01x\x12\x01y\x22\x03Abs"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with a GPU and a cache folder, without TensorRT."""
    monkeypatch.setattr(build, "find_gpu", lambda: GPU)
    monkeypatch.setattr(python_api, "find_gpu", lambda: GPU)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(trtexec, "find_program", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "m.onnx").write_bytes(MODEL)
    return folder / "m.onnx"


def with_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, broken: str = "") -> Program:
    program = Program(tmp_path / "bin", version, broken)
    monkeypatch.setattr(trtexec, "find_program", lambda: str(program.path))
    return program


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.3.0", (10, 3, 0)),
        ("10.13.2.6", (10, 13, 2)),
        ("11.4.1", (11, 4, 1)),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec --help", (10, 3, 0)),
        ("[TensorRT v101303] [b9]", (10, 13, 3)),
        ("[TensorRT v110401]", (11, 4, 1)),
        ("[TensorRT v8502]", (8, 5, 2)),
    ],
)
def test_versions_are_read_from_packages_and_banners(text: str, expected: tuple[int, int, int]) -> None:
    assert trt.parse_version(text) == expected


def test_an_unknown_or_old_version_is_refused() -> None:
    with pytest.raises(MissingCapability, match="does not say"):
        trt.parse_version("trtexec")
    with pytest.raises(MissingCapability, match="too old"):
        trt.check_version((8, 6, 1))
    trt.check_version((10, 0, 0))


def test_policies_out_of_range_are_refused() -> None:
    for wrong in ({"optimization_level": 6}, {"workspace_mb": 0}, {"precision": "int4"}):
        with pytest.raises(InputError):
            BuildPolicy(**wrong)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ the Python package


@pytest.mark.parametrize(
    ("version", "precision", "flags", "network", "typing"),
    [
        ("10.3.0", "int8", ["int8", "fp16", "obey"], 0, "weak"),
        ("10.3.0", "fp32", [], 0, "weak"),
        ("10.13.2", "int8", [], 2, "strong"),
        ("11.4.1", "int8", [], 0, "always strong"),
        ("11.4.1", "fp32", [], 0, "always strong"),
    ],
)
def test_the_python_backend_asks_for_what_the_version_wants(
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    version: str,
    precision: Any,
    flags: list[str],
    network: int,
    typing: str,
) -> None:
    package = Package(version).install(monkeypatch)
    plan = trt.build_engine(model, model.parent, BuildPolicy(precision, optimization_level=4, workspace_mb=512))
    suffix = "" if precision == "int8" else f"-{precision}"
    assert plan.name == f"engine-nvidia-a10-{version}{suffix}.plan"
    assert plan.read_bytes() == b"engine"
    assert package.asked("flag") == flags
    assert package.asked("clear") == ["tf32"]
    assert package.asked("network") == [network]
    assert package.asked("memory") == [("workspace", 512 << 20)]
    assert package.asked("level") == [4] and package.asked("verbosity") == ["detailed"]
    assert package.asked("parse") == [MODEL]
    facts = read_json(plan.with_suffix(".json"), schema="acula-edge/engine/1")
    assert (facts["gpu"], facts["compute_capability"], facts["tensorrt"]) == ("NVIDIA A10", "8.6", version)
    assert (facts["typing"], facts["precision"], facts["backend"]) == (typing, precision, "python")
    assert facts["engine"]["sha256"] == sha256_file(plan)
    assert facts["model"] == {"file": "m.onnx", "sha256": sha256_file(model)}
    assert facts["frontend_in_float32"] is True
    assert facts["layers"]["count"] == 4 and facts["layers"]["share_by_time"] is None
    assert facts["gpu_compute_ms"] is None
    assert str(model.parent) not in str(facts)


def test_the_front_end_is_held_in_float32_where_fp16_is_allowed(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    package = Package("10.3.0").install(monkeypatch)
    trt.build_engine(model, model.parent)
    held = {layer.name for layer in package.layers if layer.precision == "float32"}
    assert held == {"frontend/power/MatMul"}
    assert package.layers[0].output_types == {0: "float32"}
    without = Package("10.3.0").install(monkeypatch)
    trt.build_engine(model, model.parent, BuildPolicy(fp16=False))
    assert without.asked("flag") == ["int8"]
    assert {layer.precision for layer in without.layers} == {None}


def test_tactics_are_kept_for_the_next_build(monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path) -> None:
    expected = tmp_path / "cache" / "acula-edge" / "tensorrt" / "timing-nvidia-a10-8-6-10.13.2.cache"
    assert timing_cache_path(GPU, (10, 13, 2)) == expected
    first = Package("10.13.2").install(monkeypatch)
    trt.build_engine(model, model.parent)
    assert first.asked("cache") == [b""] and expected.read_bytes() == b"tactics"
    second = Package("10.13.2", refuse="cache").install(monkeypatch)
    trt.build_engine(model, model.parent)
    assert second.asked("cache") == [b"tactics", b""], "a cache that TensorRT refuses starts anew"
    assert set(second.asked("mismatch")) == {False}
    own = tmp_path / "own.cache"
    Package("10.13.2").install(monkeypatch)
    trt.build_engine(model, model.parent, BuildPolicy(timing_cache=own))
    assert own.read_bytes() == b"tactics"


def test_a_cache_that_cannot_be_kept_costs_no_engine(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    Package("10.13.2").install(monkeypatch)
    assert trt.build_engine(model, model.parent).with_suffix(".json").is_file()


@pytest.mark.parametrize(("refuse", "message"), [("parse", "encoder/Q: zero point is not zero"), ("build", "build an")])
def test_what_tensorrt_says_reaches_the_user(
    monkeypatch: pytest.MonkeyPatch, model: Path, refuse: str, message: str
) -> None:
    Package("10.3.0", refuse).install(monkeypatch)
    with pytest.raises(ArtifactError, match=message):
        trt.build_engine(model, model.parent)
    assert [path.name for path in model.parent.iterdir()] == ["m.onnx"]


# ------------------------------------------------------------------------------------------------------ the program


@pytest.mark.parametrize(
    ("version", "precision", "expected"),
    [
        ((10, 3, 0), "int8", ["--int8"]),
        ((10, 3, 0), "fp32", []),
        ((10, 3, 0), "fp16", ["--stronglyTyped"]),
        ((10, 12, 0), "int8", ["--stronglyTyped"]),
        ((11, 4, 1), "int8", []),
        ((11, 4, 1), "fp16", []),
    ],
)
def test_the_flags_follow_the_version(version: tuple[int, int, int], precision: Any, expected: list[str]) -> None:
    policy = BuildPolicy(precision, workspace_mb=512, optimization_level=4)
    command = trtexec.build_command("trtexec", Path("m.onnx"), Path("e.plan"), Path("t.cache"), policy, version)
    assert command == [
        "trtexec",
        "--onnx=m.onnx",
        "--saveEngine=e.plan",
        "--memPoolSize=workspace:512",
        "--builderOptimizationLevel=4",
        "--timingCacheFile=t.cache",
        "--profilingVerbosity=detailed",
        "--noTF32",
        "--skipInference",
        *expected,
    ]


@pytest.mark.parametrize("version", FLAVORS)
def test_trtexec_builds_inspects_and_times(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path, version: str
) -> None:
    program = with_program(monkeypatch, tmp_path, version)
    plan = trt.build_engine(model, model.parent)
    assert plan.read_bytes() == b"engine"
    facts = read_json(plan.with_suffix(".json"))
    assert (facts["backend"], facts["tensorrt"]) == ("trtexec", version)
    assert facts["policy"]["fp16"] is False, "trtexec cannot hold the front end in float32"
    assert facts["layers"]["share_by_layer"] == {"fp32": 0.25, "int8": 0.5, "reformat": 0.25}
    shares = facts["layers"]["share_by_time"]
    assert {name: round(share, 6) for name, share in shares.items()} == {"fp32": 0.2, "int8": 0.6, "reformat": 0.2}
    assert facts["gpu_compute_ms"]["median"] == 0.61 and facts["gpu_compute_ms"]["p99"] == 0.79
    layers = read_json(plan.with_suffix(".layers.json"), schema="acula-edge/engine-layers/1")
    assert [layer["time_ms"] for layer in layers["layers"]] == [0.1, 0.1, 0.2, 0.1]
    assert len(layers["inspector"]["Layers"]) == 4
    built, inspected, timed = program.calls()
    assert "--skipInference" in built
    assert "--iterations=1" in inspected
    assert "--separateProfileRun" in timed
    cache = timing_cache_path(GPU, trt.parse_version(version))
    assert cache.read_bytes() == b"tactics;"
    trt.build_engine(model, model.parent, BuildPolicy(profile=False))
    assert cache.read_bytes() == b"tactics;tactics;"
    assert len(program.calls()) == 5
    left = sorted(path.name for path in model.parent.iterdir())
    assert left == sorted(["m.onnx", plan.name, f"{plan.stem}.json", f"{plan.stem}.layers.json"])


@pytest.mark.parametrize(("broken", "message"), [("parse", "zero point is not zero"), ("empty", "wrote none")])
def test_what_trtexec_says_reaches_the_user(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path, broken: str, message: str
) -> None:
    with_program(monkeypatch, tmp_path, "10.3.0", broken)
    with pytest.raises(ArtifactError, match=message):
        trt.build_engine(model, model.parent)
    assert [path.name for path in model.parent.iterdir()] == ["m.onnx"]


def test_an_engine_that_cannot_be_inspected_stands(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    with_program(monkeypatch, tmp_path, "10.3.0", "inspect")
    facts = read_json(trt.build_engine(model, model.parent).with_suffix(".json"))
    assert facts["layers"] is None and facts["frontend_in_float32"] is None


def test_the_package_builds_and_the_program_times(monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path) -> None:
    package = Package("10.13.2").install(monkeypatch)
    program = with_program(monkeypatch, tmp_path, "10.13.2")
    facts = read_json(trt.build_engine(model, model.parent).with_suffix(".json"))
    assert facts["backend"] == "python" and facts["layers"]["share_by_time"]["int8"] > 0.5
    assert len(program.calls()) == 1 and package.asked("network") == [2]
    with_program(monkeypatch, tmp_path / "other", "10.3.0")
    other = read_json(trt.build_engine(model, model.parent).with_suffix(".json"))
    assert other["layers"]["share_by_time"] is None, "a program of another version cannot read the engine"


# --------------------------------------------------------------------------------------------------- what is missing


def test_without_tensorrt_the_remedy_is_named(model: Path) -> None:
    for backend in ("auto", "python", "trtexec"):
        with pytest.raises(MissingCapability, match="JetPack") as caught:
            trt.build_engine(model, model.parent, backend=backend)  # type: ignore[arg-type]
        assert caught.value.exit_code == 4
    with pytest.raises(InputError, match="unknown TensorRT backend"):
        trt.choose_backend("polygraphy")  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match="no model"):
        trt.build_engine(model.with_name("missing.onnx"), model.parent)
    assert [path.name for path in model.parent.iterdir()] == ["m.onnx"]


def test_bindings_without_libraries_are_no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    assert not python_api.is_installed()


def test_without_a_gpu_the_device_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(hardware.subprocess, "run", absent)
    monkeypatch.setattr(hardware, "BOARD_FILE", tmp_path / "none")
    with pytest.raises(MissingCapability, match="on the device that will run it"):
        trt.find_gpu()


@pytest.mark.parametrize(
    ("board", "said", "expected"),
    [
        ("", "NVIDIA A10, 8.6\nNVIDIA A10, 8.6\n", Gpu("NVIDIA A10", "8.6")),
        ("", "Quadro, [N/A]\n", Gpu("Quadro", None)),
        ("NVIDIA Jetson Orin Nano Developer Kit\0", "", Gpu("NVIDIA Jetson Orin Nano Developer Kit", "8.7")),
        ("NVIDIA Jetson AGX Thor\0", "NVIDIA Thor, 11.0\n", Gpu("NVIDIA Jetson AGX Thor", "11.0")),
    ],
)
def test_the_gpu_is_read_from_the_board_or_nvidia_smi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, board: str, said: str, expected: Gpu
) -> None:
    (tmp_path / "model").write_text(board)
    monkeypatch.setattr(hardware, "BOARD_FILE", tmp_path / "model")
    done = types.SimpleNamespace(returncode=0, stdout=said)
    monkeypatch.setattr(hardware.subprocess, "run", lambda *args, **kwargs: done)
    assert trt.find_gpu() == expected


# -------------------------------------------------------------------------------------------------- where it belongs


def test_the_file_name_says_where_an_engine_belongs() -> None:
    gpu = Gpu("NVIDIA Jetson Orin Nano Developer Kit", "8.7")
    assert trt.engine_name(gpu, (10, 3, 0)) == "engine-nvidia-jetson-orin-nano-developer-kit-10.3.0.plan"
    assert trt.engine_name(gpu, (10, 3, 0), "fp16").endswith("-10.3.0-fp16.plan")


@pytest.mark.parametrize(
    ("gpu", "version", "message"),
    [
        (Gpu("NVIDIA Jetson Orin", "8.7"), (10, 13, 2), "GPU NVIDIA A10, here NVIDIA Jetson Orin; compute capability"),
        (GPU, (10, 13, 3), "TensorRT 10.13.2, here 10.13.3"),
    ],
)
def test_an_engine_is_refused_elsewhere(
    monkeypatch: pytest.MonkeyPatch, model: Path, gpu: Gpu, version: tuple[int, int, int], message: str
) -> None:
    Package("10.13.2").install(monkeypatch)
    plan = trt.build_engine(model, model.parent)
    assert trt.list_engines(model.parent) == [plan]
    assert trt.check_engine(plan, GPU, (10, 13, 2))["engine"]["file"] == plan.name
    with pytest.raises(ArtifactError, match=message) as caught:
        trt.check_engine(plan, gpu, version)
    assert f"acula-edge build-engine {model.parent}" in str(caught.value)


def test_an_engine_of_another_model_or_an_altered_one_is_refused(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    Package("10.13.2").install(monkeypatch)
    plan = trt.build_engine(model, model.parent)
    opened = trt.open_engine(plan)
    assert opened.data == b"engine"
    Package("10.13.2", refuse="read").install(monkeypatch)
    with pytest.raises(ArtifactError, match="cannot read the engine"):
        trt.open_engine(plan)
    model.write_bytes(b"another")
    plan.write_bytes(b"altered")
    with pytest.raises(ArtifactError, match="altered after it was built; m.onnx is another model"):
        trt.check_engine(plan, GPU, (10, 13, 2))
    with pytest.raises(ArtifactError, match="no engine"):
        trt.check_engine(plan.with_name("engine-none.plan"), GPU, (10, 13, 2))
