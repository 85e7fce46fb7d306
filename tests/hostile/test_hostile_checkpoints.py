"""Checkpoints and safetensors of strangers: no code runs, no memory goes beyond the file's, every refusal is named."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from acula_edge.align.text_space import FILE as SPACE_FILE
from acula_edge.align.text_space import load_text_space, make_text_space, save_text_space
from acula_edge.encoders.base import load_encoder
from acula_edge.encoders.checkpoints import read_tensors
from acula_edge.encoders.hub import read_config
from acula_edge.encoders.students import make_student
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.spec import OPERA
from acula_edge.language.loading import load_language_model
from acula_edge.limits import MAX_SAFETENSORS_HEADER_BYTES
from acula_edge.recipe import LanguageConfig
from acula_edge.training.state import Position, TrainingState
from acula_edge.untrusted import pickles
from acula_edge.untrusted.model_folders import check_config, check_model_folder
from acula_edge.untrusted.safetensors import check_safetensors, open_safetensors
from tests.hostile.archives import Entry, read_zip, write_zip

TINY = {"a": torch.arange(4.0), "b": torch.ones(2, 3)}


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def with_pickle(data: bytes) -> bytes:
    """An honest checkpoint with another pickle."""
    return write_zip([Entry(e.name, data if e.name.endswith("data.pkl") else e.data) for e in read_zip(saved(TINY))])


def refuse(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "strange.ckpt"
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match=words) as refusal:
        read_tensors(file)
    assert str(file) in str(refusal.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"strange.ckpt"}


def test_an_archive_rebuilt_by_these_tests_is_read_as_it_was(tmp_path):
    """Otherwise what they change in one would prove nothing."""
    (tmp_path / "same.ckpt").write_bytes(write_zip(read_zip(saved(TINY))))
    found = read_tensors(tmp_path / "same.ckpt")
    assert all(torch.equal(found[name], value) for name, value in TINY.items())


@pytest.mark.parametrize(
    "payload",
    [
        Call(os.system, "touch ran"),
        Call(eval, "open('ran', 'w')"),
        Call(exec, "open('ran', 'w')"),
        Call(open, "ran", "w"),
        Call(__import__("subprocess").Popen, ["touch", "ran"]),
        Call(torch.load, "ran"),
        Call(__import__("importlib").import_module, "antigravity"),
        Call(torch.jit.load, "ran"),
    ],
    ids=["os.system", "eval", "exec", "open", "Popen", "torch.load", "import", "jit.load"],
)
def test_no_code_runs(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    refuse(tmp_path, saved({"state_dict": TINY | {"x": payload}}), "would run code|cannot be read as a checkpoint")


def test_a_bare_pickle_and_a_tar_are_not_opened(tmp_path, monkeypatch):
    """The formats of PyTorch before 1.6."""
    monkeypatch.chdir(tmp_path)
    refuse(tmp_path, pickle.dumps(Call(os.system, "touch ran")), "no zip archive")
    file = io.BytesIO()
    torch.save(TINY, file, _use_new_zipfile_serialization=False)
    refuse(tmp_path, file.getvalue(), "no zip archive")
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refuse(tmp_path, file.getvalue(), "no zip archive")


def test_a_script_of_torch_is_refused(tmp_path):
    file = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(file))
    with pytest.raises(ArtifactError):
        read_tensors(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: [*entries, Entry("archive/bomb", bytes(1 << 24), deflate=True)], "is compressed"),
        (lambda entries: [*entries, Entry("archive/data/9", b"", claimed=1 << 31)], "longer than|cannot be read"),
        (lambda entries: [*entries, Entry("archive/data/9", entries[-1].data, at=0)], "overlaps|cannot be read"),
        (lambda entries: [*entries, Entry("archive/../../etc/x", b"x")], "names 'archive/"),
        (lambda entries: [*entries, Entry("/etc/x", b"x")], "names '/etc/x'"),
        (lambda entries: [*entries, Entry("other/data.pkl", b"x")], "several folders"),
        (lambda entries: [*entries, entries[0]], "the same name"),
        (lambda entries: [entry for entry in entries if "data.pkl" not in entry.name], "holds no data.pkl"),
        (lambda entries: [entry for entry in entries if "/data/0" not in entry.name], "which its archive lacks"),
    ],
    ids=["bomb", "size", "overlap", "dots", "absolute", "folders", "twice", "no pickle", "no storage"],
)
def test_tricks_of_zip_archives_are_named(tmp_path, change, words):
    refuse(tmp_path, write_zip(change(read_zip(saved(TINY)))), words)


def test_an_archive_cut_off_or_with_something_behind_it_is_refused(tmp_path):
    refuse(tmp_path, saved(TINY)[:-9], "cut off")
    refuse(tmp_path, saved(TINY) + b"PK", "something follows")
    refuse(tmp_path, b"", "no zip archive")


def test_numbers_that_the_archive_does_not_have_are_not_made(tmp_path):
    """A pickle that says a storage of 16 bytes holds four million numbers."""
    (data,) = [entry.data for entry in read_zip(saved(TINY)) if entry.name.endswith("data.pkl")]
    short, long = b"K\x04tq\x07Q", b"J\x00\x00\x40\x00tq\x07Q"
    assert short in data
    refuse(tmp_path, with_pickle(data.replace(short, long)), "holds 4194304 numbers, of which its archive has 16 bytes")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(1).expand(1 << 34), "17179869184 numbers in 4 bytes"),
        (torch.as_strided(torch.ones(8), (1 << 20, 1 << 20), (0, 0)), "numbers in 32 bytes"),
        (torch.ones(2, dtype=torch.complex64), "complex|ComplexFloat"),
        (torch.ones(2).to_sparse(), "sparse"),
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "qtensor|QInt8"),
        (torch.empty(1 << 40, device="meta"), "meta"),
        (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
        (torch.ones(2).to(torch.float8_e4m3fn), "float8"),
    ],
    ids=["expand", "as_strided", "complex", "sparse", "quantized", "meta", "nested", "float8"],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_more_than_numbers_in_a_row_are_refused(tmp_path, tensor, words):
    refuse(tmp_path, saved({"x": tensor}), words)


def test_a_transposed_tensor_and_tied_weights_are_taken(tmp_path):
    shared = torch.ones(2, 3)
    torch.save({"t": shared.T, "u": shared}, tmp_path / "c.ckpt")
    assert read_tensors(tmp_path / "c.ckpt")["t"].shape == (3, 2)


def _memo_bomb() -> bytes:
    """A key that is a tuple of twice a tuple of twice a tuple: hashing it takes 2 to the power of 60 steps."""
    return b"\x80\x02}" + b")" + b"q\x00h\x00\x86" * 60 + b"K\x01s."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_memo_bomb(), "keys that are no texts"),
        (b"\x80\x02]" + b"]" * 9_000 + b"a" * 9_000 + b".", "no dictionary of tensors"),
        (b"\x80\x02" + b"N0" * 500 + b"N.", "uses POP|steps"),
        (b"\x80\x02" + b"N" * 20_001 + b".", "more than 20000 steps"),
        (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "fills __builtin__.bytearray"),
        (b"\x80\x02c__builtin__\nset\n](\x88\x88e\x85R.", "fills __builtin__.set"),
        (b"\x80\x02ccollections\nOrderedDict\n])\x88\x86a\x85R.", "fills collections.OrderedDict"),
        (b"\x80\x05\x8c\x01x.", "protocol 5"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "cannot be read"),
        (b"\x80\x02h\x05.", "empty stack"),
        (b"\x80\x02}", "cannot be read|no end"),
        (b"", "cannot be read|no end"),
    ],
    ids=["memo", "depth", "pops", "steps", "bytearray", "set", "pairs", "protocol", "length", "memo", "cut", "empty"],
)
def test_pickles_that_cost_more_than_their_length_are_refused(tmp_path, monkeypatch, data, words):
    monkeypatch.setattr(pickles, "MAX_PICKLE_STEPS", 20_000)  # not seconds of test
    refuse(tmp_path, with_pickle(data), words)


def test_pipes_and_folders_are_no_checkpoints(tmp_path):
    os.mkfifo(tmp_path / "pipe.ckpt")
    os.mkfifo(tmp_path / "pipe.safetensors")
    for name in ("pipe.ckpt", "pipe.safetensors"):
        with pytest.raises(ArtifactError):
            read_tensors(tmp_path / name)


def test_a_training_state_of_a_stranger_is_refused(tmp_path):
    task = torch.nn.Linear(2, 2)
    state = TrainingState(tmp_path, task, None, None, None, "key")
    state.save(Position(epoch=1))
    (file,) = tmp_path.glob("state-*.pt")
    good = file.read_bytes()
    for data in (saved({"task": Call(os.system, f"touch {tmp_path}/ran")}), saved([1]), saved({"task": {}}), good[:99]):
        file.write_bytes(data)
        with pytest.raises(ArtifactError, match=r"kept training state .* cannot be read"):
            state.load()
    index = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps(index | {"file": "../../etc/passwd"}))
    with pytest.raises(ArtifactError, match="names the file"):
        state.load()
    assert not (tmp_path / "ran").exists()


def tensors_file(header: Any, body: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(start: int = 0, stop: int = 16, shape: Any = (4,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tensors_file({"a": tensor()}, length=1 << 63), "a header of 9223372036854775808 bytes"),
        (tensors_file({"a": tensor()}, length=(1 << 64) - 1), "a header of"),
        (tensors_file(b" " * (MAX_SAFETENSORS_HEADER_BYTES + 1)), "a header of"),
        (b"\x08\x00", "a header of"),
        (tensors_file({"a": tensor(), "b": tensor()}), "overlap"),
        (tensors_file({"a": tensor(4, 16, (3,))}), "hole"),
        (tensors_file({"a": tensor(0, 12, (3,))}), "have 12 bytes, the file 16"),
        (tensors_file({"a": tensor(16, 0)}), "as many bytes as its shape"),
        (tensors_file({"a": tensor(0, 1 << 62, (1 << 60,))}), "the file 16"),
        (tensors_file({"a": tensor(-16, 0)}), "sizes that are none"),
        (tensors_file({"a": tensor(shape=(5,))}), "as many bytes as its shape"),
        (tensors_file({"a": tensor(shape=(1 << 62, 1 << 62))}), "sizes that no memory has"),
        (tensors_file({"a": tensor(shape=(-2, -2))}), "sizes that are none"),
        (tensors_file({"a": tensor(shape=(True, 4))}), "sizes that are none"),
        (tensors_file({"a": tensor(dtype="object")}), "of the type object"),
        (tensors_file({"a": tensor(dtype=["F32"])}), "of the type"),
        (tensors_file({"a": tensor() | {"path": "/etc/passwd"}}), "or more than these"),
        (tensors_file({"a": 3}), "no dtype, shape and data_offsets"),
        (tensors_file([1]), "no JSON object"),
        (tensors_file(b'{"a":%b,"a":%b}' % ((json.dumps(tensor()).encode(),) * 2)), "twice"),
        (tensors_file(b'{"\xff\xfe":1}'), "utf-8"),
        (tensors_file(b'{"a":' * 5000 + b"1" + b"}" * 5000), "nested deeper"),
        (tensors_file({"__metadata__": {"a": {"b": 1}}, "a": tensor()}), "metadata are no texts"),
        (tensors_file(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,16]}}'), "64 bits"),
    ],
    ids=range(24),
)  # fmt: skip
def test_every_rule_of_safetensors_is_held(tmp_path, data, words):
    file = tmp_path / "strange.safetensors"
    file.write_bytes(data)
    for read in (check_safetensors, read_tensors):
        with pytest.raises(ArtifactError, match=words) as refusal:
            read(file)
        assert str(file) in str(refusal.value)


def test_a_tensor_of_a_safetensors_file_that_is_not_there_is_named(tmp_path):
    save_file(TINY, tmp_path / "t.safetensors")
    with (
        pytest.raises(ArtifactError, match="t.safetensors"),
        open_safetensors(tmp_path / "t.safetensors", "pt") as file,
    ):
        file.get_tensor("nothing")


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    make_student("tiny", frontend=OPERA, embedding_dim=6).save_pretrained(folder)
    load_encoder(folder)
    return folder


@pytest.fixture
def folder(encoder_folder, tmp_path) -> Path:
    """One's own copy of a saved encoder."""
    for path in encoder_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_an_encoders_folder_with_damaged_weights_is_refused(folder):
    weights = folder / "model.safetensors"
    good = read_tensors(weights)
    first = next(name for name, value in good.items() if value.is_floating_point())
    save_file(good | {first: torch.full_like(good[first], float("nan"))}, weights, {"format": "pt"})
    with pytest.raises(ArtifactError, match="NaN or infinite weights"):
        load_encoder(folder)
    save_file(good | {first: torch.zeros(3, 1, 2)}, weights, {"format": "pt"})
    with pytest.raises(ArtifactError, match=str(folder)):
        load_encoder(folder)
    weights.write_bytes(tensors_file({"a": tensor(4, 16, (3,))}))
    with pytest.raises(ArtifactError, match="hole"):
        load_encoder(folder)


