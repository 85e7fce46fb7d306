"""What is read from the engine inspector, trtexec's profile and its log."""

from __future__ import annotations

import json

import pytest

from acula_edge.engines.tensorrt import trtexec
from acula_edge.engines.tensorrt.inspection import (
    frontend_in_float32,
    parse_layers,
    parse_profile,
    share_by_layer,
    share_by_time,
)
from acula_edge.errors import ArtifactError
from tests.engines.tensorrt_doubles import inspector_json


def layer(reads: str, writes: str = "Float", **more: object) -> str:
    entry = {
        "Name": "n",
        "LayerType": "kgen",
        "Inputs": [{"Format/Datatype": reads}],
        "Outputs": [{"Format/Datatype": writes}],
        **more,
    }
    return json.dumps({"Layers": [entry]})


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        (layer("Thirty-two wide channel vectorized row major Int8 format.", "Half"), "int8"),
        (layer("Row major linear FP16 format"), "fp16"),
        (layer("Channel major FP16 format where channel % 4 == 0"), "fp16"),
        (layer("Half"), "fp16"),
        (layer("BFloat16"), "bf16"),
        (layer("Float", "Int8"), "fp32"),
        (layer("Int32", "Int32"), "integer"),
        (layer("Float", Weights={"Type": "Int8", "Count": 3}), "int8"),
        (layer("Float", LayerType="Reformat"), "reformat"),
        (json.dumps({"Layers": [{"Name": "n", "LayerType": "NoOp", "Inputs": [], "Outputs": []}]}), None),
        (json.dumps({"Layers": ["encoder/Conv + encoder/Relu"]}), None),
    ],
)
def test_precisions_are_read_from_every_spelling(text: str, precision: str | None) -> None:
    (found,) = parse_layers(text)
    assert found.precision == precision


def test_both_forms_of_the_inspector_give_the_same() -> None:
    older, newer = parse_layers(inspector_json("10.3.0")), parse_layers(inspector_json("11.4.1"))
    assert older == newer
    assert share_by_layer(older) == {"fp32": 0.25, "int8": 0.5, "reformat": 0.25}


def test_the_front_end_is_watched() -> None:
    def engine(name: str, kind: str, metadata: str = "") -> str:
        entry = {"Name": name, "LayerType": "kgen", "Inputs": [{"Format/Datatype": kind}], "Metadata": metadata}
        return json.dumps({"Layers": [entry]})

    assert frontend_in_float32(parse_layers(engine("frontend/MatMul", "Float"))) is True
    assert frontend_in_float32(parse_layers(engine("frontend/MatMul", "Half"))) is False
    assert frontend_in_float32(parse_layers(engine("PWN(PWN(frontend/Log), frontend/Mul)", "Half"))) is False
    told = "[ONNX Layer: frontend/Log]\u001e[ONNX Layer: frontend/Mul]"
    assert frontend_in_float32(parse_layers(engine("__myl_LogMul_0", "Half", told))) is False
    assert frontend_in_float32(parse_layers(engine("frontend/Mul + encoder/stem/Conv", "Half"))) is None
    assert frontend_in_float32(parse_layers(engine("__myl_LogMul_0", "Half"))) is None


def test_shares_by_time_count_what_is_not_listed() -> None:
    layers = parse_layers(inspector_json("10.3.0"))
    profile = parse_profile('[{"count": 3}, {"name": "encoder/projection/Gemm", "averageMs": 3}, '
                            '{"name": "something else", "averageMs": 1}]')  # fmt: skip
    assert share_by_time(layers, profile) == {"int8": 0.75, "unknown": 0.25}
    assert share_by_time(layers, {}) is None


def test_what_is_no_json_of_theirs_is_refused() -> None:
    with pytest.raises(ArtifactError, match="inspector"):
        parse_layers("Layer(CaskConvolution): conv")
    with pytest.raises(ArtifactError, match="profile"):
        parse_profile('[{"name": "a"}]')


def test_the_summary_and_the_errors_of_a_log() -> None:
    log = (
        "[07/22/2022-23:37:09] [I] === Performance summary ===\n"
        "[07/22/2022-23:37:09] [I] Latency: min = 0.36 ms, max = 0.67 ms, mean = 0.52 ms, median = 0.52 ms\n"
        "[07/22/2022-23:37:09] [I] GPU Compute Time: min = 0.338623 ms, max = 0.656982 ms, mean = 0.499129 ms, "
        "median = 0.499756 ms, percentile(90%) = 0.55 ms, percentile(99%) = 0.593628 ms\n"
        "[07/22/2022-23:37:09] [I] Total GPU Compute Time: 23.6767 s\n"
    )
    assert trtexec.parse_gpu_time(log) == {
        "min": 0.338623, "max": 0.656982, "mean": 0.499129, "median": 0.499756, "p90": 0.55, "p99": 0.593628,
    }  # fmt: skip
    assert trtexec.parse_gpu_time("[I] Throughput: 1 qps") == {}
    errors = "[01/11/2023-12:07:32] [E] Error[3]: only activation types\n[01/11/2023-12:07:32] [I] fine\n[E] again\n"
    assert trtexec.parse_errors(errors) == ["Error[3]: only activation types", "again"]
