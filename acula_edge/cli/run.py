"""acula-edge run"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option, rate

if TYPE_CHECKING:
    from acula_edge.audio.decode import AudioFile
    from acula_edge.runtime import Bundle

STDIN = "-"
_PIPE = "pipe sound into it, or name a recording in place of -"
CHUNK_S = 0.25


@verb(
    "run",
    "acula-edge run runs/latest/export/base-cpu_x86 heart.wav lung.flac",
    "acula-edge run base-cpu_arm heart.wav --stream --json",
    "arecord -t raw -f S16_LE -r 4000 | acula-edge run base-cpu_arm - --stream --rate 4000 --hop 1",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO...|-")
@click.option(
    "--stream", is_flag=True, help="One answer per window, as soon as it is full, instead of one per recording."
)
@click.option(
    "--rate",
    "rate_hz",
    type=rate,
    metavar="HZ",
    help="With - and --stream: rate of the raw 16-bit little-endian mono samples; default the bundle's.",
)
@click.option(
    "--hop",
    "hop_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="With --stream: seconds between answers; default the bundle's.",
)
@click.option(
    "--packets",
    is_flag=True,
    help="With - and --stream: packets instead of bare samples, each a 32-bit sequence number, a 16-bit count of "
    "samples, and the samples, all little-endian. What is missing is filled with zeros and told.",
)
@click.option(
    "--precision", type=click.Choice(["int8", "float"]), help="Which model; default the one that the bundle recommends."
)
@click.option(
    "--provider",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="What must run it: cpu, cuda, tensorrt (an engine built on this device) or ONNX Runtime's own name; auto "
    "takes an engine that was built here, else the CPU.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="PEM",
    help="Run only a bundle that is signed by this Ed25519 key.",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of ONNX Runtime.")
@json_option
def command(
    bundle: Path,
    audio: tuple[str, ...],
    stream: bool,
    rate_hz: int | None,
    hop_s: float | None,
    packets: bool,
    precision: str | None,
    provider: str,
    public_key: Path | None,
    threads: int,
    as_json: bool,
) -> None:
    """Score recordings with a bundle; NumPy and ONNX Runtime only.

    AUDIO is WAV, FLAC, OGG or MP3; - reads such a file from standard input, or with --stream raw samples while they
    arrive, until they end or a signal comes (Ctrl-C, SIGTERM, SIGHUP). With --json, and always for such a stream, each
    answer is one line.
    A recording that cannot be read is an error (exit code 2); the others are scored all the same.
    """
    from acula_edge.cli.console import note
    from acula_edge.errors import AudioError
    from acula_edge.interruption import shielded
    from acula_edge.runtime import load_bundle

    live = stream and STDIN in audio
    if hop_s is not None and not stream:
        raise click.UsageError("--hop is for --stream")
    for option, given in (("--rate", rate_hz is not None), ("--packets", packets)):
        if given and not live:
            raise click.UsageError(f"{option} is for - with --stream: a file says itself what it holds")
    loaded = load_bundle(bundle, threads=threads, precision=precision, provider=provider, public_key=public_key)
    note(loaded.disclaimer)
    failed: list[AudioError] = []
    with _ending_well(stream):
        for name in audio:
            try:
                for answer in _answers(loaded, name, stream, rate_hz, hop_s, packets):
                    with shielded():
                        _show({"audio": name, **answer}, as_json or (live and name == STDIN))
            except AudioError as error:
                failed.append(error)
                note(f"error: {error}")
    if failed:
        raise click.exceptions.Exit(AudioError.exit_code)


@contextmanager
def _ending_well(stream: bool) -> Iterator[None]:
    """A reader that has seen enough ends this program in silence; a signal is how a stream is stopped."""
    from acula_edge.cli.console import note
    from acula_edge.interruption import exit_code

    try:
        yield
    except BrokenPipeError:
        # Python flushes standard output once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None
    except KeyboardInterrupt as stop:
        if not stream:
            raise
        note("stopped")
        raise click.exceptions.Exit(exit_code(stop)) from None


@contextmanager
def _opened(name: str) -> Iterator[AudioFile]:
    from acula_edge.audio.decode import check_audio
    from acula_edge.runtime.standard_input import copy_recording

    if name != STDIN:
        yield check_audio(name)
        return
    # libsndfile seeks, which a pipe cannot.
    with tempfile.NamedTemporaryFile(prefix="standard-input-") as file:
        copy_recording(_standard_input(), file)
        file.flush()
        yield check_audio(file.name)


def _standard_input() -> BinaryIO:
    from acula_edge.errors import AudioError

    if sys.stdin is None:
        raise AudioError("standard input is closed", remedy=_PIPE)
    if sys.stdin.isatty():
        raise AudioError("standard input is a terminal, which is no sound", remedy=_PIPE)
    try:
        os.read(sys.stdin.fileno(), 0)
    except io.UnsupportedOperation:  # no file of the system
        pass
    except OSError as error:
        raise AudioError("standard input cannot be read", given=error.strerror, remedy=_PIPE) from error
    return sys.stdin.buffer


def _answers(
    bundle: Bundle, name: str, stream: bool, rate_hz: int | None, hop_s: float | None, packets: bool
) -> Iterator[dict[str, Any]]:
    if stream and name == STDIN:
        from acula_edge.runtime.standard_input import read_packets, read_samples

        rate_hz = rate_hz or bundle.sample_rate_hz
        sound_bytes = _standard_input()
        chunks = read_packets(sound_bytes) if packets else read_samples(sound_bytes)
        yield from (update.to_dict() for update in bundle.stream(chunks, sample_rate_hz=rate_hz, hop_s=hop_s))
        return
    from acula_edge.cli.console import note

    with _opened(name) as sound:
        for warning in sound.warnings:
            note(f"warning: {name}: {warning}")
        for answer in _answers_of(bundle, sound, stream, hop_s):
            yield {**answer, "warnings": list(sound.warnings)}


def _answers_of(bundle: Bundle, sound: AudioFile, stream: bool, hop_s: float | None) -> Iterator[dict[str, Any]]:
    rate_hz = sound.sample_rate_hz
    if stream:
        from acula_edge.audio.quality import cut_pieces

        pieces = cut_pieces(sound.blocks(), max(1, round(CHUNK_S * rate_hz)))
        yield from (update.to_dict() for update in bundle.stream(pieces, sample_rate_hz=rate_hz, hop_s=hop_s))
    elif sound.wave is not None:
        yield bundle.score(sound.wave, sample_rate_hz=rate_hz)
    else:
        yield bundle.score_pieces(sound.blocks, sample_rate_hz=rate_hz)


def _show(answer: dict[str, Any], as_json: bool) -> None:
    import json

    from acula_edge.cli.console import note, print_line, print_table

    if as_json:
        print_line(json.dumps(answer, allow_nan=False))
        return
    heading = answer["audio"]
    if "end_s" in answer:
        heading += f"  {answer['start_s']:.2f}-{answer['end_s']:.2f} s"
    state = answer.get("state")
    print_table(
        ["task", "", "score", "unit", "answer", "threshold", *(["state"] if state else [])],
        [
            [
                task_id,
                task["name"],
                _fixed(task["score"]),
                task.get("unit"),
                task["label"],
                _fixed(task.get("threshold")),
                *([state[task_id]["label"]] if state else []),
            ]
            for task_id, task in answer["tasks"].items()
        ],
        title=heading,
        numeric=["score", "threshold"],
    )
    if "zero_shot" in answer:
        print_table(
            ["task", "", "score", "nearest prompts"],
            [
                [task_id, task["name"], _fixed(task["score"]), task["label"]]
                for task_id, task in answer["zero_shot"].items()
            ],
            title="zero-shot, from text prompts",
            numeric=["score"],
        )
    for reason in answer["quality"]["reasons"]:
        note(f"{answer['audio']}: not measurable: {reason}")


def _fixed(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