def test_a_configuration_cannot_ask_for_a_model_that_its_weights_do_not_fill(folder):
    config = json.loads((folder / "config.json").read_text())
    for change, words in (
        ({"options": {"embedding_dim": 1 << 40}}, "a number that no model has"),
        ({"options": {"num_layers": 100_000}}, "a number that no model has"),
        ({"encoder": ["tiny"]}, "tiny"),
        ({"encoder": "nothing"}, "nothing"),
        ({"options": "x"}, str(folder)),
        ({"frontend": {"n_fft": "x"}}, str(folder)),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=words):
            load_encoder(folder)


def test_a_list_of_shards_cannot_name_files_elsewhere(tmp_path):
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        for shard in ("../outside.safetensors", "/etc/passwd", "sub/x.safetensors", 3, "a\0b"):
            (tmp_path / name).write_text(json.dumps({"weight_map": {"w": shard}}))
            with pytest.raises(ArtifactError, match="names a file elsewhere"):
                check_model_folder(tmp_path)
        (tmp_path / name).write_text("[]")
        with pytest.raises(ArtifactError, match="lists no shards"):
            check_model_folder(tmp_path)
        (tmp_path / name).unlink()


def test_folders_of_other_models_pass_the_same_checks(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ast", "num_hidden_layers": 1 << 30}))
    with pytest.raises(ArtifactError, match="no model has"):
        read_config(tmp_path, {})
    with pytest.raises(InputError, match="no model has"):
        load_language_model(LanguageConfig(model=str(tmp_path)), torch.device("cpu"))
    check_config({"rope_theta": 1_000_000_000, "eos_token_id": 1 << 40, "num_hidden_layers": 64}, "config.json")


def test_a_language_models_pickle_is_never_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}))
    (folder / "evil.py").write_text("open('ran', 'w')")
    (folder / "pytorch_model.bin").write_bytes(saved({"x": Call(os.system, "touch ran")}))
    with pytest.raises(InputError):
        load_language_model(LanguageConfig(model=str(folder)), torch.device("cpu"))
    assert not (tmp_path / "ran").exists()


