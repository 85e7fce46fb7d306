"""Bundles of strangers: nothing outside the folder is read or written, no number in a file is believed unseen."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from acula_edge.benchmarking.bundle import benchmark_models
from acula_edge.bundle import folder as bundle_folder
from acula_edge.bundle.checks import verify_bundle
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import BUNDLE_FILE, FRONTEND_SELFTEST_FILE, PROMPTS_FILE, SELFTEST_FILE, SIGNATURE_FILE
from acula_edge.bundle.prompt_vectors import SCHEMA as PROMPTS_SCHEMA
from acula_edge.bundle.prompt_vectors import load_prompt_vectors
from acula_edge.bundle.schema import is_plain_name
from acula_edge.bundle.sealed import write_sealed_json
from acula_edge.bundle.selftest import read_selftest
from acula_edge.bundle.signature import sign_bundle
from acula_edge.bundle.writer import seal
from acula_edge.engines.c_header import write_c_header
from acula_edge.engines.ort_format import write_ort_format
from acula_edge.engines.tensorrt import Gpu, build_engine, check_engine
from acula_edge.engines.tensorrt.half import convert
from acula_edge.engines.tensorrt.records import SCHEMA as ENGINE_SCHEMA
from acula_edge.errors import AculaEdgeError, ArtifactError
from acula_edge.limits import MAX_ARRAY_EXPANSION, MAX_BUNDLE_FILES, MAX_WINDOW_SAMPLES
from acula_edge.probe.embedding_cache import cached_embeddings
from acula_edge.quantize.heads import load_heads
from acula_edge.recipe import DataConfig
from acula_edge.runtime import load_bundle, selftest
from acula_edge.untrusted import npz
from acula_edge.untrusted.npz import read_npz
from tests.hostile.archives import Entry, write_zip
from tests.tiny_bundle import DIM, RATE_HZ, make_sound, write_info, write_tiny_bundle


@pytest.fixture
def bundle(tmp_path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def tell(bundle: Path, **facts: Any) -> None:
    """Change ``bundle.json`` and seal it again, as whoever makes a hostile bundle would."""
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    write_sealed_json(bundle / BUNDLE_FILE, {**info, **facts})


def use(bundle: Path) -> None:
    """Everything that a device does with a bundle."""
    loaded = load_bundle(bundle)
    json.dumps(loaded.score(make_sound(3.0), RATE_HZ))
    for update in loaded.stream([make_sound(3.0)], RATE_HZ):
        json.dumps(update.to_dict())


def refuse(bundle: Path, words: str) -> None:
    with pytest.raises(ArtifactError, match=words) as refusal:
        load_bundle(bundle)
    assert str(bundle) in str(refusal.value)


# ------------------------------------------------------------------------------------------------------ names and links


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "a\\b", ".hidden", "", ".", "..", "a\0b", "a\nb", "C:x", "x" * 256, "\u202ea"],
)  # fmt: skip
def test_a_list_names_files_of_the_folder_only(bundle, name):
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    (bundle.parent / "secret").write_text("")
    tell(bundle, files={**info["files"], name: "0" * 64})
    refuse(bundle, "says what no such file can")
    assert not is_plain_name(name)


def test_front_ends_are_named_by_the_same_rule_and_must_be_listed(bundle):
    entry = {"kind": "native", "sample_rate_hz": RATE_HZ, "samples": 2000}
    tell(bundle, frontends=[{**entry, "file": "../bundle/frontend.onnx"}])
    refuse(bundle, r"file: .* is no name of a file .* at `frontends\[0\]`")
    (bundle / "other.onnx").write_bytes((bundle / "frontend.onnx").read_bytes())
    tell(bundle, frontends=[{**entry, "file": "other.onnx"}])
    refuse(bundle, "does not list other.onnx")


def move_out(bundle: Path, *names: str) -> Path:
    """Files lie in another folder, and links to them where they were: the cache of the Hugging Face hub, DVC, Nix."""
    outside = bundle.parent / "blobs"
    outside.mkdir(exist_ok=True)
    for name in names:
        (bundle / name).rename(outside / name)
        (bundle / name).symlink_to(f"../blobs/{name}")
    return outside


LINKED = ["model.int8.onnx", SELFTEST_FILE, "frontend.onnx"]


def test_links_to_the_listed_content_are_followed_out_of_the_folder(bundle, tmp_path):
    move_out(bundle, *[path.name for path in bundle.iterdir()])
    use(bundle)
    assert selftest(bundle)["passed"]
    read_bundle(bundle, verify=False)
    assert all(check["passed"] for check in verify_bundle(bundle)["checks"] if check["name"] == "files")
    write_ort_format(bundle, tmp_path / "out", target="amd64")
    write_c_header(bundle, tmp_path / "golden.h", precision="int8", waves=["heart"])
    seal(bundle)


@pytest.mark.parametrize("link", LINKED)
def test_a_link_out_of_the_folder_is_held_to_the_listed_hash(bundle, link):
    """Also where hashes are not otherwise looked at: what it leads to is nothing that the bundle's maker knew."""
    outside = move_out(bundle, link)
    (outside / link).write_bytes((outside / link).read_bytes() + b"secret")
    refuse(bundle, f"{link} was altered")
    for use_of in (selftest, write_ort_format, verify_bundle, lambda folder: read_bundle(folder, verify=False)):
        arguments = (bundle.parent / "out",) if use_of is write_ort_format else ()
        with pytest.raises(ArtifactError, match="altered"):
            use_of(bundle, *arguments)
    (outside / link).unlink()
    refuse(bundle, f"{link} is a link that leads nowhere")


