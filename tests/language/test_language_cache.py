"""The cache of report embeddings: made once, shared by processes, continued after a kill."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from acula_edge import progress
from acula_edge.errors import InputError
from acula_edge.language import TextEncoder, cache, embed_recordings, embed_reports
from acula_edge.language.fingerprint import model_fingerprint
from acula_edge.recipe import LanguageConfig
from tests.group import ROOT, run_together

CHUNK = 8  # of thirty reports: four chunks, the last of six


@pytest.fixture
def folder(folder_of) -> str:
    return folder_of("bert")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", CHUNK)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of reports that language models were given, call by call."""
    sizes: list[int] = []
    original = TextEncoder.batches

    def counting(self, reports):
        sizes.append(len(reports))
        return original(self, reports)

    monkeypatch.setattr(TextEncoder, "batches", counting)
    return sizes


def config(folder: str, **changes) -> LanguageConfig:
    return LanguageConfig(model=folder, **{"batch_size": 4, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_are_those_of_the_model_in_the_order_given(folder, reports, tmp_path) -> None:
    vectors = embed_reports([*reports, reports[4]], config(folder), tmp_path)
    assert vectors.shape == (31, 32) and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[30], vectors[4])
    np.testing.assert_allclose(vectors[:30], TextEncoder(config(folder)).embed(reports), rtol=1e-4, atol=1e-5)


def test_equal_reports_are_embedded_once_and_kept(folder, reports, tmp_path, embedded) -> None:
    first = embed_reports([*reports, *reports], config(folder), tmp_path)
    assert embedded == [8, 8, 8, 6]
    before = files(tmp_path)
    np.testing.assert_array_equal(embed_reports(reports[::-1], config(folder), tmp_path)[::-1], first[:30])
    assert embedded == [8, 8, 8, 6] and files(tmp_path) == before
    assert len(before) == 5 and json.loads(before["embeddings.json"])["reports"] == 30


@pytest.mark.parametrize(
    "change",
    [{"pooling": "last"}, {"layer": 1}, {"normalize": True}, {"max_length": 9}, {"lowercase": True},
     {"precision": "bfloat16"}, {"storage": "float16"}, {"revision": "v2"}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_decides_a_vector_makes_a_new_cache(folder, reports, tmp_path, embedded, change) -> None:
    embed_reports(reports, config(folder), tmp_path)
    before = set(files(tmp_path))
    embed_reports(reports, config(folder, batch_size=7), tmp_path)
    assert sum(embedded) == 30, "the size of a batch decides nothing"
    embed_reports(reports, config(folder, **change), tmp_path)
    assert sum(embedded) == 60
    after = set(files(tmp_path))
    assert len(after) == 5 and before & after == {"embeddings.json"}, "the former cache is deleted"


def test_other_reports_make_a_new_cache(folder, reports, tmp_path, embedded) -> None:
    embed_reports(reports, config(folder), tmp_path)
    embed_reports([*reports, "one more"], config(folder), tmp_path)
    assert sum(embedded) == 61


def test_other_weights_under_the_same_name_make_a_new_cache(folder, reports, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "lm")
    before = embed_reports(reports, config(str(tmp_path / "lm")), tmp_path / "text")
    stored = load_file(tmp_path / "lm" / "model.safetensors")
    stored["embeddings.word_embeddings.weight"] += 1
    save_file(stored, tmp_path / "lm" / "model.safetensors", metadata={"format": "pt"})
    assert not np.allclose(embed_reports(reports, config(str(tmp_path / "lm")), tmp_path / "text"), before)


def test_a_large_file_is_told_apart_by_samples(tmp_path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 6 << 20, dtype=np.uint8)
    marks = []
    for changed in (slice(0, 1), slice(3 << 20, 25 << 17), slice(-1, None), slice(0, 0)):
        content[changed] ^= 255
        (tmp_path / "model.safetensors").write_bytes(content.tobytes())
        marks.append(model_fingerprint(str(tmp_path)))
    (tmp_path / "README.md").write_text("says nothing about the model")
    assert len(set(marks[:3])) == 3 and marks[2] == marks[3] == model_fingerprint(str(tmp_path))
    assert model_fingerprint("google/medgemma-4b-pt") is None


@pytest.mark.parametrize("damage", ["torn", "emptied", "gone", "of another embedding"])
def test_a_damaged_chunk_alone_is_made_again(folder, reports, tmp_path, embedded, damage) -> None:
    first = embed_reports(reports, config(folder), tmp_path)
    whole = files(tmp_path)
    chunk, other = sorted(tmp_path.glob("*.safetensors"))[1:3]
    if damage == "torn":
        chunk.write_bytes(chunk.read_bytes()[:-10])
    elif damage == "emptied":
        chunk.write_bytes(b"")
    elif damage == "gone":
        chunk.unlink()
    else:
        embed_reports(reports[:20], config(folder), tmp_path / "other")
        shutil.copy(sorted((tmp_path / "other").glob("*.safetensors"))[1], chunk)
        shutil.rmtree(tmp_path / "other")
    embedded.clear()
    np.testing.assert_array_equal(embed_reports(reports, config(folder), tmp_path), first)
    assert embedded == [8] and files(tmp_path) == whole


@pytest.mark.parametrize("damage", ["torn", "gone", "of another key"])
def test_a_damaged_key_file_is_written_again(folder, reports, tmp_path, embedded, damage) -> None:
    embed_reports(reports, config(folder), tmp_path)
    whole = files(tmp_path)
    index = tmp_path / "embeddings.json"
    text = index.read_text()
    if damage == "gone":
        index.unlink()
    else:
        index.write_text(text[:50] if damage == "torn" else text.replace('"mean"', '"last"'))
    embed_reports(reports, config(folder), tmp_path)
    assert sum(embedded) == 30 and files(tmp_path) == whole


def test_the_former_cache_of_one_file_is_replaced(folder, reports, tmp_path) -> None:
    (tmp_path / "embeddings.safetensors").write_bytes(b"former")
    (tmp_path / "embeddings.json").write_text('{"schema": "acula-edge/text/1"}')
    embed_reports(reports, config(folder), tmp_path)
    assert not (tmp_path / "embeddings.safetensors").exists()


def test_a_killed_embedding_goes_on_after_the_last_finished_chunk(folder, reports, tmp_path, embedded) -> None:
    code = f"""
import os, signal
from acula_edge.language import TextEncoder, cache
from acula_edge.recipe import LanguageConfig
cache.CHUNK = {CHUNK}
original, calls = TextEncoder._forward, []
def dying(self, tokens):
    calls.append(len(tokens))
    if len(calls) == 6:  # in the middle of the third chunk
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, tokens)
TextEncoder._forward = dying
cache.embed_reports({reports!r}, LanguageConfig(model={folder!r}, batch_size=4), {str(tmp_path / "text")!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    left = files(tmp_path / "text")
    assert len(left) == 2 and "embeddings.json" not in left
    vectors = embed_reports(reports, config(folder), tmp_path / "text")
    assert embedded == [8, 6]
    np.testing.assert_array_equal(vectors, embed_reports(reports, config(folder), tmp_path / "whole"))
    assert files(tmp_path / "text") == files(tmp_path / "whole")


def test_two_processes_make_the_cache_of_one(folder, reports, tmp_path) -> None:
    code = f"""
import numpy as np
from acula_edge import processes
from acula_edge.language import TextEncoder, cache
from acula_edge.recipe import LanguageConfig
cache.CHUNK = {CHUNK}
original, sizes = TextEncoder.batches, []
TextEncoder.batches = lambda self, reports: sizes.append(len(reports)) or original(self, reports)
vectors = cache.embed_reports({reports!r}, LanguageConfig(model={folder!r}, batch_size=4), {str(tmp_path / "two")!r})
np.save({str(tmp_path)!r} + f"/{{processes.rank()}}.npy", vectors)
print(sizes)
"""
    ended = run_together(code)
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert [one.stdout.strip() for one in ended] == ["[8, 8]", "[8, 6]"]
    alone = embed_reports(reports, config(folder), tmp_path / "one")
    for number in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), alone, rtol=1e-5, atol=1e-6)
    assert sorted(files(tmp_path / "two")) == sorted(files(tmp_path / "one"))
    assert files(tmp_path / "two")["embeddings.json"] == files(tmp_path / "one")["embeddings.json"]


def test_a_process_that_fails_takes_the_other_with_it(folder, reports, tmp_path) -> None:
    code = f"""
from acula_edge import processes
from acula_edge.errors import InputError
from acula_edge.language import TextEncoder, cache
from acula_edge.recipe import LanguageConfig
cache.CHUNK = {CHUNK}
def failing(self, reports):
    raise InputError("the disk is full")
if processes.rank() == 1:
    TextEncoder.batches = failing
cache.embed_reports({reports!r}, LanguageConfig(model={folder!r}), {str(tmp_path)!r})
"""
    first, second = run_together(code)
    assert first.returncode and second.returncode
    assert "InputError: the disk is full" in second.stderr
    assert "stops because number 1 failed" in first.stderr and "the disk is full" in first.stderr
    assert not (tmp_path / "embeddings.json").exists() and len(list(tmp_path.glob("*.safetensors"))) == 2


def test_recordings_get_the_mean_of_their_phrasings(folder, reports, tmp_path, embedded) -> None:
    groups = [reports[:3], [reports[20]], [reports[5], reports[0], reports[5]], reports]
    means = embed_recordings(groups, config(folder), tmp_path)
    rows = embed_reports(reports, config(folder), tmp_path)
    assert sum(embedded) == 30, "one cache for both"
    expected = [rows[:3].mean(0), rows[20], (2 * rows[5] + rows[0]) / 3, rows.mean(0)]
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, np.stack(expected), rtol=1e-5, atol=1e-6)


def test_half_precision_halves_the_cache(folder, reports, tmp_path) -> None:
    full = embed_reports(reports, config(folder), tmp_path / "full")
    half = embed_reports(reports, config(folder, storage="float16"), tmp_path / "half")
    assert half.dtype == np.float32 and not np.array_equal(half, full)
    np.testing.assert_allclose(half, full, rtol=2**-10, atol=2**-14)
    size = {name: sum(len(v) for n, v in files(tmp_path / name).items() if "safe" in n) for name in ("full", "half")}
    assert size["half"] < 0.6 * size["full"]


def test_what_half_precision_cannot_hold_is_an_error(folder, reports, tmp_path, monkeypatch) -> None:
    original = TextEncoder._forward
    monkeypatch.setattr(TextEncoder, "_forward", lambda self, tokens: original(self, tokens) * np.float32(1e6))
    with pytest.raises(InputError, match="too large for float16") as caught:
        embed_reports(reports, config(folder, storage="float16"), tmp_path)
    assert "storage=float32" in str(caught.value) and not list(tmp_path.glob("*"))


def test_progress_counts_batches(folder, reports, tmp_path, monkeypatch) -> None:
    seen: list[tuple[str, int | None, int]] = []

    def tracker(items, description, total):
        count = 0
        for item in items:
            count += 1
            yield item
        seen.append((description, total, count))

    monkeypatch.setattr(progress, "_tracker", tracker)
    embed_reports(reports, config(folder), tmp_path)
    assert seen == [("reading reports", 8, 8)]


@pytest.mark.parametrize("groups", [[], [["loud murmur"], []]])
def test_without_reports_there_is_nothing_to_embed(folder, tmp_path, groups) -> None:
    with pytest.raises(InputError, match="no reports"):
        embed_recordings(groups, config(folder), tmp_path)