def test_a_space_of_reports_of_a_stranger_is_refused(tmp_path):
    draw = np.random.default_rng(0)
    layer = draw.normal(size=(5, 3)).astype(np.float32), np.zeros(3, np.float32)
    space = make_text_space("whitened", [layer], [layer], draw.normal(size=(4, 5)), ["a", "a", "b", "b"])
    save_text_space(tmp_path, space)
    file = tmp_path / SPACE_FILE
    assert load_text_space(tmp_path) is not None
    with open_safetensors(file, "pt") as kept:
        facts = kept.metadata()
        arrays = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
    for changed, metadata in (
        ({"text.0.bias": torch.full((3,), float("nan"))}, facts),
        ({"text.0.bias": torch.zeros(4)}, facts),
        ({"mean.a": torch.zeros(7)}, facts),
        ({"text.0.weight": torch.zeros(5)}, facts),
        ({}, {"facts": "[]"}),
        ({}, {"facts": "{" * 9000}),
        ({}, {"facts": json.dumps(json.loads(facts["facts"]) | {"text": 1 << 60})}),
        ({}, {"facts": json.dumps(json.loads(facts["facts"]) | {"text": "x"})}),
    ):
        save_file(arrays | changed, file, metadata)
        with pytest.raises(ArtifactError, match=SPACE_FILE):
            load_text_space(tmp_path)