def test_a_link_out_of_the_folder_that_is_not_listed_is_never_part_of_the_bundle(bundle):
    """Its hash would tell whoever reads the bundle what lies on this machine."""
    (bundle.parent / "secret").write_text("mine")
    (bundle / "notes.txt").symlink_to(bundle.parent / "secret")
    use(bundle)  # nobody reads it
    with pytest.raises(ArtifactError, match="never part of it"):
        seal(bundle)
    tell(bundle, frontends=[{"kind": "native", "sample_rate_hz": 2 * RATE_HZ, "samples": 9, "file": "notes.txt"}])
    refuse(bundle, "does not list notes.txt")


def test_bundle_json_may_be_a_link_and_keeps_its_own_hash(bundle):
    outside = move_out(bundle, BUNDLE_FILE)
    use(bundle)
    text = (outside / BUNDLE_FILE).read_text()
    (outside / BUNDLE_FILE).write_text(text.replace("tiny", "tine"))
    refuse(bundle, "was altered")
    (outside / BUNDLE_FILE).write_text("root:x:0:0\n")
    with pytest.raises(ArtifactError) as refusal:
        load_bundle(bundle)
    assert "root:x" not in str(refusal.value)
    (outside / BUNDLE_FILE).unlink()
    refuse(bundle, "is no bundle")


@pytest.mark.parametrize("name", ["model.int8.onnx", SELFTEST_FILE, SIGNATURE_FILE, "README.md"])
@pytest.mark.parametrize("target", ["pipe", "folder", "device"])
def test_a_link_to_what_is_no_file_is_refused(bundle, name, target):
    outside = bundle.parent / target
    if target == "device":
        outside = Path("/dev/zero")
    else:
        (os.mkfifo if target == "pipe" else os.mkdir)(outside)
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    tell(bundle, files={**info["files"], "README.md": "0" * 64})
    (bundle / name).unlink(missing_ok=True)
    (bundle / name).symlink_to(outside)
    refuse(bundle, "is a link to something that is no file")


def test_a_mounted_configuration_is_read(bundle, tmp_path):
    """Kubernetes: every file is a link through ``..data``, which is a link to the folder of this version."""
    mount = tmp_path / "mount"
    (mount / "..2026_12_01").mkdir(parents=True)
    (mount / "..data").symlink_to("..2026_12_01")
    for path in bundle.iterdir():
        path.rename(mount / "..2026_12_01" / path.name)
        (mount / path.name).symlink_to(f"..data/{path.name}")
    use(mount)
    assert selftest(mount)["passed"]


def test_a_link_within_the_folder_is_followed_and_one_in_a_circle_is_not(bundle):
    (bundle / "model.int8.onnx").rename(bundle / ".kept")
    (bundle / "model.int8.onnx").symlink_to(".kept")
    use(bundle)
    (bundle / "model.int8.onnx").unlink()
    (bundle / "model.int8.onnx").symlink_to("model.int8.onnx")
    refuse(bundle, "cannot be followed")


