"""Golden vectors as a C header: what a microcontroller's port of a model is checked against, without files or Python.

The vectors are those of the bundle's self-test, with its tolerances; nothing is computed anew but, on request, the mel
frames that the bundle's own front end makes of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acula_edge import __version__
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import ENCODER_FILES, FRONTEND_FILE, MODEL_FILES
from acula_edge.bundle.schema import Bundle
from acula_edge.bundle.selftest import PCM_SCALE, SelfTest, read_selftest
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError, did_you_mean
from acula_edge.files import write_text

Input = Literal["waveform", "mel"]

DEFAULT_WAVES = ("heart", "silence", "clipped")
"""A sound, and two corners; every further one takes as much flash again."""

_FILES = {"waveform": MODEL_FILES, "mel": ENCODER_FILES}
_LINE = 118
_CHECK = """\
/* 1 when these outputs are within the tolerances for vector `index`, else 0. NaN fails. */
static int acula_golden_passes(size_t index, const float *embedding, const float *scores)
{
    const float *wanted = acula_golden_embeddings[index];
    double dot = 0.0, own = 0.0, other = 0.0;
    double least = ACULA_GOLDEN_COSINE_MIN;
    int equal = 1;
    size_t i;
    for (i = 0; i < ACULA_GOLDEN_EMBEDDING; i++) {
        dot += (double)wanted[i] * embedding[i];
        own += (double)wanted[i] * wanted[i];
        other += (double)embedding[i] * embedding[i];
        if (wanted[i] != embedding[i]) equal = 0;
    }
    /* cosine >= minimum, without a square root */
    if (!equal && !(dot > 0.0 && dot * dot >= least * least * own * other)) return 0;
    for (i = 0; i < ACULA_GOLDEN_SCORES; i++) {
        double expected = acula_golden_scores[index][i];
        double size = expected < 0.0 ? -expected : expected;
        double error = expected - scores[i];
        if (error < 0.0) error = -error;
        if (!(error <= ACULA_GOLDEN_SCORE_MAX_ABS * (size > 1.0 ? size : 1.0))) return 0;
    }
    return 1;
}
"""


def write_c_header(
    bundle: str | Path,
    target: str | Path,
    *,
    feed: Input = "waveform",
    precision: str = "int8",
    waves: Sequence[str] = DEFAULT_WAVES,
) -> dict[str, Any]:
    """Write inputs, expected embeddings and scores as ``static const`` arrays (C99), with a function that judges.

    Args:
        feed: ``waveform``, int16 samples for the whole model, or ``mel``, float frames for the encoder alone.
        precision: ``int8`` or ``float``: which model's outputs are expected.
        waves: names of golden waveforms.

    Returns:
        ``header``, ``model`` (the file it belongs to), ``vectors`` (names) and ``flash_bytes`` of all arrays.

    Raises:
        ArtifactError: the bundle is damaged, or has no such model.
        InputError: no such waveform, or one twice.
    """
    folder = Path(bundle)
    info = read_bundle(folder)
    file = _FILES.get(feed, {}).get(precision)
    if file is None or file not in info.files:
        raise ArtifactError(
            f"the bundle {folder} has no {precision} model that takes {feed}",
            allowed=sorted(name for files in _FILES.values() for name in files.values() if name in info.files),
        )
    golden = read_selftest(folder)
    rows = _rows(golden, waves)
    pcm = np.round(golden.waves[rows] * PCM_SCALE).astype(np.int16)
    inputs: NDArray[Any] = pcm if feed == "waveform" else _mel_frames(folder, golden.waves[rows])
    arrays = {
        "embeddings": golden.embeddings[precision][rows],
        "scores": golden.scores[precision][rows],
    }
    parts = [
        _comment(info, file, feed),
        "#ifndef ACULA_EDGE_GOLDEN_H\n#define ACULA_EDGE_GOLDEN_H\n\n#include <stddef.h>\n#include <stdint.h>\n",
        _constants(info, file, feed, inputs, golden, precision),
        _strings("acula_golden_names", "ACULA_GOLDEN_COUNT", [golden.names[row] for row in rows]),
        _array("int16_t", "acula_golden_waveforms", ("COUNT", "SAMPLES"), inputs)
        if feed == "waveform"
        else _array("float", "acula_golden_mels", ("COUNT", "FRAMES", "BANDS"), inputs),
        _array("float", "acula_golden_embeddings", ("COUNT", "EMBEDDING"), arrays["embeddings"]),
        _array("float", "acula_golden_scores", ("COUNT", "SCORES"), arrays["scores"]),
        _CHECK,
        "#endif\n",
    ]
    write_text(target, "\n".join(parts))
    return {
        "header": str(target),
        "model": file,
        "vectors": [golden.names[row] for row in rows],
        "flash_bytes": int(inputs.nbytes + sum(4 * array.size for array in arrays.values())),
    }


def _rows(golden: SelfTest, waves: Sequence[str]) -> list[int]:
    unknown = next((name for name in waves if name not in golden.names), None)
    if unknown is not None or not waves or len(set(waves)) != len(waves):
        raise InputError(
            "golden waveforms are named once each",
            given=unknown or ", ".join(waves) or "none",
            allowed=golden.names,
            remedy=did_you_mean(unknown, golden.names) if unknown else None,
        )
    return [golden.names.index(name) for name in waves]


def _mel_frames(folder: Path, waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape: [N, T] -> [N, F, M]."""
    frontend = OrtEngine(folder / FRONTEND_FILE)
    frames: NDArray[np.float32] = np.concatenate([frontend.run({"waveform": wave[None]})["mel"] for wave in waves])
    return frames


