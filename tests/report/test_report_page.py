"""The page itself: sound, alone, the same twice, and silent about persons."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.reporting import write_report
from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.rendering import escape_markdown
from tests.report.conftest import SECRET, Json, MakeRun
from tests.report.reading import Page, read_page

SCRIPT = "<script>alert('x')</script>"
LOADING = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "image", "use", "base"}


def test_every_tag_is_closed_and_every_id_is_its_own(complete: Path) -> None:
    page = read_page(complete)
    assert page.open == []
    ids = Counter(attributes["id"] for _, attributes in page.elements if attributes.get("id"))
    assert [name for name, number in ids.items() if number > 1] == []


def test_links_lead_to_sections_that_exist(complete: Path) -> None:
    page = read_page(complete)
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    anchors = {f"#{attributes['id']}" for tag, attributes in page.elements if tag == "section"}
    assert links and set(links) == anchors


@pytest.mark.parametrize("phantom", [False, True])
def test_nothing_is_loaded_from_anywhere(make_run: MakeRun, phantom: bool) -> None:
    run = make_run(phantom=phantom, bundles=2)
    write_report(run)
    page = read_page(run)
    assert not LOADING & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "xlink:href", "data", "action", "poster"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert str(attributes.get("href") or "#").startswith("#"), tag
        assert "url(" not in str(attributes.get("style") or "")
    style = re.findall(r"<style>(.*?)</style>", page.source, re.S)
    assert style and not any(word in sheet for sheet in style for word in ("url(", "@import", "//"))
    assert set(re.findall(r"https?://[^\s\"'<]+", page.source)) <= {"http://www.w3.org/2000/svg"}


def test_equal_files_give_equal_bytes(complete: Path, tmp_path: Path) -> None:
    page, words = (complete / "report.html").read_bytes(), (complete / "report.md").read_bytes()
    copied = tmp_path / "elsewhere"
    shutil.copytree(complete, copied)
    for name in ("report.html", "report.md"):
        (copied / name).unlink()
    assert write_report(copied) == copied / "report.html"
    assert (copied / "report.html").read_bytes() == page
    assert (copied / "report.md").read_bytes() == words


def test_what_a_recipe_or_a_task_says_is_text_and_never_markup(make_run: MakeRun) -> None:
    def inject(files: dict[str, Json]) -> None:
        task = files["verify"]["tasks"][0]
        task |= {"name": f"Murmur {SCRIPT}", "note": SCRIPT, "labels": ["a & b", '"quoted"']}
        files["verify"]["summary"]["tasks_missing"] = [{"id": "T1", "reason": f"no {SCRIPT}"}]
        files["benchmark"]["warnings"] = [SCRIPT]
        files["benchmark"]["measurements"][5]["artifact"] = f"teacher {SCRIPT}"
        files["benchmark"]["environment"]["cpu"]["model"] = SCRIPT
        files["audit"]["findings"][0]["message"] = SCRIPT

    run = make_run(change=inject)
    recipe = run / "recipe.yaml"
    recipe.write_text(re.sub(r"(?m)^description:.*$", f'description: "{SCRIPT}"', recipe.read_text()))
    write_report(run)
    page = read_page(run)
    assert page.open == [] and "script" not in {tag for tag, _ in page.elements}
    assert "<script" not in page.source.lower()
    assert page.source.count("&lt;script&gt;") >= 9
    assert "Murmur <script>alert('x')</script>" in page.section("tasks")
    words = (run / "report.md").read_text()
    assert not re.search(r"(?<!\\)<", words) and r"\<script\>" in words


def test_markdown_shows_special_characters_as_they_are() -> None:
    assert escape_markdown("a|b *c* _d_ [e](f) <g> #h & `i`\nj") == (
        r"a\|b \*c\* \_d\_ \[e\](f) \<g\> \#h &amp; \`i\` j"
    )


@pytest.mark.parametrize("phantom", [False, True])
def test_no_metadata_path_or_id_of_a_person_is_in_the_report(make_run: MakeRun, phantom: bool) -> None:
    run = make_run(phantom=phantom)
    write_report(run)
    for name in ("report.html", "report.md"):
        words = (run / name).read_text()
        assert SECRET not in words
        assert "/data/" not in words and ".wav" not in words
        assert "circor-0" not in words and "phantom-0" not in words and "BP7" not in words and "BP8" not in words
        assert "feedfacefeedface" not in words, "hashes of persons stay in quantize.json"
    assert "holds the same sound as another recording" in read_page(run).section("data")
    assert "the file is cut off" in read_page(run).section("data")


def test_charts_are_well_formed_titled_and_finite(complete: Path) -> None:
    page = read_page(complete)
    assert len(page.charts) == page.source.count("<svg") >= 10
    for chart in page.charts:
        check_chart(chart)


def test_charts_have_axis_titles(complete: Path) -> None:
    titles = ("AUROC of INT8 − AUROC of its", "dark line at 0.5 is chance", "median latency in ms per window", "epoch")
    for chart in read_page(complete).charts:
        ticks = " ".join(element.text or "" for element in chart if element.get("class") == "tick")
        assert any(title in ticks for title in titles)


def test_wide_and_narrow_charts_carry_the_same_figures(complete: Path) -> None:
    by_width: dict[str, list[set[str]]] = {"wide": [], "narrow": []}
    for chart in read_page(complete).charts:
        name = chart.get("aria-labelledby", "")
        for kind, width in (("wide", WIDE), ("narrow", NARROW)):
            if f"-{width}-title" in name:
                words = " ".join(element.text or "" for element in chart if element.get("class") == "value")
                by_width[kind].append(set(re.findall(r"[+−]?\d+\.\d+", words)))
    assert len(by_width["wide"]) == len(by_width["narrow"]) == 3
    for wide, narrow in zip(by_width["wide"], by_width["narrow"], strict=True):
        assert wide and wide <= narrow


def test_no_words_of_a_chart_leave_its_frame(complete: Path) -> None:
    """By the mean advance of the fonts in use; a phone would cut off what is wider."""
    for chart in read_page(complete).charts:
        width = float(chart.get("viewBox", "").split()[2])
        for element in chart:
            if not element.tag.endswith("text") or not element.text:
                continue
            x, reach = float(element.get("x", "0")), 0.5 * 12 * len(element.text)
            left = {"middle": x - reach / 2, "end": x - reach}.get(element.get("text-anchor", "start"), x)
            assert left >= -6 and left + reach <= width + 6, element.text


def check_chart(chart: ET.Element) -> None:
    """Every coordinate is a finite number inside the frame."""
    _, _, width, height = map(float, chart.get("viewBox", "").split())
    assert width > 0 and height > 0 and chart[0].tag.endswith("title") and chart[0].text and chart[1].text
    across, down = ("x", "x1", "x2", "cx"), ("y", "y1", "y2", "cy")
    for element in chart.iter():
        for key in across + down:
            if element.get(key) is not None:
                limit = width if key in across else height
                assert -1 <= float(element.get(key, "")) <= limit + 1, (element.tag, key, element.get(key))
        for key in ("width", "height", "r"):
            if element.get(key) is not None and element is not chart:
                assert float(element.get(key, "")) >= 0
        if element.get("d"):
            numbers = re.sub(r"[MLZ]", " ", element.get("d", "")).split()
            assert all(-1 <= float(number) <= max(width, height) + 1 for number in numbers)


@pytest.mark.parametrize("kind", ["no interval", "identical", "perfect", "far beyond the margin", "one task"])
def test_degenerate_intervals_are_drawn_and_said(make_run: MakeRun, kind: str) -> None:
    def change(files: dict[str, Json]) -> None:
        verify = files["verify"]
        for task in verify["tasks"]:
            pair = task["int8_vs_student"]
            if kind == "no interval":
                for model in ("float_teacher", "float_student", "int8"):
                    task[model]["ci95"] = None
                pair["ci95"] = None
            elif kind == "identical":
                pair |= {"delta": 0.0, "ci95": [0.0, 0.0], "p_noninferiority": None, "verdict": "identical"}
            elif kind == "perfect":
                for model in ("float_teacher", "float_student", "int8"):
                    task[model] |= {"value": 1.0, "ci95": [1.0, 1.0]}
            elif kind == "far beyond the margin":
                pair |= {"delta": -0.4, "ci95": [-0.45, -0.35], "verdict": "inferior"}
        mean = verify["summary"]["mean_delta"]["int8_vs_student"]
        if kind == "no interval":
            mean["ci95"] = None
        if kind == "one task":
            verify["tasks"] = verify["tasks"][:1]

    run = make_run(change=change)
    write_report(run)
    page = read_page(run)
    for chart in page.charts:
        check_chart(chart)
    assert "()" not in page.source and "nan" not in page.section("tasks").lower().split()
    assert "None" not in page.section("tasks")
    if kind == "no interval":
        assert "−0.0012 (no interval)" in page.section("tasks")
    if kind == "identical":
        assert "identical on 2 of 2 tasks" in page.headline
        assert page.row("Values on test persons with 95 % intervals over persons", "Heart")[5] == (
            "0.0000 0.0000 to 0.0000"
        )
    if kind == "one task":
        assert "Mean over tasks" not in page.source


def test_the_checks_themselves_see_what_is_wrong() -> None:
    with pytest.raises(AssertionError):
        Page("<html><p></html>")
    page = Page('<svg viewBox="0 0 10 10"><title>a</title><desc>b</desc><line x1="nan" /></svg>')
    with pytest.raises(AssertionError):
        check_chart(page.charts[0])
