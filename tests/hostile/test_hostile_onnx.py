"""ONNX models of strangers: one graph of tensor arithmetic in one file, in bounded memory, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acula_edge.engines import ort_memory
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import AculaEdgeError, ArtifactError
from acula_edge.limits import MAX_FOLDED_ELEMENTS, MAX_MODEL_IO_ELEMENTS
from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.graph import constant, load_graph
from acula_edge.untrusted.onnx_file import inspect_onnx
from acula_edge.untrusted.onnx_operators import CONTRIBUTED, STANDARD, is_allowed
from tests.tiny_bundle import write_tiny_bundle

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
ONES = numpy_helper.from_array(np.ones(4, np.float32), "w")
ADD = helper.make_node("Add", ["x", "w"], ["y"])


def model(nodes: list[Any], constants: list[Any] = (), inputs: list[Any] = (X,), **more: Any) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "g", list(inputs), [Y], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, **more)


def write(path: Path, content: onnx.ModelProto | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def refuse(path: Path, words: str) -> None:
    for read in (inspect_onnx, OrtEngine, load_graph):
        with pytest.raises(ArtifactError, match=words) as refusal:
            read(path)
        assert str(path) in str(refusal.value)


def external(location: str) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="16")
    return model([ADD], [tensor])


def changed(**fields: Any) -> onnx.ModelProto:
    """A model whose one tensor has other fields."""
    tensor = TensorProto()
    tensor.CopyFrom(ONES)
    for name, value in fields.items():
        if isinstance(value, list):
            tensor.ClearField(name)
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return model([ADD], [tensor])


def test_an_honest_model_runs(tmp_path):
    engine = OrtEngine(write(tmp_path / "m.onnx", model([ADD], [ONES])))
    np.testing.assert_array_equal(engine.run({"x": np.ones((1, 4), np.float32)})["y"], np.full((1, 4), 2))


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/hostname", "sub/../../secret.bin"])
def test_no_other_file_is_read(tmp_path, location):
    folder = tmp_path / "models"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "secret.bin").write_bytes(bytes(16))
    path = write(folder / "m.onnx", external(location))
    refuse(path, "lies in another file")
    # To be examined it may name others; they are not opened.
    (folder / "secret.bin").unlink()
    os.mkfifo(folder / "secret.bin")
    assert constant(load_graph(path, runnable=False), "w") is None
    result = audit_model(path, "cpu_x86")
    assert not result["passed"] and result["footprint"] is None


def test_a_constant_in_a_node_cannot_lie_elsewhere_either(tmp_path):
    tensor = external("secret.bin").graph.initializer[0]
    nodes = [helper.make_node("Constant", [], ["w"], value=tensor), ADD]
    path = write(tmp_path / "m.onnx", model(nodes))
    refuse(path, "lies in another file")
    assert audit_model(path, "cpu_x86")["footprint"] is None


def subgraph() -> Any:
    return helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "b", [], [Y])


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([helper.make_node("If", ["c"], ["y"], then_branch=subgraph(), else_branch=subgraph())], "is a graph"),
        ([helper.make_node("Loop", ["", "c", "x"], ["y"], body=subgraph())], "is a graph"),
        ([helper.make_node("Scan", ["x"], ["y"], body=subgraph(), num_scan_inputs=1)], "is a graph"),
        ([helper.make_node("Evil", ["x"], ["y"], domain="my.ops")], r"it uses my\.ops\.Evil"),
        ([helper.make_node("Evil", ["x"], ["y"])], "it uses Evil"),
        ([helper.make_node("SequenceConstruct", ["x"], ["y"])], "it uses SequenceConstruct"),
        ([helper.make_node("Optional", ["x"], ["y"])], "it uses Optional"),
        ([helper.make_node("StringNormalizer", ["x"], ["y"])], "it uses StringNormalizer"),
        ([helper.make_node("RandomNormal", [], ["y"], shape=[4])], "it uses RandomNormal"),
        ([helper.make_node("ImageDecoder", ["x"], ["y"])], "it uses ImageDecoder"),
        ([helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml")], r"it uses ai\.onnx\.ml\."),
        ([helper.make_node("Tokenizer", ["x"], ["y"], domain="com.microsoft")], r"it uses com\.microsoft\.Tokenizer"),
        ([helper.make_node("Constant", [], ["y"], value_strings=["a"])], "of a kind that is not allowed"),
    ],
)  # fmt: skip
def test_operators_that_are_no_tensor_arithmetic_are_refused(tmp_path, nodes, words):
    refuse(write(tmp_path / "m.onnx", model(nodes)), words)


def test_functions_training_and_sparse_tensors_are_refused(tmp_path):
    function = helper.make_function("f", "Add", ["a"], ["b"], [], [helper.make_opsetid("", 18)])
    refuse(write(tmp_path / "f.onnx", model([ADD], [ONES], functions=[function])), "functions of its own")
    with_training = model([ADD], [ONES])
    with_training.training_info.add()
    refuse(write(tmp_path / "t.onnx", with_training), "training graph")
    sparse = model([ADD])
    values, indices = ONES, numpy_helper.from_array(np.arange(4), "i")
    sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 40]))
    refuse(write(tmp_path / "s.onnx", sparse), "sparse tensors")
    node = helper.make_node("Constant", [], ["w"], sparse_value=helper.make_sparse_tensor(values, indices, [1 << 40]))
    refuse(write(tmp_path / "n.onnx", model([node, ADD])), "sparse tensor")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(dims=[1 << 40]), "as much data as its dimensions"),
        (changed(dims=[5]), "as much data as its dimensions"),
        (changed(dims=[1 << 62, 1 << 62]), "as much data as its dimensions"),
        (changed(dims=[-4]), "the dimensions"),
        (changed(dims=[1] * 9), "the dimensions"),
        (changed(data_type=TensorProto.STRING), "of the type 8"),
        (changed(data_type=TensorProto.COMPLEX64), "of the type 14"),
        (changed(data_type=999), "of the type 999"),
        (changed(data_type=0), "of the type 0"),
        (changed(float_data=[1, 2, 3, 4]), "data of two kinds"),
        (changed(raw_data=b""), "as much data as its dimensions"),
    ],
)
def test_tensors_have_the_bytes_that_their_dimensions_need(tmp_path, content, words):
    refuse(write(tmp_path / "m.onnx", content), words)


def test_what_parsers_would_merge_is_refused(tmp_path):
    """Protobuf joins a message that comes twice: neither half would be what was looked at."""
    data = model([ADD], [ONES]).SerializeToString()
    refuse(write(tmp_path / "m.onnx", data + data), "holds 2 graphs")
    refuse(write(tmp_path / "e.onnx", b""), "holds 0 graphs")
    refuse(write(tmp_path / "t.onnx", model([ADD], [ONES, ONES])), "two tensors have the name w")
    twice = [helper.make_node("Constant", [], ["w"], value=ONES), ADD]
    refuse(write(tmp_path / "n.onnx", model(twice, [ONES])), "the value w is made twice")
    for name in (b"\x0a\x01x", b"\x0a\x01w", b"\x12\x01y"):  # of inputs and outputs, of nodes and of the graph
        assert name in data
        refuse(write(tmp_path / "u.onnx", data.replace(name, name[:-1] + b"\xff")), "utf-8")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x3a\xff\xff\xff\xff\x0f", "a field of 4294967295 bytes"),
        (b"\x3a" + b"\xff" * 10, "number without an end"),
        (b"\x3b", "wire type 3"),
        (b"\x00\x01", "without a number"),
        (b"\x3d\x00", "ends in a field"),
        (b"\x38", "ends in a number"),
        (b"\x38\x01", "a number where"),
        (b"\x18\x00\x00\x00ORTM" + bytes(64), "ONNX Runtime's own format"),
        (b"PK\x03\x04" + bytes(64), "cannot be taken|wire type"),
        (b"\x3a\x04\x0a\x02\x22\x00", "it uses"),
    ],
)
def test_bytes_that_are_no_protobuf_are_named(tmp_path, data, words):
    refuse(write(tmp_path / "m.onnx", data), words)


def test_any_cut_and_any_changed_byte_is_an_error_or_another_model(tmp_path):
    data = model([ADD], [ONES]).SerializeToString()
    path = tmp_path / "m.onnx"
    draw = np.random.default_rng(0)
    for end in range(0, len(data), 3):
        write(path, data[:end])
        with pytest.raises(AculaEdgeError):
            OrtEngine(path).run({"x": np.ones((1, 4), np.float32)})
    for at in draw.integers(0, len(data), 60):
        write(path, data[:at] + bytes([draw.integers(256)]) + data[at + 1 :])
        try:
            engine = OrtEngine(path)
            engine.run({name: np.ones((1, 4), np.float32) for name in engine.inputs})
        except AculaEdgeError:
            pass


def test_names_of_models_that_are_pipes_or_folders(tmp_path):
    os.mkfifo(tmp_path / "m.onnx")
    (tmp_path / "d.onnx").mkdir()
    for name in ("m.onnx", "d.onnx", "none.onnx"):
        with pytest.raises(ArtifactError):
            OrtEngine(tmp_path / name)
        with pytest.raises(ArtifactError):
            load_graph(tmp_path / name)


def test_inputs_of_absurd_sizes_are_refused(tmp_path):
    for shape in ([1, MAX_MODEL_IO_ELEMENTS + 1], [1 << 20, 1 << 20]):
        source = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        path = write(tmp_path / "m.onnx", model([helper.make_node("Abs", ["x"], ["y"])], inputs=[source]))
        with pytest.raises(ArtifactError, match="no tensor of a usual size"):
            OrtEngine(path)


def shape_of(*sizes: int, name: str = "s") -> Any:
    return numpy_helper.from_array(np.array(sizes, np.int64), name)


LARGE = {
    # What follows from constants alone is computed while a model is loaded, until ONNX Runtime 1.24 beyond its limit.
    "Expand": ([helper.make_node("Expand", ["w", "s"], ["e"])], [ONES, shape_of(1 << 28, 4)]),
    "ConstantOfShape": ([helper.make_node("ConstantOfShape", ["s"], ["e"])], [shape_of(1 << 30)]),
    "Tile": ([helper.make_node("Tile", ["w", "s"], ["e"])], [ONES, shape_of(1 << 28)]),
    "Pad": ([helper.make_node("Pad", ["w", "s"], ["e"])], [ONES, shape_of(0, 1 << 30)]),
    "Range": (
        [helper.make_node("Range", ["a", "b", "c"], ["r"]), helper.make_node("Cast", ["r"], ["e"], to=1)],
        [numpy_helper.from_array(np.array(value), name) for name, value in (("a", 0), ("b", 1 << 31), ("c", 1))],
    ),
    "outer product": (
        [helper.make_node("Mul", ["l", "r"], ["e"])],
        [
            numpy_helper.from_array(np.ones(shape, np.float32), name)
            for name, shape in (("l", (40_000, 1)), ("r", (1, 40_000)))
        ],
    ),
    "Resize": (
        [helper.make_node("Reshape", ["w", "s"], ["i"]), helper.make_node("Resize", ["i", "", "k"], ["e"])],
        [ONES, shape_of(1, 1, 2, 2), numpy_helper.from_array(np.array([1, 1, 1e4, 1e4], np.float32), "k")],
    ),
    # And what follows from the input is computed when it runs.
    "input": (
        [helper.make_node("Reshape", ["x", "s"], ["i"]), helper.make_node("Expand", ["i", "t"], ["e"])],
        [shape_of(4), shape_of(1 << 28, 4, name="t")],
    ),
}  # fmt: skip

IN_LITTLE_MEMORY = """
import resource, sys
import numpy as np
from acula_edge import limits
limits.MAX_MODEL_MEMORY_BYTES = 256 << 20
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        OrtEngine(path).run({"x": np.ones((1, 4), np.float32)})
        print("ran", path)
    except ArtifactError as error:
        print("refused", str(error).splitlines()[0])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_values_of_billions_of_elements_fail_in_bounded_memory(tmp_path):
    paths = []
    for name, (nodes, constants) in LARGE.items():
        last = helper.make_node("ReduceMax", ["e"], ["y"], keepdims=0)
        paths.append(write(tmp_path / f"{name}.onnx", model([*nodes, last], constants)))
        assert inspect_onnx(paths[-1]).constants_small == (name == "input"), name
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, *map(str, paths)], capture_output=True, text=True, timeout=60
    )
    *answers, grown_mb = done.stdout.splitlines()
    assert [answer.split()[0] for answer in answers] == ["refused"] * len(LARGE), done.stdout + done.stderr
    assert int(grown_mb) < 256 + 64


