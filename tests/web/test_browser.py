"""The page in Chromium: it scores as the Python runtime does, refuses what was altered, and asks nobody else.

Needs Chromium (apt install chromium) and onnxruntime-web in the cache (make onnxruntime-web); skipped without.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import soxr
from onnx import numpy_helper

from acula_edge.audio.decode import read_audio
from acula_edge.data.phantom.heart import heart_sound
from acula_edge.files import sha256_file
from acula_edge.runtime import load_bundle
from acula_edge.web import OrtWeb, write_page
from acula_edge.web.onnxruntime_web import FILES, VERSION, cache_dir
from acula_edge.web.server import open_server
from tests.tiny_bundle import RATE_HZ
from tests.web.chromium import Browser, find_chromium, running_chromium
from tests.web.listening_bundle import NATIVE_HZ

SETTLED = "['ready', 'failed'].includes(document.documentElement.dataset.state)"
SHOWN = f"{SETTLED} && !(document.getElementById('result').hidden && document.getElementById('problem').hidden)"
FACTS = {
    "age": "Adult", "murmur": "Present", "murmur_timing": "Holosystolic", "murmur_shape": "Plateau",
    "murmur_grade": "III/VI", "murmur_pitch": "Medium", "murmur_quality": "Harsh",
}  # fmt: skip


def heart(seconds: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    samples = round(seconds * rate_hz)
    wave = 0.4 * heart_sound(draw, samples, rate_hz, FACTS) + 0.004 * draw.standard_normal(samples)
    return np.clip(wave, -0.99, 0.99).astype(np.float32)


def write_sounds(folder: Path) -> list[Path]:
    """Recordings at the bundle's rates and at others, and ones without sound."""
    four = heart(7.3, 4000)
    sounds = {
        "own.wav": (heart(7.3, RATE_HZ), RATE_HZ),
        "native.wav": (heart(5.1, NATIVE_HZ), NATIVE_HZ),
        "short.wav": (heart(1.2, RATE_HZ), RATE_HZ),
        "4000.wav": (four, 4000),
        "44100.wav": (soxr.resample(four, 4000, 44100), 44100),
        "lossless.flac": (four, 4000),
        "silence.wav": (np.zeros(3000, np.float32), RATE_HZ),
    }
    for name, (wave, rate_hz) in sounds.items():
        soundfile.write(folder / name, wave, rate_hz, subtype="PCM_16")
    (folder / "text.wav").write_text("this is no sound\n" * 9)
    return sorted(folder.iterdir())


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    with open_server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def page(bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {name: cache_dir() / name for name in FILES}
    if not all(path.is_file() and sha256_file(path) == FILES[name] for name, path in files.items()):
        pytest.skip(f"onnxruntime-web {VERSION} is not in {cache_dir()} (make onnxruntime-web)")
    folder = tmp_path_factory.mktemp("web")
    (folder / "sounds").mkdir()
    write_page(bundle_dir, folder / "page", OrtWeb(files, VERSION, True, "cache"), write_sounds(folder / "sounds"))
    return folder / "page"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here (apt install chromium)")
    folder = tmp_path_factory.mktemp("chromium")
    soundfile.write(folder / "heard.wav", heart(6, 48000, seed=4), 48000, subtype="PCM_16")
    with running_chromium(
        program, folder / "profile", f"--use-file-for-fake-audio-capture={folder / 'heard.wav'}"
    ) as b:
        yield b


@pytest.fixture(scope="module")
def address(page: Path) -> Iterator[str]:
    with served(page) as address:
        yield address


def text_of(browser: Browser, name: str) -> str:
    return str(browser.evaluate(f"document.getElementById('{name}').innerText"))


def result_of(browser: Browser) -> dict[str, Any]:
    return dict(json.loads(browser.evaluate("document.getElementById('json').textContent")))


def largest_difference(found: Any, expected: Any) -> float:
    """Of two nested values of one shape; everything but numbers must be equal."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        return max((largest_difference(found[key], expected[key]) for key in expected), default=0.0)
    if isinstance(expected, float) and not isinstance(found, bool):
        return abs(found - expected) / max(1.0, abs(expected))
    assert found == expected
    return 0.0


def score(browser: Browser, name: str) -> dict[str, Any]:
    """Press an example's button and wait for its result; empty where there is none."""
    press = "[...document.querySelectorAll('#samples button')].find((b) => b.textContent === %s).click()"
    browser.evaluate(f"document.getElementById('json').textContent = ''; {press % json.dumps(name)}")
    browser.wait(
        f"{SETTLED} && (document.getElementById('json').textContent || document.getElementById('problem').innerText)"
    )
    text = browser.evaluate("document.getElementById('json').textContent")
    return dict(json.loads(text)) if text else {}


@pytest.mark.parametrize("precision", ["int8", "float"])
def test_scores_are_those_of_the_python_runtime(
    browser: Browser, address: str, page: Path, bundle_dir: Path, precision: str
) -> None:
    browser.requests.clear()
    browser.open(f"{address}?precision={precision}", SETTLED)
    loaded = load_bundle(bundle_dir, precision=precision)
    for name in ("own.wav", "native.wav", "short.wav", "4000.wav", "44100.wav"):
        result = score(browser, name)
        sound = read_audio(page / "samples" / name)
        expected = loaded.score(sound.wave, sample_rate_hz=sound.sample_rate_hz)
        assert result["precision"] == precision and result["self_test"]["passed"]
        assert result["windows"] == expected["windows"]
        assert largest_difference(result["quality"], expected["quality"]) < 1e-5
        resampled = sound.sample_rate_hz not in loaded.sample_rates_hz
        # INT8 rounds a value that resampling moved by a hair to its other neighbor.
        tolerance = 1e-5 if not resampled else 1e-3 if precision == "float" else 0.02
        assert largest_difference(result["tasks"], expected["tasks"]) < tolerance, name
        assert largest_difference(result["zero_shot"], expected["zero_shot"]) < tolerance, name
    assert browser.console == []
    assert browser.requests and all(request.startswith((address, "data:,")) for request in browser.requests)


def test_a_lossless_file_scores_as_its_wav_and_silence_gets_no_score(browser: Browser, address: str) -> None:
    browser.open(address, SETTLED)
    expected, found = score(browser, "4000.wav"), score(browser, "lossless.flac")
    assert largest_difference(found["tasks"], expected["tasks"]) < 1e-6 and found["sample_rate_hz"] == 4000
    silent = score(browser, "silence.wav")
    assert "silent: digital silence" in text_of(browser, "gate")
    answers = text_of(browser, "tasks")
    assert answers.count("not measurable: silent: digital silence") == 3 and "score" not in answers
    assert all(task["label"] is None for task in silent["tasks"].values())
    assert score(browser, "text.wav") == {}
    assert "text.wav cannot be decoded" in text_of(browser, "problem")


@pytest.mark.parametrize("name", ["bundle/encoder.int8.onnx", "bundle/bundle.json", "ort/ort.wasm.min.mjs"])
def test_one_altered_byte_is_refused_by_name(browser: Browser, page: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(page, tmp_path / "page")
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with served(copy) as other:
        browser.open(f"{other}?sample=own.wav", SHOWN)
    assert browser.evaluate("document.documentElement.dataset.state") == "failed"
    assert f"{name} was altered" in text_of(browser, "problem")
    assert browser.evaluate("document.getElementById('result').hidden")


def test_a_browser_that_computes_something_else_scores_nothing(browser: Browser, page: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(page, tmp_path / "page")
    path = copy / "bundle" / "encoder.int8.onnx"
    model = onnx.load(str(path))
    (node,) = [node for node in model.graph.node if list(node.output) == ["head_weight"]]
    value = numpy_helper.to_array(node.attribute[0].t) * np.float32(1.5)
    node.attribute[0].t.CopyFrom(numpy_helper.from_array(value, "head_weight"))
    onnx.save(model, str(path))
    for listing, prefix in (("bundle/bundle.json", ""), ("site.json", "bundle/")):
        entries = json.loads((copy / listing).read_text())
        entries["files"][f"{prefix}encoder.int8.onnx"] = sha256_file(path)
        if listing == "site.json":
            entries["files"]["bundle/bundle.json"] = sha256_file(copy / "bundle" / "bundle.json")
        (copy / listing).write_text(json.dumps(entries))
    with served(copy) as other:
        browser.open(f"{other}?sample=own.wav", SHOWN)
        assert "self-test failed" in text_of(browser, "verdict") and "heart" in text_of(browser, "verdict")
        assert browser.evaluate("document.getElementById('result').hidden")


def test_the_microphone_is_scored_hop_by_hop_and_then_as_a_whole(browser: Browser, address: str) -> None:
    browser.open(address, SETTLED)
    browser.evaluate("document.getElementById('microphone').click()")
    browser.wait("document.getElementById('tasks').innerText.includes('score')")
    assert browser.evaluate("document.documentElement.dataset.state") == "live"
    assert "real-time factor" in text_of(browser, "live-text")
    browser.evaluate("document.getElementById('stop').click()")
    browser.wait(SETTLED)
    result = result_of(browser)
    assert result["tasks"].keys() == {"M", "K", "R"} and result["quality"]["duration_s"] >= 2
    assert browser.console == []


def test_the_policy_forbids_every_other_address(browser: Browser, address: str) -> None:
    browser.open(address, SETTLED)
    blocked = browser.evaluate(
        "new Promise((resolve) => { document.addEventListener('securitypolicyviolation', (e) => "
        "resolve(e.effectiveDirective)); fetch('http://127.0.0.1:1/').catch(() => null); })"
    )
    assert blocked == "connect-src"
    browser.console.clear()


def test_everything_that_can_be_pressed_has_a_name(browser: Browser, address: str) -> None:
    browser.open(f"{address}?sample=own.wav", SHOWN)
    nameless = browser.evaluate(
        "[...document.querySelectorAll('button, select, input, canvas[role=img], [role=meter]')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.innerText?.trim() || e.closest('label')?.innerText.trim()))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []
    assert "Not a medical device" in text_of(browser, "disclaimer")


def test_opened_as_a_file_the_page_says_how_to_serve_it(browser: Browser, page: Path) -> None:
    shown = "document.readyState === 'complete' && document.getElementById('not-started').innerText"
    browser.open((page / "index.html").as_uri(), shown)
    assert "python3 -m http.server" in text_of(browser, "not-started")
    browser.console.clear()


@pytest.mark.real_data
def test_real_recordings_score_as_in_python(
    browser: Browser, bundle_dir: Path, page: Path, shared_dir: Path, tmp_path: Path
) -> None:
    hearts = sorted((shared_dir / "data" / "circor-digiscope" / "audio").iterdir())[::300][:3]
    lungs = sorted((shared_dir / "data" / "kauh-lung-10s" / "audio").iterdir())[:2]
    runtime = OrtWeb({name: page / "ort" / name for name in FILES}, VERSION, True, "page")
    write_page(bundle_dir, tmp_path / "page", runtime, [*hearts, *lungs])
    loaded = load_bundle(bundle_dir, precision="float")
    with served(tmp_path / "page") as address:
        browser.open(f"{address}?precision=float", SETTLED)
        for path in [*hearts, *lungs]:
            result = score(browser, path.name)
            sound = read_audio(path)
            expected = loaded.score(sound.wave, sample_rate_hz=sound.sample_rate_hz)
            assert result["sample_rate_hz"] == sound.sample_rate_hz
            assert largest_difference(result["tasks"], expected["tasks"]) < 1e-3, path.name
            assert largest_difference(result["quality"], expected["quality"]) < 1e-4, path.name
