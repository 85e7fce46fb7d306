"""The comparison: every figure of every machine, accuracy by the file's hash, nothing made up, nothing from afar."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import read_json, sha256_file, write_json
from acula_edge.reporting.compare import comparison, write_comparison
from acula_edge.reporting.compare.entries import read_entries
from acula_edge.reporting.numbers import milliseconds, significant
from tests.benchmark.recorded_machines import orin_nano, raspberry_pi_5, x86_notebook
from tests.report.compare_files import digests_of, write_benchmark
from tests.report.reading import Page
from tests.tiny_bundle import seal_tiny_bundle, write_tiny_bundle

Json = dict[str, Any]
WHOLE, SPEED = "Latency, end to end", "Speed-ups within a machine, and the accuracy of the same files"


def verification() -> Json:
    def row(value: float) -> Json:
        return {"value": value, "ci95": [value - 0.05, value + 0.05]}

    tasks = [
        {"id": name, "metric": "auroc", "n_subjects": 40, "float_teacher": None, "float_student": row(0.9 - shift),
         "int8": row(0.88 - shift)}
        for name, shift in (("M", 0.0), ("T", 0.1))
    ]  # fmt: skip
    return {"schema": "acula-edge/verify/1", "tasks": tasks}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A verified bundle that was measured on a PC, and three other machines: of the same files, and of others."""
    root = tmp_path_factory.mktemp("compare")
    bundle = write_tiny_bundle(root / "tiny")
    write_json(bundle / "verify.json", verification())
    own = digests_of(bundle)
    write_benchmark(bundle / "benchmark.json", x86_notebook(root / "x"), "x86_64", 1.0, digest_of=own, noted=False)
    seal_tiny_bundle(bundle)
    pi, orin = raspberry_pi_5(root / "p"), orin_nano(root / "o", held=False, throttled=True)
    return {
        "bundle": bundle,
        "pi": write_benchmark(root / "pi5.json", pi, "aarch64", 6.0, idle_mw=2700, digest_of=own, noted=False),
        "orin": write_benchmark(root / "orin.json", orin, "aarch64", 4.0, idle_mw=4900, noted=False),
        "noted": write_benchmark(root / "pc.json", x86_notebook(root / "y"), "x86_64", 2.0, busy_cores=1.0),
    }


@pytest.fixture(scope="module")
def page(files: dict[str, Path]) -> Page:
    path = write_comparison(list(files.values()), files["bundle"].parent / "compare.html")
    return Page(path.read_text(encoding="utf-8"))


def plain(text: str) -> str:
    """As a page is read: every kind of space is one space."""
    return " ".join(text.split())