def _comment(info: Bundle, file: str, feed: Input) -> str:
    what = "samples divided by 32768" if feed == "waveform" else "mel frames as they are"
    columns = "; ".join(
        f"{task.start}" + (f" to {task.stop - 1}" if task.stop - task.start > 1 else "") + f" {task.id}"
        for task in info.tasks
    )
    lines = [
        f"Golden vectors of the bundle {info.name}, made by acula-edge {__version__}.",
        f"Feed {what} to {file} (or to what a vendor's tool made of it), and hand both outputs to",
        "acula_golden_passes. The waveforms come from formulas; none was recorded.",
        f"Columns of the scores, by task: {columns}.",
        info.disclaimer,
    ]
    return "/*\n" + "\n".join(f" * {line.replace('*/', '* /')}" for line in lines) + "\n */"


def _constants(info: Bundle, file: str, feed: Input, inputs: NDArray[Any], golden: SelfTest, precision: str) -> str:
    tolerances = golden.tolerances[precision]
    values: dict[str, str] = {
        "BUNDLE": _quoted(info.name),
        "MODEL": _quoted(file),
        "MODEL_SHA256": _quoted(info.files[file]),
        "COUNT": str(len(inputs)),
        "SAMPLE_RATE_HZ": str(info.input.sample_rate_hz),
    }
    if feed == "waveform":
        values["SAMPLES"] = str(inputs.shape[1])
    else:
        values |= {"FRAMES": str(inputs.shape[1]), "BANDS": str(inputs.shape[2])}
    values |= {
        "EMBEDDING": str(golden.embeddings[precision].shape[1]),
        "SCORES": str(golden.scores[precision].shape[1]),
        "COSINE_MIN": repr(float(tolerances["cosine_min"])),
        "SCORE_MAX_ABS": repr(float(tolerances["score_max_abs"])),
    }
    width = max(len(name) for name in values)
    return "\n".join(f"#define ACULA_GOLDEN_{name.ljust(width)} {value}" for name, value in values.items()) + "\n"


def _strings(name: str, count: str, values: Sequence[str]) -> str:
    return f"static const char *const {name}[{count}] = {{{', '.join(map(_quoted, values))}}};\n"


def _array(kind: str, name: str, sizes: Sequence[str], values: NDArray[Any]) -> str:
    dimensions = "".join(f"[ACULA_GOLDEN_{size}]" for size in sizes)
    return f"static const {kind} {name}{dimensions} = {{\n{_nested(values)}\n}};\n"


def _nested(values: NDArray[Any]) -> str:
    if values.ndim == 1:
        return _folded(map(_literal, values))
    return ",\n".join(f"{{\n{_nested(part)}\n}}" for part in values)


def _literal(value: Any) -> str:
    """The shortest text that a C compiler reads back as the same number."""
    if isinstance(value, np.integer):
        return str(int(value))
    text = f"{float(value):.9g}"
    return f"{text if re.search('[.e]', text) else text + '.0'}f"


def _folded(words: Iterable[str]) -> str:
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) + 2 > _LINE:
            lines.append(line + ",")
            line = word
        else:
            line = f"{line}, {word}" if line else word
    return "\n".join([*lines, line])


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
