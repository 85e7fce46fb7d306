"""Data sets beside the published ones: PASCAL's set B, and RRuJO. Nobody of either is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from acula_edge.data.manifest import Recording
from acula_edge.data.prepare import read_sources
from acula_edge.data.reader import readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.heads import fit_heads
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import DataConfig, SplitConfig
from acula_edge.recipe.sources import Source
from acula_edge.run import Run


def sound(path: Path, rate_hz: int = 4000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(rate_hz), rate_hz)


@pytest.fixture
def pascal(tmp_path: Path) -> Path:
    for name in (
        "murmur__112_1306243000964_A", "murmur_noisymurmur_162_1307101835989_B_1", "normal__103_1305031931979_B",
        "normal_noisynormal_103_1305031931979_C1", "extrastole__127_1306764300147_C2",
        "Bunlabelledtest__101_1305030823364_A",
    ):  # fmt: skip
        sound(tmp_path / "audio" / f"{name}.flac")
    return tmp_path


@pytest.fixture
def rrujo(tmp_path: Path) -> Path:
    rows = ["file,person,device,breaths_per_minute"]
    for person in range(5):
        for rate in (8, 10, 20):
            for device in ("one", "two"):
                sound(tmp_path / "audio" / device / str(rate) / f"{person}{rate}.flac", 4500)
                rows.append(f"audio/{device}/{rate}/{person}{rate}.flac,p{person},{device},{rate}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_names_of_set_b_say_class_person_and_site(pascal: Path) -> None:
    found = readers["pascal"].read(pascal, {}).recordings
    by_name = {recording.recording: recording for recording in found}
    assert len(found) == 6
    assert by_name["murmur_noisymurmur_162_1307101835989_B_1"].subject == "pascal/162"
    assert by_name["murmur_noisymurmur_162_1307101835989_B_1"].metadata["noisy"] == 1
    assert [tasks["C1b"].value(r) for r in found] == [None, None, 1.0, 1.0, 0.0, 0.0]
    assert by_name["extrastole__127_1306764300147_C2"].metadata["class"] == "extrasystole"
    sound(pascal / "audio" / "murmur.wav")
    with pytest.raises(ManifestError, match="not named like"):
        readers["pascal"].read(pascal, {})


def test_rates_come_from_the_manifest(rrujo: Path) -> None:
    found = readers["rrujo"].read(rrujo, {}).recordings
    assert len({r.key for r in found}) == 30 and len({r.subject for r in found}) == 5
    assert sorted({tasks["T19b"].value(r) for r in found}) == [8.0, 10.0, 20.0]
    table = rrujo / "manifest.csv"
    table.write_text(table.read_text().replace(",8\n", ",eight\n", 1))
    with pytest.raises(ManifestError, match="row 2: .* holds no respiratory rate"):
        readers["rrujo"].read(rrujo, {})
    table.write_text("file,person,device,breaths_per_minute\n../../etc/sound.wav,p,one,8\n")
    with pytest.raises(ManifestError, match="no file within the folder"):
        readers["rrujo"].read(rrujo, {})


@pytest.mark.parametrize("rule", ["clean", "folds"])
@pytest.mark.parametrize("name", ["pascal", "rrujo"])
def test_nobody_of_them_is_trained_on(name: str, rule: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    data = DataConfig(sources={name: Source(root=str(folder))}, split=SplitConfig(rule=rule))
    run = Run(folder / "run")
    recordings = assign_splits(read_sources(data, run).recordings, data.split, {})
    assert {recording.split for recording in recordings} == {"test"}
    asked = DataConfig(sources={name: Source(root=str(folder), tested=False)})
    with pytest.raises(RecipeError, match="nobody of .* may be trained on"):
        read_sources(asked, run)


def test_the_other_campaign_is_scored_by_the_probe_of_circor(pascal: Path) -> None:
    own = [
        Recording(
            f"r{i}", f"r{i}.wav", f"circor/{i}", "circor", 4000, 8.0, split="train",
            metadata={"murmur": ("Absent", "Present")[i % 2]},
        )
        for i in range(40)
    ]  # fmt: skip
    other = readers["pascal"].read(pascal, {}).recordings
    recordings = [*own, *other]
    embeddings = np.random.default_rng(0).standard_normal((len(recordings), 6))
    heads = {head.task_id: head for head in fit_heads(embeddings, recordings, [tasks["C1"], tasks["C1b"]])}
    np.testing.assert_array_equal(heads["C1b"].weight, heads["C1"].weight)
    assert heads["C1b"].threshold == heads["C1"].threshold and heads["C1b"].dataset == "pascal"
    assert [head.task_id for head in fit_heads(embeddings[len(own) :], other, [tasks["C1b"]])] == []