def test_what_is_written_replaces_a_link_and_not_what_it_leads_to(bundle, tmp_path):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    outside = tmp_path / "outside"
    outside.write_text("mine")
    key = tmp_path / "key.pem"
    key.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (bundle / SIGNATURE_FILE).symlink_to(outside)
    with pytest.raises(ArtifactError, match=SIGNATURE_FILE):
        read_bundle(bundle)
    sign_bundle(bundle, key)
    (tmp_path / "golden.h").symlink_to(outside)
    write_c_header(bundle, tmp_path / "golden.h", precision="int8", waves=["heart"])
    assert outside.read_text() == "mine"
    assert not (bundle / SIGNATURE_FILE).is_symlink() and not (tmp_path / "golden.h").is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
@pytest.mark.parametrize("name", ["model.int8.onnx", SELFTEST_FILE, BUNDLE_FILE, SIGNATURE_FILE])
def test_pipes_and_folders_are_no_files_of_a_bundle(bundle, make, name):
    (bundle / name).unlink(missing_ok=True)
    make(bundle / name)
    if name != SIGNATURE_FILE:
        with pytest.raises(ArtifactError):
            load_bundle(bundle)
    elif make is os.mkfifo:
        use(bundle)  # nobody reads it: it is no signature


def test_a_pipe_that_nobody_lists_is_not_read(bundle):
    os.mkfifo(bundle / "pipe")
    os.mkfifo(bundle / "engine-x.plan")
    use(bundle)
    seal(bundle)
    assert verify_bundle(bundle)["checks"][1]["passed"] in (True, False)


def test_an_engine_or_model_that_is_not_listed_is_not_run(bundle):
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    files = {name: sha for name, sha in info["files"].items() if name != "model.int8.onnx"}
    tell(bundle, files=files)
    assert load_bundle(bundle).precision == "float"
    with pytest.raises(ArtifactError, match="no int8 model"):
        load_bundle(bundle, precision="int8")
    for name in ("engine-x.plan", "engine-x.json"):
        (bundle / name).write_bytes(b"{}")
    assert "does not list engine-x.plan" in load_bundle(bundle).provider_because


def test_folders_of_many_files_and_lists_of_many_names_end(bundle, monkeypatch):
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    tell(bundle, files={**info["files"], **{f"f{number}": "0" * 64 for number in range(MAX_BUNDLE_FILES)}})
    refuse(bundle, "says what no such file can")
    write_info(bundle, info)
    monkeypatch.setattr(bundle_folder, "MAX_BUNDLE_FILES", 20)
    for number in range(4 * 20):
        (bundle / f"f{number}").touch()
    with pytest.raises(ArtifactError, match="which no bundle does"):
        seal(bundle)


def test_a_file_with_a_hole_of_terabytes_is_not_read_to_its_end(bundle):
    with open(bundle / "model.onnx", "r+b") as file:
        file.truncate(1 << 43)
    started = time.monotonic()
    refuse(bundle, "too long for a bundle")
    assert time.monotonic() - started < 5  # hashing it would take hours


# ------------------------------------------------------------------------------------------------------- bundle.json


