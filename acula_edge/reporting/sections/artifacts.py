"""Size and parity: what the files weigh and how close they are to each other."""

from __future__ import annotations

import msgspec

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import Input, Parity
from acula_edge.reporting.document import Block, Cell, Column, Facts, Table, Text
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.numbers import MISSING, count, fixed, listing, significant, size, times

_WHAT = {
    MODEL_FILE: "float, waveform to scores",
    MODEL_INT8_FILE: "INT8, waveform to scores",
    ENCODER_FILE: "float, spectrogram to scores",
    ENCODER_INT8_FILE: "INT8, spectrogram to scores",
    FRONTEND_FILE: "waveform to spectrogram, float",
}

_PAIRS = {
    "onnx_vs_torch": "PyTorch → ONNX float",
    "int8_vs_student": "ONNX float → INT8",
    "int8_vs_onnx": "ONNX float → INT8",
}


def size_blocks(bundle: Bundle) -> list[Block]:
    """Bytes per file, and INT8 against float."""
    sizes = bundle.facts.sizes_bytes
    if not sizes:
        return [Text("Not measured: bundle.json lists no sizes.")]
    rows = []
    others = sorted(name for name in sizes if name not in _WHAT)
    for name in [*(name for name in _WHAT if name in sizes), *(name for name in others if _is_model(name))]:
        float_name = name.replace(".int8", "")
        ratio = sizes[float_name] / sizes[name] if float_name != name and float_name in sizes and sizes[name] else None
        smaller = f"{times(ratio)} smaller" if ratio is not None else ""
        rows.append([Cell(name, _WHAT.get(name, "")), Cell(size(sizes[name])), Cell(smaller)])
    records = [name for name in others if not _is_model(name)]
    if records:
        total = size(sum(sizes[name] for name in records))
        rows.append([Cell("Test vectors and records", listing(records)), Cell(total), Cell("")])
    rows.append([Cell("Whole bundle"), Cell(size(sum(sizes.values()))), Cell("")])
    columns = [Column("File"), Column("Size", numeric=True), Column("Against its float form", numeric=True)]
    facts = bundle.facts
    items = [
        ("Parameters", "" if facts.parameters is None else count(facts.parameters)),
        ("Embedding", f"{facts.embedding_dim} values"),
        ("Input", _input(facts.input)),
    ]
    return [
        Table(
            "Files of the bundle",
            columns,
            rows,
            "1 MB is 1 000 000 bytes. On a device one model file is enough; the two halves serve streams.",
        ),
        Facts([(term, text) for term, text in items if text]),
    ]


def parity_blocks(bundle: Bundle) -> list[Block]:
    """Cosine and signal to quantization noise of the same embeddings in several forms."""
    stated = [bundle.facts.parity, *([] if bundle.verify is None else [bundle.verify.parity])]
    parity = {name: pair for item in stated for name, pair in msgspec.structs.asdict(item).items() if pair}
    rows = [
        [
            Cell(_PAIRS[name], _compared_on(name, pair)),
            Cell(_cosine(pair.cosine_mean)),
            Cell(_cosine(pair.cosine_min)),
            Cell(fixed(pair.sqnr_db, 1, "dB") if pair.sqnr_db is not None else _no_noise(pair)),
            Cell(significant(pair.max_abs_error, 2)),
        ]
        for name, pair in parity.items()
        if pair
    ]
    if not rows:
        return [Text("Not measured: no two forms of this model were compared.")]
    columns = [
        Column("Embeddings of"),
        Column("Mean cosine", numeric=True),
        Column("Lowest cosine", numeric=True),
        Column("SQNR", numeric=True),
        Column("Largest difference", numeric=True),
    ]
    note = (
        "SQNR is the signal to quantization noise ratio of the embedding: 20 dB is noise of a tenth of the amplitude."
    )
    return [Table("How close the forms of the model are", columns, rows, note)]


def _is_model(name: str) -> bool:
    return name.endswith((".onnx", ".plan"))


def _compared_on(name: str, pair: Parity) -> str:
    """How many of what; ``verify`` compares the mean embeddings of test recordings, ``export`` single windows."""
    if not pair.n:
        return ""
    if name == "int8_vs_student":
        return count(pair.n, "test recording")
    return count(pair.n, f"{pair.windows} window" if pair.windows else "window")


def _input(form: Input) -> str:
    return f"{form.name} [1, {form.samples}], {form.window_s:g} s at {form.sample_rate_hz} Hz"


def _cosine(value: float | None) -> str:
    return fixed(value, 6 if value is not None and value > 0.9999 else 4)


def _no_noise(pair: Parity) -> str:
    return "no difference" if pair.max_abs_error == 0 else MISSING