def rows(page: Page, caption: str, artifact: str) -> list[list[str]]:
    return [row for row in page.tables[caption][1:] if row[0].startswith(f"{artifact} ")]


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(page: Page) -> None:
    assert page.open == []
    assert not any(tag in ("script", "link", "img", "iframe") for tag, _ in page.elements)
    source = page.source.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http:" not in source and "https:" not in source and "url(" not in source and "@import" not in source
    assert 'content="light dark"' in page.source and "prefers-color-scheme: dark" in page.source
    assert 'name="viewport"' in page.source and "@media print" in page.source
    anchors = {attributes.get("id") for _, attributes in page.elements}
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    assert links and all(link.removeprefix("#") in anchors for link in links)


def test_every_measurement_of_every_machine_is_in_a_table(page: Page, files: dict[str, Path]) -> None:
    paths = [files["bundle"] / "benchmark.json", files["pi"], files["orin"], files["noted"]]
    titles = {"end_to_end": "end to end", "encoder": "encoder", "frontend": "front end"}
    for index, path in enumerate(paths):
        for measured in read_json(path)["measurements"]:
            row = rows(page, f"Latency, {titles[measured['stage']]}", measured["artifact"])[index]
            assert row[1].startswith("ABCD"[index])
            assert row[2:6] == [significant(measured[f"{name}_ms"]) for name in ("p50", "p90", "p95", "p99")]
            assert row[6] == plain(significant(measured["rtf"], 2))


def test_machines_go_by_their_boards_or_processors(page: Page) -> None:
    names = [row[0] for row in page.tables["Benchmarks"][1:]]
    assert names[0].startswith("A · Some Core i7")
    assert names[1].startswith("B · Raspberry Pi 5 Model B Rev 1.0")
    assert names[2].startswith("C · Jetson Orin Nano Super")
    assert "4 benchmarks on 3 machines" in plain(page.source)


def test_accuracy_is_found_by_hash_for_every_machine_that_ran_the_file(page: Page) -> None:
    pc, pi, orin, noted = (row[7] for row in rows(page, WHOLE, "model.int8.onnx"))
    assert pc == pi == "AUROC 0.830 mean of M 0.880, T 0.780"
    assert orin == "not measured not verified"
    assert noted == "AUROC 0.815 on M"
    sources = {row[4] for row in page.tables["Accuracy of the files that were timed"][1:]}
    assert sources == {"verify.json of tiny", "noted when it was measured"}


def test_a_file_of_the_same_name_but_another_hash_gets_no_accuracy(files: dict[str, Path]) -> None:
    entries = read_entries([files["bundle"], files["orin"]])
    ours, theirs = (entry.find("model.onnx") for entry in entries)
    assert ours is not None and theirs is not None
    assert ours.accuracy.mean_auroc == pytest.approx(0.85)
    assert theirs.accuracy.tasks == () and theirs.accuracy.reason == "not verified"


def test_speed_ups_are_stated_only_with_both_accuracies(page: Page) -> None:
    stated = [row[0] for row in page.tables[SPEED][1:]]
    assert len(stated) == 6 and not any(text.startswith("C ") for text in stated)
    assert all("AUROC 0." in row[4] and "AUROC 0." in row[5] for row in page.tables[SPEED][1:])
    assert "C: model.int8.onnx against model.onnx: the accuracy is not known of" in page.section("speed-up")


def test_without_any_accuracy_no_speed_up_stands_on_the_page(files: dict[str, Path], tmp_path: Path) -> None:
    path = write_comparison([files["orin"]], tmp_path / "page.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert SPEED not in page.tables and "×" not in page.section("speed-up")
    assert "No speed-up is stated" in page.section("speed-up")
    assert "Name the bundle too" in page.section("accuracy")


def test_energy_is_above_idle_and_missing_sensors_are_named(page: Page) -> None:
    table = page.tables["Energy of one window, end to end"][1:]
    assert [row[0][0] for row in table] == ["B", "B", "C", "C"]
    assert "power chip" in table[0][5] and table[2][5] == "INA3221 VDD_IN: whole rails"
    assert table[0][4] == "2.70 W" and all(row[1].endswith("mJ") for row in table)
    assert "Energy of A and D was not measured: no energy sensor." in page.section("energy")


def test_the_state_of_each_machine_stands_on_the_page(page: Page) -> None:
    pc, pi, orin, busy = page.tables["The state that each machine was in"][1:]
    assert pi[1:5] == ["1.50–2.40 GHz governor ondemand", "not a Jetson", "51 to 51 °C at most 51 °C", "no"]
    assert orin[2] == "25W jetson_clocks off, JetPack 6.2.1+b38"
    assert orin[4].startswith("throttled cooling device gpu-throttle-alert")
    assert pc[5].startswith("calm") and busy[5] == "disturbed 1.0 cores busy"
    assert "C throttled" in page.source and "D disturbed" in page.source
    assert "Read C and D with care" in page.headline
    assert "C: The machine was throttled while it was measured" in page.section("benchmarks")


def test_the_headline_is_the_fastest_of_what_would_be_deployed(page: Page, files: dict[str, Path]) -> None:
    benchmark = read_json(files["bundle"] / "benchmark.json")
    p50 = next(row["p50_ms"] for row in benchmark["measurements"] if row["artifact"] == "model.int8.onnx")
    assert f"Fastest: model.int8.onnx on A · Some Core i7, {plain(milliseconds(p50))} median" in page.headline
    assert "model.int8.onnx; mean AUROC 0.830" in page.headline and "accuracy not measured" in page.headline


def test_charts_show_every_machine_and_every_sample_within_reach(page: Page) -> None:
    assert len(page.charts) == 4
    texts = [" ".join(element.text or "" for element in chart.iter() if element.text) for chart in page.charts]
    assert all(f"{letter} · " in text for text in texts for letter in "ABCD")
    bins = [element for element in page.charts[2].iter() if element.get("class", "").startswith("bin")]
    tips = [str(child.text) for element in bins for child in element if child.text]
    drawn = sum(int(tip.rsplit(": ", 1)[1]) for tip in tips)
    assert 0.999 * 8 * 1560 <= drawn <= 8 * 1560
    for chart in page.charts:
        width, height = (float(number) for number in str(chart.get("viewBox")).split()[2:])
        for element in chart.iter():
            if element.tag.endswith("rect"):
                assert -0.01 <= float(element.get("x", 0)) <= width and 0 <= float(element.get("y", 0)) <= height
                assert float(element.get("x", 0)) + float(element.get("width", 0)) <= width + 0.5


def test_missing_samples_are_said_and_leave_the_figures(files: dict[str, Path], tmp_path: Path) -> None:
    lonely = Path(shutil.copy(files["pi"], tmp_path / "lonely.json"))
    page = Page(write_comparison([lonely], tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "A: pi5_samples.npz is not beside lonely.json" in page.section("spread")
    assert len(page.charts) == 2
    assert len(page.tables[WHOLE]) == 3


def test_files_of_before_are_read_and_what_they_lack_is_not_measured(files: dict[str, Path], tmp_path: Path) -> None:
    old = read_json(files["pi"])
    for key in ("state", "power", "samples_file", "disturbance"):
        del old[key]
    for key in ("clocks", "board"):
        del old["environment"][key]
    for row in old["measurements"]:
        for key in ("accuracy", "energy_gross_mj", "power_mw", "energy_mj", "rtf", "samples_key"):
            row.pop(key)
    write_json(tmp_path / "old.json", old)
    page = Page(write_comparison([tmp_path / "old.json"], tmp_path / "page.html").read_text(encoding="utf-8"))
    (state,) = page.tables["The state that each machine was in"][1:]
    assert state[2:] == ["not measured", "not measured", "not measured"]
    assert [row[6] for row in page.tables[WHOLE][1:]] == ["not measured", "not measured"]
    assert "it was written without raw samples" in page.section("spread")


def test_json_holds_the_same_facts(files: dict[str, Path]) -> None:
    facts = comparison([files["bundle"], files["pi"], files["orin"]])
    json.dumps(facts, allow_nan=False)
    assert facts["schema"] == "acula-edge/comparison/1"
    pc, pi, orin = facts["entries"]
    assert [entry["letter"] for entry in facts["entries"]] == ["A", "B", "C"]
    assert pi["machine"].startswith("Raspberry Pi 5") and orin["throttled"] is True and pc["throttled"] is False
    whole = next(row for row in pi["measurements"] if row["artifact"] == "model.int8.onnx")
    assert whole["accuracy"]["mean_auroc"] == pytest.approx(0.83)
    assert whole["sha256"] == sha256_file(files["bundle"] / "model.int8.onnx")
    assert whole["energy_mj"] > 0 and pc["measurements"][0]["energy_mj"] is None
    assert len(pc["speed_ups"]) == 2 and orin["speed_ups"] == [] and len(orin["withheld"]) == 2


def test_what_is_no_benchmark_is_refused_by_name(files: dict[str, Path], tmp_path: Path) -> None:
    write_json(tmp_path / "verify.json", verification())
    with pytest.raises(ArtifactError, match=r"verify\.json"):
        read_entries([tmp_path / "verify.json"])
    with pytest.raises(ArtifactError, match=r"has no benchmark\.json yet"):
        read_entries([tmp_path])
    with pytest.raises(ArtifactError, match=r"absent\.json"):
        read_entries([tmp_path / "absent.json"])
    write_json(tmp_path / "odd.json", {"schema": "acula-edge/benchmark/1", "measurements": [{"stage": "encoder"}]})
    with pytest.raises(ArtifactError, match="no measurements that can be read"):
        read_entries([tmp_path / "odd.json"])
    with pytest.raises(InputError, match="named twice"):
        read_entries([files["bundle"], files["bundle"] / "benchmark.json"])
    with pytest.raises(InputError, match="nothing to compare"):
        read_entries([])
    (tmp_path / "cut_samples.npz").write_bytes(b"PK")
    shutil.copy(files["pi"], tmp_path / "cut.json")
    cut = read_json(tmp_path / "cut.json")
    write_json(tmp_path / "cut.json", {**cut, "samples_file": "cut_samples.npz"})
    with pytest.raises(ArtifactError, match="cannot be read as raw samples"):
        read_entries([tmp_path / "cut.json"])


def test_a_verify_json_that_the_bundle_does_not_list_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(files["bundle"], tmp_path / "swapped"))
    write_json(bundle / "verify.json", {**verification(), "tasks": []})
    with pytest.raises(ArtifactError, match="not the file that bundle.json lists"):
        read_entries([bundle])


def test_samples_are_those_of_the_file(files: dict[str, Path]) -> None:
    (entry,) = read_entries([files["pi"]])
    for item in entry.measurements:
        assert item.samples_ms is not None
        assert np.percentile(item.samples_ms, 99) == pytest.approx(item.row["p99_ms"], rel=1e-4)


def test_the_verb_writes_a_page_or_json(files: dict[str, Path], tmp_path: Path) -> None:
    paths = [str(files["bundle"]), str(files["pi"])]
    target = tmp_path / "out" / "page.html"
    done = CliRunner().invoke(cli, ["report", "--compare", *paths, "--out", str(target)])
    assert done.exit_code == 0 and done.stdout.strip() == str(target) and "</html>" in target.read_text()
    printed = CliRunner().invoke(cli, ["report", "--compare", *paths, "--json"])
    assert [entry["letter"] for entry in json.loads(printed.stdout)["entries"]] == ["A", "B"]
    for wrong in (["report", "--json"], ["report", *paths], ["report", "--out", "x.html"]):
        assert CliRunner().invoke(cli, wrong).exit_code == 2
    refused = CliRunner().invoke(cli, ["report", "--compare", str(tmp_path)])
    assert refused.exit_code == 2 and "acula-edge benchmark" in refused.stderr