HUGE = 10**12
STREAM = {"kind": "stream", "file": "frontend.onnx", "level": "frontend.onnx", "sample_rate_hz": RATE_HZ}
WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda info: info | {"input": []}, "at `input`"),
    (lambda info: info | {"input": info["input"] | {"samples": HUGE}}, "input.samples"),
    (lambda info: info | {"input": info["input"] | {"samples": MAX_WINDOW_SAMPLES + 1}}, "input.samples"),
    (lambda info: info | {"input": info["input"] | {"samples": -1}}, "input.samples"),
    (lambda info: info | {"input": info["input"] | {"samples": 2000.0}}, "input.samples"),
    (lambda info: info | {"input": info["input"] | {"samples": True}}, "input.samples"),
    (lambda info: info | {"input": info["input"] | {"samples": 1999}}, "another model than the bundle says"),
    (lambda info: info | {"input": info["input"] | {"sample_rate_hz": 0}}, "input.sample_rate_hz"),
    (lambda info: info | {"input": info["input"] | {"sample_rate_hz": HUGE}}, "input.sample_rate_hz"),
    (lambda info: info | {"input": info["input"] | {"hop_s": 0}}, "input.hop_s"),
    (lambda info: info | {"input": info["input"] | {"hop_s": 1e-9}}, "input.hop_s"),
    (lambda info: info | {"input": info["input"] | {"hop_s": 0.001}}, "windows may overlap"),
    (lambda info: info | {"input": info["input"] | {"hop_s": "1"}}, "input.hop_s"),
    (lambda info: info | {"input": info["input"] | {"trim_top_db": "x"}}, "input.trim_top_db"),
    (lambda info: info | {"input": {}}, "missing required field `sample_rate_hz`"),
    (lambda info: info | {"embedding_dim": HUGE}, "embedding_dim"),
    (lambda info: info | {"embedding_dim": DIM + 1}, "another model than the bundle says"),
    (lambda info: info | {"embedding_dim": None}, "embedding_dim"),
    (lambda info: info | {"tasks": {}}, "at `tasks`"),
    (lambda info: info | {"tasks": [None]}, r"at `tasks\[0\]`"),
    (lambda info: info | {"tasks": info["tasks"] * 2}, "two tasks have one id"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"id": 3}]}, r"tasks\[0\].id"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"start": -3}]}, r"tasks\[0\].start"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"start": 40, "stop": 41}]}, "another model"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"threshold": 2}]}, r"tasks\[0\].threshold"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"labels": [1, 2]}]}, r"tasks\[0\].labels"),
    (lambda info: info | {"tasks": [info["tasks"][0] | {"labels": "ab"}]}, r"tasks\[0\].labels"),
    (lambda info: info | {"tasks": [{"id": "M"}]}, "missing required field"),
    (lambda info: info | {"files": []}, "files"),
    (lambda info: info | {"files": {"model.onnx": 3}}, "files"),
    (lambda info: info | {"files": {"model.onnx": "x"}}, "files"),
    (lambda info: info | {"frontends": {}}, "at `frontends`"),
    (lambda info: info | {"frontends": [3]}, r"at `frontends\[0\]`"),
    (lambda info: info | {"frontends": [{"kind": "native"}]}, "missing required field `file`"),
    (lambda info: info | {"frontends": [STREAM | {"hops": 1 << 20, "hop_samples": 1 << 20}]}, "chunks of"),
    (lambda info: info | {"quality": 3}, "quality"),
    (lambda info: info | {"quality": {}}, "quality|lacks"),
    (lambda info: info | {"smoothing": []}, "smoothing"),
    (lambda info: info | {"recommended": ["int8"]}, "recommended"),
    (lambda info: info | {"name": {}}, "name"),
    (lambda info: {key: value for key, value in info.items() if key != "input"}, "missing required field `input`"),
    (lambda info: {key: value for key, value in info.items() if key != "tasks"}, "missing required field `tasks`"),
    (lambda info: {key: value for key, value in info.items() if key != "embedding_dim"}, "missing required field"),
    (lambda info: {key: value for key, value in info.items() if key != "files"}, "has no int8 model"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=range(len(WRONG)))
def test_an_entry_of_another_kind_or_size_is_named(bundle, change, words):
    info = json.loads((bundle / BUNDLE_FILE).read_text())
    write_sealed_json(bundle / BUNDLE_FILE, change(info))
    with pytest.raises(ArtifactError, match=words):
        use(bundle)
    for other in (verify_bundle, selftest):
        with contextlib.suppress(AculaEdgeError):
            json.dumps(other(bundle))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000, b'{"a":' * 100_000, b"{}", b"[]", b"null", b"\xff", b"", b'{"schema": NaN}',
        b'{"schema": "acula-edge/bundle/1", "schema": "acula-edge/bundle/1"}', b'{"a": ' + b"9" * 10_000 + b"}",
    ],
    ids=range(10),
)  # fmt: skip
def test_a_text_that_is_no_bundle_json_is_refused(bundle, text):
    (bundle / BUNDLE_FILE).write_bytes(text)
    refuse(bundle, BUNDLE_FILE)


def test_a_text_of_gigabytes_is_not_read(bundle):
    with open(bundle / BUNDLE_FILE, "r+b") as file:
        file.truncate(1 << 32)
    refuse(bundle, "longer than")


# --------------------------------------------------------------------------------------------------------- .npz files


def npy(shape: str, descr: str = "'<f4'", data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([os.system], dtype=object), allow_pickle=True)
    return file.getvalue()


def bomb(megabytes: int) -> Entry:
    """Zeros, deflated to a thousandth."""
    return Entry("a.npy", npy(f"({megabytes << 20},)", "'|u1'", bytes(megabytes << 20)), deflate=True)