def test_the_arena_is_registered_once_and_has_the_stated_limit(tmp_path, monkeypatch):
    import onnxruntime

    asked = []
    monkeypatch.setattr(ort_memory, "_limited", False)
    monkeypatch.setattr(onnxruntime, "OrtArenaCfg", lambda values: values)
    monkeypatch.setattr(onnxruntime, "create_and_register_allocator", lambda kind, arena: asked.append(arena))
    path = write(tmp_path / "m.onnx", model([ADD], [ONES]))
    options = [OrtEngine(path)._session.get_session_options() for _ in range(2)]
    assert asked == [{"max_mem": 4 << 30}]
    assert [item.get_session_config_entry("session.use_env_allocators") for item in options] == ["1", "1"]


def test_constants_of_our_own_models_are_still_folded(tmp_path):
    folder = write_tiny_bundle(tmp_path / "bundle")
    assert all(inspect_onnx(path).constants_small for path in folder.glob("*.onnx"))
    scale = numpy_helper.from_array(np.ones((1, 4), np.float32), "k")
    nodes = [
        helper.make_node("Unsqueeze", ["w", "s"], ["u"]),
        helper.make_node("Mul", ["u", "k"], ["m"]),
        helper.make_node("Expand", ["m", "t"], ["e"]),
        helper.make_node("Gather", ["e", "s"], ["g"], axis=0),
        helper.make_node("Transpose", ["g"], ["r"], perm=[1, 0]),
        helper.make_node("Reshape", ["r", "t"], ["z"]),
        helper.make_node("Concat", ["z", "m"], ["c"], axis=0),
        helper.make_node("ReduceMax", ["c"], ["d"], keepdims=0),
        helper.make_node("Add", ["x", "d"], ["y"]),
    ]
    constants = [ONES, scale, shape_of(0), shape_of(1, 4, name="t")]
    small = write(tmp_path / "small.onnx", model(nodes, constants))
    assert inspect_onnx(small).constants_small
    OrtEngine(small).run({"x": np.ones((1, 4), np.float32)})
    # Nodes may stand in any order: what is made later counts as well.
    constants[-1] = shape_of(MAX_FOLDED_ELEMENTS, 4, name="t")
    assert not inspect_onnx(write(tmp_path / "large.onnx", model(nodes[::-1], constants))).constants_small


def test_the_list_of_operators_holds_what_exports_have_and_no_more():
    assert not {"If", "Loop", "Scan", "SequenceMap", "StringConcat", "RandomUniform", "Optional"} & (
        STANDARD | CONTRIBUTED
    )
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain in ("", "ai.onnx")}
    assert known >= STANDARD - {"Attention", "RMSNormalization", "RotaryEmbedding", "Swish"}
    assert is_allowed("ai.onnx", "Conv") and not is_allowed("com.microsoft.nchwc", "Conv")
