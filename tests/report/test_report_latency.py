"""Latency, size and quantization: what benchmark.json, bundle.json, quantize.json and audit.json say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acula_edge.files import read_json
from acula_edge.reporting import write_report
from acula_edge.reporting.numbers import milliseconds, significant
from tests.report.conftest import Json, MakeRun
from tests.report.reading import Page, read_page

LATENCY = "Latency on this machine"
SPEED = "Speed-up, and the accuracy of the same files"
NO_ENGINE = "No TensorRT engine was built on this machine"


def report(make_run: MakeRun, **kinds: Any) -> Page:
    run = make_run(**kinds)
    write_report(run)
    return read_page(run)


def measurements(run: Path) -> list[Json]:
    benchmark: Json = read_json(run / "export" / "base-cpu_x86" / "benchmark.json")
    return list(benchmark["measurements"])


def test_every_measurement_is_in_the_latency_table(complete: Path) -> None:
    page, kept = read_page(complete), measurements(complete)
    assert len(page.tables[LATENCY]) == 1 + len(kept)
    for measured in kept:
        row = page.row(LATENCY, measured["artifact"])
        assert row[2:6] == [significant(measured[f"{name}_ms"]) for name in ("p50", "p90", "p95", "p99")]
        assert row[1] == {"frontend": "front end", "encoder": "encoder", "end_to_end": "end to end"}[measured["stage"]]
        assert "1 thread" in row[0]


def test_what_was_not_measured_is_a_dash_with_its_reason_and_never_zero(complete: Path) -> None:
    page = read_page(complete)
    for row in page.tables[LATENCY][1:]:
        assert row[9] == "–"
        assert not {"0", "0.0", "0.00", "0.000", "0 mJ"} & set(row)
    assert page.row(LATENCY, "float teacher")[7:9] == ["–", "–"]
    latency = page.section("latency")
    assert "– means not measured" in latency
    assert "Energy not measured: no energy sensor that this user may read." in latency
    assert "Cold start of float teacher, PyTorch not measured: given by the caller as a callable." in latency
    assert "Energy was not measured." in page.section("limits")


def test_a_measured_energy_has_its_unit(make_run: MakeRun) -> None:
    def measure(files: dict[str, Json]) -> None:
        for row in files["benchmark"]["measurements"]:
            row |= {"energy_mj": 4.2, "not_measured": {}}

    page = report(make_run, change=measure)
    assert page.row(LATENCY, "model.int8.onnx")[9] == "4.20 mJ"
    assert "Energy was not measured" not in page.source


def test_speed_ups_stand_beside_the_accuracy_of_the_same_files(complete: Path) -> None:
    page = read_page(complete)
    rows = page.tables[SPEED][1:]
    assert [row[0] for row in rows] == [
        "encoder.int8.onnx against encoder.onnx",
        "model.int8.onnx against model.onnx",
        "model.int8.onnx against float teacher, PyTorch",
    ]
    assert rows[2][2] == "12.2× 11.83 to 12.44" and rows[2][3] == "faster"
    assert all("AUROC 0." in row[4] and "AUROC 0." in row[5] for row in rows)


def test_the_headline_answers_how_fast_on_what_with_how_many_persons(complete: Path) -> None:
    headline = read_page(complete).headline
    assert "INT8 end to end 1.21 ms median per 8.16-s window, 1 thread, AMD EPYC 9R14, 2 usable cores" in headline
    assert "12.2× / 2.20×" in headline and "Over the float teacher in PyTorch (11.83 to 12.44)" in headline
    assert "Test persons, unseen in training 34 circor and kauh; trained on 119 other persons" in headline
    assert "1.25 MB 3.44× smaller than float (4.31 MB)" in headline


def test_slower_int8_is_said_on_top_and_in_its_section(make_run: MakeRun) -> None:
    def slow(files: dict[str, Json]) -> None:
        for pair in files["benchmark"]["comparisons"]:
            pair |= {"verdict": "slower", "speedup": 0.61, "speedup_ci95": [0.58, 0.64]}

    page = report(make_run, change=slow)
    assert "is slower than what it was compared with" in page.headline
    assert "Slower here: encoder.int8.onnx than encoder.onnx" in page.section("latency")
    assert "0.610×" in page.row(SPEED, "encoder.int8.onnx")[2]


def test_a_speed_up_without_accuracy_says_so(make_run: MakeRun) -> None:
    page = report(make_run, parts=("benchmark",))
    assert "accuracy not measured" in page.headline
    assert "has not been verified" in page.headline


def test_no_tensorrt_engine_is_said_plainly_and_an_engine_is_not_denied(complete: Path, make_run: MakeRun) -> None:
    page = read_page(complete)
    assert NO_ENGINE in page.section("latency")
    assert "No TensorRT engine was measured." in page.section("limits")
    assert NO_ENGINE in report(make_run, parts=("verify",), name="unmeasured").section("latency")

    def build(files: dict[str, Json]) -> None:
        files["bundle"]["files"]["engine-orin-10.3.plan"] = "00" * 32

    built = report(make_run, change=build, name="built").section("latency")
    assert NO_ENGINE not in built and "(engine-orin-10.3.plan) but not measured" in built


def test_figures_of_other_files_than_the_bundle_holds_are_flagged(make_run: MakeRun) -> None:
    page = report(make_run, change=lambda files: files["bundle"]["files"].update({"model.int8.onnx": "00" * 32}))
    assert "Measured on other files than the bundle now holds: model.int8.onnx." in page.section("latency")


def test_warnings_and_smoke_mode_are_passed_on(make_run: MakeRun) -> None:
    page = report(make_run, phantom=True)
    assert "Other programs kept 0.4 cores busy when the measurement began" in page.section("latency")
    assert "The benchmark ran in smoke mode" in page.section("limits")


def test_a_benchmark_without_measurements_is_not_an_empty_table(make_run: MakeRun) -> None:
    page = report(make_run, change=lambda files: files["benchmark"].update({"measurements": [], "comparisons": []}))
    assert LATENCY not in page.tables
    assert "Not measured: benchmark.json holds no measurement." in page.section("latency")
    assert "INT8 end to end not measured" in page.headline


def test_sizes_are_those_of_the_bundle_with_their_sum(complete: Path) -> None:
    page = read_page(complete)
    table = "Files of the bundle"
    assert page.row(table, "model.int8.onnx")[1:] == ["1.25 MB", "3.44× smaller"]
    assert page.row(table, "model.onnx")[1:] == ["4.31 MB", ""]
    assert page.row(table, "Test vectors and records") == [
        "Test vectors and records selftest.npz and verify.json",
        "264 kB",
        "",
    ]
    assert page.row(table, "Whole bundle")[1] == "11.3 MB"


def test_quantization_names_settings_calibration_and_what_stayed_float(complete: Path) -> None:
    page = read_page(complete)
    words = page.section("quantization")
    for text in (
        "int8 symmetric, per channel",
        "200 windows of 87 training persons (circor and kauh)",
        "hum 20",
        "balance 0.5: SQNR 19.9 → 34.8 dB on calibration windows",
        "98.4 %",
        "The audit of model.int8.onnx for the profile cpu_x86 passed with 1 warning.",
    ):
        assert text in words
    assert page.row("Kept in float", "encoder/heads/Gemm")[1] == "heads stay in float"
    assert page.row("Findings", "fallback")[1:3] == ["warning", "encoder/stem/Conv"]


def test_a_failed_audit_is_a_loud_one(make_run: MakeRun) -> None:
    def fail(files: dict[str, Json]) -> None:
        files["audit"]["passed"] = False
        files["audit"]["findings"][0]["severity"] = "error"

    page = report(make_run, change=fail)
    assert "The audit of model.int8.onnx for the profile cpu_x86 failed: 1 error." in page.section("quantization")


def test_the_chart_shows_each_route_with_its_median(complete: Path) -> None:
    page, kept = read_page(complete), measurements(complete)
    drawn = [chart for chart in page.charts if "latency" in chart.get("aria-labelledby", "")]
    assert len(drawn) == 2
    for chart in drawn:
        words = " ".join(text for text in chart.itertext())
        assert "median latency in ms per window of 8.16 s" in words
        for name in ("float teacher, PyTorch", "float student, ONNX", "INT8, ONNX"):
            assert name in words
        for measured in kept[3:]:
            assert milliseconds(measured["p50_ms"]) in words
