"""Golden vectors in C: a compiler reads back every number, and the judge in the header judges as the self-test does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from acula_edge.bundle.selftest import PCM_SCALE, read_selftest
from acula_edge.cli.main import cli
from acula_edge.engines.c_header import DEFAULT_WAVES, write_c_header
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import sha256_file
from tests.tiny_bundle import BANDS, DIM, FRAMES, SAMPLES, write_tiny_bundle

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")
PRINT = """
#include <stdio.h>
#include <string.h>
#include "golden.h"
int main(void)
{
    float embedding[ACULA_GOLDEN_EMBEDDING], scores[ACULA_GOLDEN_SCORES], nothing = 0.0f;
    size_t v, i;
    printf("facts %d %d %d\\n", ACULA_GOLDEN_COUNT, ACULA_GOLDEN_SAMPLE_RATE_HZ, (int)sizeof(acula_golden_INPUT));
    printf("texts %s %s %s\\n", ACULA_GOLDEN_BUNDLE, ACULA_GOLDEN_MODEL, ACULA_GOLDEN_MODEL_SHA256);
    for (v = 0; v < ACULA_GOLDEN_COUNT; v++) {
        printf("name %s\\ninput", acula_golden_names[v]);
        for (i = 0; i < sizeof acula_golden_INPUT[v] / sizeof(TYPE); i++)
            printf(" FORMAT", ((const TYPE *)acula_golden_INPUT[v])[i]);
        printf("\\nembedding");
        for (i = 0; i < ACULA_GOLDEN_EMBEDDING; i++) printf(" %.9g", acula_golden_embeddings[v][i]);
        printf("\\nscores");
        for (i = 0; i < ACULA_GOLDEN_SCORES; i++) printf(" %.9g", acula_golden_scores[v][i]);
        memcpy(embedding, acula_golden_embeddings[v], sizeof embedding);
        memcpy(scores, acula_golden_scores[v], sizeof scores);
        printf("\\njudged %d", acula_golden_passes(v, embedding, scores));
        scores[0] += 0.019f;
        printf(" %d", acula_golden_passes(v, embedding, scores));
        scores[0] += 0.002f;
        printf(" %d", acula_golden_passes(v, embedding, scores));
        memcpy(scores, acula_golden_scores[v], sizeof scores);
        for (i = 0; i < ACULA_GOLDEN_EMBEDDING; i++) embedding[i] *= 3.0f;
        printf(" %d", acula_golden_passes(v, embedding, scores));
        for (i = 0; i < ACULA_GOLDEN_EMBEDDING; i++) embedding[i] = -embedding[i] - 1.0f;
        printf(" %d", acula_golden_passes(v, embedding, scores));
        embedding[0] = nothing / nothing;
        printf(" %d\\n", acula_golden_passes(v, embedding, scores));
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("header") / "tiny-cpu_arm")


def run_c(folder: Path, name: str, kind: str, form: str) -> list[list[str]]:
    """Compile a program around ``golden.h`` without a warning, and return its lines as words."""
    source = PRINT.replace("INPUT", name).replace("TYPE", kind).replace("FORMAT", form)
    (folder / "check.c").write_text(source)
    subprocess.run(["gcc", *FLAGS, "check.c", "-o", "check"], cwd=folder, check=True, capture_output=True)
    done = subprocess.run(["./check"], cwd=folder, check=True, capture_output=True, text=True)
    return [line.split() for line in done.stdout.splitlines()]


def values(lines: list[list[str]], word: str) -> np.ndarray:
    return np.array([[float(text) for text in line[1:]] for line in lines if line[0] == word])


def test_a_c_compiler_reads_back_every_number(bundle: Path, tmp_path: Path) -> None:
    made = write_c_header(bundle, tmp_path / "golden.h")
    lines = run_c(tmp_path, "waveforms", "int16_t", "%d")
    golden = read_selftest(bundle)
    rows = [golden.names.index(name) for name in DEFAULT_WAVES]
    assert lines[0] == ["facts", "3", "1000", str(3 * SAMPLES * 2)]
    assert lines[1] == ["texts", "tiny-cpu_x86", "model.int8.onnx", sha256_file(bundle / "model.int8.onnx")]
    assert [" ".join(line[1:]) for line in lines if line[0] == "name"] == list(DEFAULT_WAVES) == made["vectors"]
    np.testing.assert_array_equal(values(lines, "input"), golden.waves[rows] * PCM_SCALE)
    np.testing.assert_array_equal(values(lines, "embedding").astype(np.float32), golden.embeddings["int8"][rows])
    np.testing.assert_array_equal(values(lines, "scores").astype(np.float32), golden.scores["int8"][rows])
    assert made["flash_bytes"] == 3 * (SAMPLES * 2 + DIM * 4 + 5 * 4)


def test_the_judge_accepts_what_is_within_tolerance_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    write_c_header(bundle, tmp_path / "golden.h", waves=["heart", "chirp"])
    judged = values(run_c(tmp_path, "waveforms", "int16_t", "%d"), "judged")
    # As expected; 0.019 off; 0.021 off; the same direction; another direction; NaN.
    assert judged.tolist() == [[1, 1, 0, 1, 0, 0]] * 2


def test_silence_is_judged_too(bundle: Path, tmp_path: Path) -> None:
    golden = read_selftest(bundle)
    assert not golden.embeddings["int8"][golden.names.index("silence")].any(), "the case of a zero embedding"
    write_c_header(bundle, tmp_path / "golden.h", waves=["silence"])
    (judged,) = values(run_c(tmp_path, "waveforms", "int16_t", "%d"), "judged").tolist()
    assert judged[0] == 1 and judged[4:] == [0, 0]


def test_mel_frames_are_what_the_front_end_makes(bundle: Path, tmp_path: Path) -> None:
    made = write_c_header(bundle, tmp_path / "golden.h", feed="mel", precision="float", waves=["lung"])
    lines = run_c(tmp_path, "mels", "float", "%.9g")
    golden = read_selftest(bundle)
    wave = golden.waves[golden.names.index("lung")]
    mel = OrtEngine(bundle / "frontend.onnx").run({"waveform": wave[None]})["mel"]
    np.testing.assert_array_equal(values(lines, "input").astype(np.float32).reshape(mel.shape), mel)
    assert made["model"] == "encoder.onnx" and made["flash_bytes"] == 4 * (FRAMES * BANDS + DIM + 5)


def test_bad_requests_are_refused(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "golden.h"
    with pytest.raises(InputError, match="did you mean 'heart'"):
        write_c_header(bundle, target, waves=["haert"])
    for waves in ([], ["heart", "heart"]):
        with pytest.raises(InputError, match="named once each"):
            write_c_header(bundle, target, waves=waves)
    floating = write_tiny_bundle(tmp_path / "float", int8=False)
    with pytest.raises(ArtifactError, match="no int8 model"):
        write_c_header(floating, target)
    altered = Path(shutil.copytree(bundle, tmp_path / "altered"))
    (altered / "selftest.npz").write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"selftest\.npz"):
        write_c_header(altered, target)
    assert not target.exists()


def test_the_verb_says_how_much_flash_the_vectors_take(bundle: Path, tmp_path: Path) -> None:
    line = ["bundle", "c-header", str(bundle), "--out", str(tmp_path / "golden.h")]
    done = CliRunner().invoke(cli, [*line, "--wave", "heart", "--input", "mel"])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "golden.h") and "heart: 1 KiB of flash" in done.stderr
    printed: dict[str, Any] = json.loads(CliRunner().invoke(cli, [*line, "--json"]).stdout)
    assert printed["vectors"] == list(DEFAULT_WAVES)
