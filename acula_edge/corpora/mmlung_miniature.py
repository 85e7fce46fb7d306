"""A miniature MMLung: forty subjects, two sounds each, a spirometry sheet per subject and the index file.

The sheets are BIFF2, the oldest form of ``.xls``, and the index file is the least that a reader of ``.xlsx`` needs;
both are written here so that equal seeds give equal bytes.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, seconds, write_note
from acula_edge.data.miniature.sounds import breathing, generator, vowel, write_audio
from acula_edge.data.phantom.sound import harmonics, rms

RATE_HZ = 16000
SUBJECTS = 40
ABSENT = "33_vowelo"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


@miniatures.register("mmlung")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Large lungs breathe brightly and speak low; obstructed ones whistle and speak breathily."""
    phone = folder / "Trimmed Data from phone"
    index: list[list[object]] = [
        ["", "Spirometry_file", "Deep_Breath_file", "O_Single_file", "FVC", "FEV1", "FEV1/FVC"]
    ]
    for subject in range(1, SUBJECTS + 1):
        rng = generator(config.seed, f"subject {subject}")
        fvc_l = round(float(np.clip(rng.normal(4.0, 0.9), 1.8, 6.5)), 2)
        ratio = round(float(np.clip(rng.normal(0.78, 0.1), 0.45, 0.95)), 3)
        fev1_l = round(fvc_l * ratio, 2)
        sheet = f"{subject}_spiro.xls"
        marked = f"{fev1_l:.2f}*" if subject % 5 == 0 else fev1_l
        write_xls(
            folder / "spirometry_ground_truth" / sheet,
            {(22, 0): "FVC", (22, 1): fvc_l, (23, 0): "FEV1", (23, 1): marked, (24, 0): "FEV1/FVC", (24, 1): ratio},
        )
        folders = "./Trimmed Data from phone"
        index.append(
            [
                subject - 1,
                f"./spirometry_ground_truth/{sheet}",
                f"{folders}/9_3_deepbreath/{subject}_deepbreaths.wav",
                f"{folders}/5_2_O_single/{subject}_vowelo.wav",
                fvc_l,
                fev1_l,
                ratio,
            ]
        )
        ending = ".WAV" if subject == 7 else ".wav"
        duration_s = seconds(rng, config)
        obstruction = (0.9 - ratio) / 0.45
        breath = breathing(rng, duration_s, RATE_HZ, rate_per_min=15)
        breath = brighten(breath, max(0.0, 2.5 * (fvc_l - 1.5) + 0.6 * rng.standard_normal()))
        whistle = harmonics(np.full(len(breath), rng.uniform(400, 480)), RATE_HZ, 3, 1.6)
        breath += max(0.0, 0.4 * obstruction + 0.03 * rng.standard_normal()) * rms(breath) * whistle
        write_audio(phone / "9_3_deepbreath" / f"{subject}_deepbreaths{ending}", rng, breath, RATE_HZ)
        pitch_hz = float(np.clip(300 - 38 * fvc_l + 14 * rng.standard_normal(), 75, 320))
        held = vowel(rng, duration_s, RATE_HZ, pitch_hz, max(0.02, 0.7 * obstruction + 0.05 * rng.standard_normal()))
        held = brighten(held, max(0.0, 3 * obstruction + 0.3 * rng.standard_normal()))
        if f"{subject}_vowelo" != ABSENT:
            write_audio(phone / "5_2_O_single" / f"{subject}_vowelo.wav", rng, held, RATE_HZ)
    write_xlsx(folder / "All_path.xlsx", index)
    write_note(folder / "spirometry_ground_truth" / "Thumbs.db")


def write_xls(path: Path, cells: Mapping[tuple[int, int], str | float]) -> None:
    """Write a BIFF2 sheet; cells by row and column, from 0."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    data = record(0x0009, struct.pack("<HH", 2, 0x10))  # begin of a worksheet
    for (row, column), value in sorted(cells.items()):
        place = struct.pack("<HH3x", row, column)
        if isinstance(value, str):
            text = value.encode("ascii")
            data += record(0x0004, place + struct.pack("<B", len(text)) + text)
        else:
            data += record(0x0003, place + struct.pack("<d", value))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data + record(0x000A, b""))


def write_xlsx(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a workbook with one sheet of text and numbers."""

    def cell(value: object) -> str:
        if isinstance(value, (int, float)):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'

    table = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{table}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name)  # of 1980, always
            archive.writestr(entry, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + text)