STRANGE: list[tuple[bytes, str]] = [
    (b"", "not a zip"),
    (b"PK\x03\x04 half", "not a zip"),
    (write_zip([Entry("a.npy", pickled())]), "objects would be pickles"),
    (write_zip([Entry("a.npy", npy("(1,)", "'|O'", bytes(8)))]), "objects would be pickles"),
    (write_zip([Entry("a.npy", npy("(1,)", "[('a', '|O')]", bytes(8)))]), "objects would be pickles"),
    (write_zip([Entry("a.npy", npy("(4,)", data=bytes(16)), claimed=1 << 31)]), "would unpack to"),
    (write_zip([Entry("a.npy", npy("(1000000000000,)", data=bytes(16)))]), "says it has 4000000000000 bytes"),
    (write_zip([Entry("a.npy", npy("(4611686018427387904, 4)", data=bytes(16)))]), "says it has"),
    (write_zip([Entry("a.npy", npy("(-4,)", data=bytes(16)))]), "of the shape"),
    (write_zip([Entry("a.npy", npy("(True, 4)", data=bytes(16)))]), "of the shape"),
    (write_zip([Entry("a.npy", npy(f"({'1, ' * 40})", data=bytes(4)))]), "of the shape"),
    (write_zip([Entry("a.npy", npy("(4,)", data=bytes(12)))]), "says it has 16 bytes, and has 12"),
    (write_zip([Entry("a.npy", npy("(4,)", data=bytes(20)))]), "says it has 16 bytes, and has 20"),
    (write_zip([Entry("a.npy", npy("(" * 3000 + ")" * 3000))]), "a.npz"),
    (write_zip([Entry("a.npy", npy("(4,)", "'<c8'", bytes(32)))]), "complex"),
    (write_zip([Entry("a.npy", npy("(4,)", "'|V4'", bytes(16)))]), "an array of"),
    (write_zip([Entry("a.npy", b"no array")]), "a.npz"),
    (write_zip([Entry("a.npy", npy("(4,)", data=bytes(16), version=b"\x09\x00"))]), "version"),
    (write_zip([Entry("a.npy", npy("(4,)", data=bytes(16)))] * 2), "the same name"),
    (write_zip([Entry(name, npy("(4,)", data=bytes(16))) for name in ("a", "a.npy")]), "the same name"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words"), STRANGE, ids=range(len(STRANGE)))
def test_every_size_in_an_npz_file_is_held_against_the_file(tmp_path, data, words):
    file = tmp_path / "a.npz"
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match=words) as refusal:
        read_npz(file, "arrays")
    assert str(file) in str(refusal.value)


@pytest.fixture
def little(monkeypatch) -> None:
    """Bombs of two megabytes do, where one may be had for nothing."""
    monkeypatch.setattr(npz, "FREE_ARRAY_BYTES", 1 << 20)


@pytest.mark.usefixtures("little")
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    file = tmp_path / "a.npz"
    file.write_bytes(write_zip([bomb(2)]))
    assert MAX_ARRAY_EXPANSION * file.stat().st_size < 1 << 20
    with pytest.raises(ArtifactError, match="would unpack to"):
        read_npz(file)
    # Entries that share their bytes are counted each by itself.
    half = Entry("a.npy", npy(f"({1 << 19},)", "'|u1'", bytes(1 << 19)), deflate=True)
    file.write_bytes(write_zip([half]))
    assert read_npz(file)["a"].size == 1 << 19
    many = [half, *(Entry(f"{n}.npy", half.data, deflate=True, at=0) for n in range(4))]
    file.write_bytes(write_zip(many))
    with pytest.raises(ArtifactError, match="would unpack to"):
        read_npz(file)


def test_arrays_are_read_as_numpy_reads_them(tmp_path):
    draw = np.random.default_rng(0)
    arrays = {
        "f": draw.normal(size=(3, 4)).astype(np.float32),
        "t": np.asfortranarray(draw.normal(size=(3, 4))),
        "i": np.arange(6, dtype=np.int16).reshape(2, 3),
        "u": np.array(["a", "bc"]),
        "s": np.array("text"),
        "e": np.zeros((0, 3), np.float32),
        "b": np.array([True]),
        "a/b": np.float64(3.0),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
        found = read_npz(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == np.asarray(value).dtype and found[name].shape == np.shape(value)


def rewrite(path: Path, **changed: Any) -> None:
    """An ``.npz`` file with other arrays, honest ones; None leaves one out."""
    with np.load(path) as arrays:
        values = {**{name: arrays[name] for name in arrays.files}, **changed}
    np.savez(path, **{name: value for name, value in values.items() if value is not None})


def header(path: Path, **changed: Any) -> np.ndarray:
    with np.load(path) as arrays:
        return np.array(json.dumps({**json.loads(str(arrays["header"])), **changed}))


def test_golden_waveforms_that_contradict_themselves_are_refused(bundle):
    path = bundle / SELFTEST_FILE
    good = path.read_bytes()
    pcm = read_npz(path)["pcm"]
    recordings = json.loads(str(read_npz(path)["header"]))["recordings"]
    name, entry = next(iter(recordings.items()))
    for changed in (
        {"pcm": pcm.astype(np.float32)},
        {"pcm": pcm[0]},
        {"pcm": pcm[:1]},
        {"pcm": None},
        {"header": None},
        {"header": np.array("{" * 5000)},
        {"header": np.array("[]")},
        {"header": np.array(3)},
        {"header": header(path, schema="other")},
        {"header": header(path, names=3)},
        {"header": header(path, tolerances=[])},
        {"header": header(path, tolerances={})},
        {"header": header(path, tolerances={"../x": {"cosine_min": 1, "score_max_abs": 1}})},
        {"header": header(path, tolerances={"int8": {"cosine_min": "x", "score_max_abs": 1}})},
        {"header": header(path, tolerances={"int8": 3})},
        {"header": header(path, recordings={name: entry | {"samples": 10**12}})},
        {"header": header(path, recordings={name: entry | {"samples": -5}})},
        {"header": header(path, recordings={name: entry | {"first": 10**9}})},
        {"header": header(path, recordings={name: entry | {"starts": [10**9]}})},
        {"header": header(path, recordings={name: entry | {"starts": 3}})},
        {"header": header(path, recordings=[])},
        {"int8_embedding": np.full((len(pcm), DIM), np.nan, np.float32)},
        {"int8_embedding": np.zeros((2, DIM), np.float32)},
        {"int8_scores": np.zeros(3)},
        {"int8_scores": np.array(["a"])},
    ):
        rewrite(path, **changed)
        with pytest.raises(ArtifactError, match=SELFTEST_FILE):
            read_selftest(bundle)
        path.write_bytes(good)
    read_selftest(bundle)


def test_prompts_that_contradict_themselves_are_refused(bundle):
    task = {"id": "M", "name": "Murmur", "dataset": "d", "labels": ["absent", "present"]}
    facts = {"schema": PROMPTS_SCHEMA, "prompts": "p", "prompts_sha256": "0", "temperature": 0.1, "tasks": [task]}
    arrays = {"weight": np.eye(DIM), "center_0": np.zeros(DIM), "vectors_0": np.ones((2, DIM))}
    path = bundle / PROMPTS_FILE
    np.savez(path, header=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
    assert load_prompt_vectors(bundle, DIM) is not None
    for change in (
        {"temperature": 0}, {"temperature": "x"}, {"temperature": -1}, {"tasks": [task | {"labels": ["one"]}]},
        {"tasks": [task | {"labels": 3}]}, {"tasks": [3]}, {"tasks": 3}, {"tasks": [task] * 2}, {"prompts": 3},
        {"tasks": [task | {"id": None}]}, {"tasks": [task | {"labels": [1, 2]}]},
    ):  # fmt: skip
        np.savez(path, header=np.array(json.dumps(facts | change)), **arrays)  # type: ignore[arg-type]
        with pytest.raises(ArtifactError, match=PROMPTS_FILE):
            load_prompt_vectors(bundle, DIM)
    for other in (
        {"weight": np.full((DIM, DIM), np.nan)},
        {"weight": np.eye(DIM + 1)},
        {"center_0": np.zeros((1, DIM))},
    ):
        np.savez(path, header=np.array(json.dumps(facts)), **(arrays | other))  # type: ignore[arg-type]
        with pytest.raises(ArtifactError, match=PROMPTS_FILE):
            load_prompt_vectors(bundle, DIM)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("name", [SELFTEST_FILE, PROMPTS_FILE, FRONTEND_SELFTEST_FILE])
def test_bombs_and_pickles_in_a_bundle_reach_no_reader(bundle, name):
    native = [{"kind": "native", "file": "frontend.onnx", "sample_rate_hz": RATE_HZ, "samples": 2000}]
    for data in (write_zip([bomb(2)]), write_zip([Entry("header.npy", pickled())]), b"PK"):
        (bundle / name).write_bytes(data)
        write_info(bundle, {**json.loads((bundle / BUNDLE_FILE).read_text()), "frontends": native})
        if name == FRONTEND_SELFTEST_FILE:
            assert not selftest(bundle)["passed"]
            continue
        with pytest.raises(ArtifactError, match=name):
            selftest(bundle) if name == SELFTEST_FILE else load_bundle(bundle)


@pytest.mark.usefixtures("little")
def test_heads_and_kept_embeddings_are_read_by_the_same_reader(tmp_path):
    for data in (write_zip([bomb(2)]), write_zip([Entry("header.npy", pickled())]), b""):
        (tmp_path / "heads.npz").write_bytes(data)
        with pytest.raises(ArtifactError, match="cannot be read as task heads"):
            load_heads(tmp_path / "heads.npz")
    one = np.ones((1, 3), np.float32)
    cached_embeddings(tmp_path, "a" * 64, DataConfig(), ["r"], lambda rows: one)
    (kept,) = tmp_path.glob("embeddings-*.npz")
    np.savez(kept, recordings=np.array(["r", "s"]), embeddings=one)
    with pytest.raises(ArtifactError, match="kept embeddings"):
        cached_embeddings(tmp_path, "a" * 64, DataConfig(), ["r"], lambda rows: one)


def test_nothing_of_a_bundle_is_unpacked(bundle):
    """No verb takes an archive: a bundle is a folder."""
    with zipfile.ZipFile(bundle.parent / "bundle.zip", "w") as archive:
        archive.write(bundle / BUNDLE_FILE, "../bundle.json")
    for path in (bundle.parent / "bundle.zip", bundle / BUNDLE_FILE):
        with pytest.raises(ArtifactError, match="is no bundle") as refusal:
            load_bundle(path)
        assert (f"give its folder: {bundle}" if path.name == BUNDLE_FILE else "unpacked") in str(refusal.value)


def test_no_other_verb_takes_a_model_that_the_runtime_would_refuse(bundle, tmp_path):
    """Conversion to .ort, building an engine, float16 and the benchmark read the same files, with other libraries."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../outside")
    graph = helper.make_graph([helper.make_node("Add", ["waveform", "w"], ["embedding"])], "g", [], [], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (tmp_path / "outside").write_bytes(bytes(4))
    for name in ("model.onnx", "model.int8.onnx"):
        onnx.save(model, str(bundle / name))
    write_info(bundle, json.loads((bundle / BUNDLE_FILE).read_text()))
    for read in (
        lambda: write_ort_format(bundle, tmp_path / "out", target="amd64"),
        lambda: convert(bundle / "model.onnx"),
        lambda: build_engine(bundle / "model.onnx", bundle),
        lambda: benchmark_models([bundle / "model.onnx"], "smoke"),
        lambda: load_bundle(bundle),
    ):
        with pytest.raises(ArtifactError, match="cannot be taken as an ONNX model"):
            read()
    assert not any(check["passed"] for check in selftest(bundle)["checks"] if check["name"] == "model.onnx")
    assert not (tmp_path / "out").exists()


def test_an_engines_record_of_a_stranger_is_read_with_care(bundle):
    plan = bundle / "engine-x.plan"
    plan.write_bytes(b"plan")
    facts: dict[str, Any] = {
        "schema": ENGINE_SCHEMA, "gpu": "x", "compute_capability": "8.7", "tensorrt": "10.3", "platform": "x",
        "model": {"file": "model.onnx", "sha256": "0"}, "engine": {"sha256": "0"},
    }  # fmt: skip
    for change in (
        {}, {"engine": 3}, {"model": []}, {"model": {"file": "../outside"}}, {"model": {"file": 3}}, {"engine": {}},
        {"model": {}},
    ):  # fmt: skip
        plan.with_suffix(".json").write_text(json.dumps(facts | change))
        with pytest.raises(ArtifactError):
            check_engine(plan, Gpu("x", "8.7"), (10, 3, 0))
