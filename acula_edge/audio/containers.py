"""The first bytes of sound in containers, told so strictly that bare samples do not pass for one by chance."""

from __future__ import annotations

import re

BEGINNING_BYTES = 16
"""As many tell every container but MP3 without tags."""

MPEG_BYTES = 3 * 1441 + 4
"""As many hold three frames of MP3 and the head of a fourth."""

_BEGINNINGS = (
    ("WAV", rb"(RIFF|RIFX).{4}WAVE"),
    ("WAV (64 bits)", rb"(RF64|BW64).{4}WAVE"),
    ("W64", rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
    ("AVI", rb"RIFF.{4}AVI "),
    ("FLAC", rb"fLaC[\x00\x80]\x00\x00\x22"),
    ("Ogg", rb"OggS\x00[\x00-\x07]"),
    ("MP3 with tags", rb"ID3[\x02-\x04].[\x00-\xf0][\x00-\x7f]{4}"),
    ("AIFF", rb"FORM.{4}AIF[FC]"),
    ("AU", rb"\.snd\x00\x00.{6}\x00\x00\x00[\x01-\x1b]"),
    ("CAF", rb"caff\x00\x01\x00\x00"),
    ("NIST SPHERE", rb"NIST_1A\n"),
    ("MP4", rb"\x00\x00.{2}ftyp"),
    ("WebM or Matroska", rb"\x1a\x45\xdf\xa3([\x80-\xff]|\x01.{7})\x42[\x82\x85-\x87\xf2\xf3\xf7]"),
    ("WMA", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("AMR", rb"#!AMR(-WB)?\n"),
    ("WavPack", rb"wvpk.{4}.\x04"),
    ("VOC", rb"Creative Voice F"),
    ("NumPy", rb"\x93NUMPY[\x01-\x03]\x00"),
    ("MATLAB", rb"MATLAB 5\.0 MAT"),
    ("gzip", rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]"),
    ("ZIP", rb"PK\x03\x04.\x00"),
    ("numbers as text", rb"[+-]?\d[\d\s,;.eE+-]{14}"),
    ("a web page or JSON", rb"(?i)\s*(<!doctype |<html|<\?xml |[\[{]\s*\"[ -~\s]{9})"),
)  # fmt: skip
_MATCHERS = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _BEGINNINGS]

# kbit/s by the index in the header: MPEG 1 layer III, MPEG 2 and 2.5 layer III.
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_FRAMES = 4


def container_of(data: bytes) -> str | None:
    """Which container these first bytes are of; None where they may be bare samples.

    Args:
        data: the first :data:`BEGINNING_BYTES` of a stream, or :data:`MPEG_BYTES` where :func:`may_be_mpeg`.
    """
    for name, pattern in _MATCHERS:
        if pattern.match(data):
            return name
    return "MP3" if _is_mpeg(data) else None


def may_be_mpeg(data: bytes) -> bool:
    """Whether an MP3 frame can begin so. One loud sample in a thousand does; so the frames behind it must agree."""
    return _frame_bytes(data[:4]) > 0


def _is_mpeg(data: bytes) -> bool:
    at = 0
    for _ in range(_FRAMES):
        length = _frame_bytes(data[at : at + 4])
        # All frames of a stream are of one version, layer and rate.
        if not length or (data[at + 1], data[at + 2] & 0x0C) != (data[1], data[2] & 0x0C):
            return False
        at += length
    return True


def _frame_bytes(head: bytes) -> int:
    """Length of the MP3 frame with this header; 0 where it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, kbps, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version not in _RATES_HZ or rate == 3 or head[3] & 3 == 2:
        return 0
    bitrate = (_KBPS_1 if version == 3 else _KBPS_2)[kbps] * 1000
    return bitrate * (144 if version == 3 else 72) // _RATES_HZ[version][rate] + (head[2] >> 1 & 1) if bitrate else 0
