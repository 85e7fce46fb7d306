"""Weights in a pickle: torch's zip with right checksums, its pickle changed opcode by opcode, and the old format."""

from __future__ import annotations

import functools
import io
import pickle
import pickletools
import warnings
from random import Random

import torch

from acula_edge.encoders.checkpoints import read_tensors
from tests.fuzz.archives import mutate_zip
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import NUMBERS
from tests.fuzz.sandbox import Sandbox
from tests.fuzz.tiny_encoder import load_into

_GLOBALS = (
    b"cposix\nsystem\n", b"cos\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\ngetattr\n", b"csubprocess\nPopen\n",
    b"ctorch\nload\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch\nFloatStorage\n", b"ctorch\nLongStorage\n", b"ccollections\nOrderedDict\n", b"ctorch\nSize\n",
    b"ctorch._utils\n_rebuild_sparse_tensor\n", b"ctorch._tensor\n_rebuild_from_type_v2\n",
    b"ctorch.storage\nUntypedStorage\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n",
    b"ctorch\ndevice\n", b"ctorch.nn.parameter\nParameter\n", b"ctorch._utils\n_rebuild_qtensor\n",
)  # fmt: skip
_OPCODES = tuple(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)


class _Call:
    """Pickles as a call of `os.system`."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        import os

        return os.system, ("touch ran",)


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The file's bytes."""
    path = sandbox.write("model.ckpt", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with refusing():
            assert all(isinstance(tensor, torch.Tensor) for tensor in read_tensors(path).values())
        with refusing():
            load_into(path)


@functools.cache
def seeds() -> list[bytes]:
    """Whole checkpoints, bare, wrapped, in both of torch's formats; others that want to run code."""
    weights = {"net.weight": torch.arange(12.0).reshape(4, 3), "net.bias": torch.ones(4)}
    values = [
        weights,
        {"epoch": 3, "state_dict": weights},
        {"x": torch.ones(2, dtype=torch.int8), "y": torch.ones(2, 2).t(), "z": torch.ones(1).half()},
        {"state_dict": _Call()},
    ]
    files = [_save(value) for value in values]
    return [*files, _save(weights, old=True), pickle.dumps(_Call()), pickle.dumps({"a": 1}, protocol=2)]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """The pickle within the archive at opcodes, storages blindly."""
    if data[:2] != b"PK":
        return _mutate_pickle(data, random, blind)[:max_bytes] if random.random() < 0.6 else blind(data, max_bytes)
    if random.random() < 0.15:
        return blind(data, max_bytes)

    def member(name: str, content: bytes) -> bytes:
        if name.endswith(".pkl"):
            return _mutate_pickle(content, random, blind)
        return blind(content or b"\0", len(content) + 16)

    return mutate_zip(data, random, blind, max_bytes, member)


def _mutate_pickle(data: bytes, random: Random, blind: MutateBytes) -> bytes:
    try:
        places = [(opcode.code, at) for opcode, _, at in pickletools.genops(data) if at is not None]
    except Exception:  # what an earlier mutation left
        places = []
    if len(places) < 3 or random.random() < 0.2:
        return blind(data, len(data) + 64)
    index = random.randrange(1, len(places) - 1)
    (code, at), (_, end) = places[index], places[index + 1]
    choice = random.randrange(6)
    names = [place for place in range(len(places) - 1) if places[place][0] == "c"]
    if choice == 0 and names:
        index = random.choice(names)
        return data[: places[index][1]] + random.choice(_GLOBALS) + data[places[index + 1][1] :]
    if choice == 1:
        return data[:at] + data[end:]
    if choice == 2:
        return data[:end] + data[at:end] + data[end:]
    if choice == 3:
        other = random.randrange(len(places) - 1)
        return data[:at] + data[places[other][1] : places[other + 1][1]] + data[end:]
    if choice == 4 and code in "KMJ":
        size = {"K": 1, "M": 2, "J": 4}[code]
        return data[: at + 1] + (random.choice(NUMBERS) % 256**size).to_bytes(size, "little") + data[end:]
    return data[:at] + random.choice((*_OPCODES, *_GLOBALS)) + data[at:]


def _save(value: object, old: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()


HARNESS = Harness("weights: torch checkpoints", one_input, seeds, mutate, max_bytes=8192)
