"""What other programs hand over: rates and hops of every type of number, bytes, lists, tensors, other processes."""

from __future__ import annotations

import array
import asyncio
import copy
import multiprocessing
import os
import pickle
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.audio.samples import as_array, check_hop, check_rate, to_wave
from acula_edge.bundle.writer import seal
from acula_edge.errors import ArtifactError, AudioError, InputError, MissingCapability
from acula_edge.runtime import Bundle, Packet, load_bundle
from tests.tiny_bundle import RATE_HZ, SAMPLES, make_sound

PCM = (make_sound(5.0) * 32767).astype("<i2")
RAW = PCM.tobytes()


def tasks_of(stream: Any) -> list[Any]:
    return [update.tasks for update in stream]


@pytest.mark.parametrize(
    "rate",
    [8000, 8000.0, np.float32(8000), np.int16(8000), np.array(8000), Fraction(8000), Decimal("8e3")],
    ids=lambda rate: f"{type(rate).__name__}",
)
def test_a_rate_is_taken_as_any_whole_number(bundle: Bundle, rate: Any) -> None:
    assert check_rate(rate) == 8000 and type(check_rate(rate)) is int
    sound = make_sound(3.0, 8000)
    assert bundle.score(sound, rate) == bundle.score(sound, 8000)
    np.testing.assert_array_equal(bundle.embed(sound, rate), bundle.embed(sound, 8000))
    assert tasks_of(bundle.stream([sound], rate)) == tasks_of(bundle.stream([sound], 8000))


@pytest.mark.parametrize(
    "rate", [44100.5, "8000", 8000j, True, np.bool_(True), None, np.array([8000]), float("nan"), 10**400]
)
def test_other_rates_are_refused_with_a_sentence(bundle: Bundle, rate: Any) -> None:
    for use in (bundle.score, bundle.embed, lambda sound, rate: bundle.stream([sound], rate)):
        with pytest.raises(AudioError, match="a whole number of Hz from 100 to"):
            use(PCM, rate)


@pytest.mark.parametrize("hop", [float("nan"), float("inf"), -float("inf"), 1e308, "1", 0, -1.0, True, [1.0], 1e-5])
def test_hops_that_are_none_are_refused_before_any_sound(bundle: Bundle, hop: Any) -> None:
    with pytest.raises(InputError, match="at least one sample"):
        bundle.stream(iter(()), RATE_HZ, hop_s=hop)


@pytest.mark.parametrize("hop", [0.5, np.float32(0.5), np.array(0.5), Fraction(1, 2)])
def test_hops_are_taken_as_any_number(bundle: Bundle, hop: Any) -> None:
    assert check_hop(hop, RATE_HZ) == RATE_HZ // 2
    assert tasks_of(bundle.stream([PCM], RATE_HZ, hop)) == tasks_of(bundle.stream([PCM], RATE_HZ, 0.5))


HOLDERS = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview,
           "array of bytes": lambda data: array.array("B", data)}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("size", [1, 3, 333, 4096, len(RAW)])
def test_bytes_are_16_bit_samples_wherever_they_are_cut(bundle: Bundle, holder: str, size: int) -> None:
    pieces = [HOLDERS[holder](RAW[start : start + size]) for start in range(0, len(RAW), size)]
    assert tasks_of(bundle.stream(pieces, RATE_HZ)) == tasks_of(bundle.stream([PCM], RATE_HZ))
    assert bundle.score(HOLDERS[holder](RAW), RATE_HZ) == bundle.score(PCM, RATE_HZ)


def test_half_a_sample_waits_in_a_stream_and_is_an_error_elsewhere(bundle: Bundle) -> None:
    expected = tasks_of(bundle.stream([PCM], RATE_HZ))
    assert tasks_of(bundle.stream([RAW + b"\0"], RATE_HZ)) == expected
    assert tasks_of(bundle.stream([b"", RAW[:7], b"", RAW[7:], b""], RATE_HZ)) == expected
    assert tasks_of(bundle.stream([RAW[:1000], PCM[500:]], RATE_HZ)) == expected
    with pytest.raises(AudioError, match="middle of a sample"):
        bundle.score(RAW[:-1], RATE_HZ)
    with pytest.raises(AudioError, match="middle of a sample"):
        list(bundle.stream([Packet(0, RAW[:7])], RATE_HZ))
    with pytest.raises(AudioError, match="half a sample"):
        list(bundle.stream([RAW[:7], PCM], RATE_HZ))
    with pytest.raises(AudioError, match="single sample"):
        list(bundle.stream([b"\0"], RATE_HZ))


def test_packets_of_bytes(bundle: Bundle) -> None:
    packets = [Packet(number, RAW[start : start + 500]) for number, start in enumerate(range(0, len(RAW), 500))]
    assert tasks_of(bundle.stream(packets, RATE_HZ)) == tasks_of(bundle.stream([PCM], RATE_HZ))
    assert tasks_of(bundle.stream([Packet(np.uint32(0), PCM)], RATE_HZ)) == tasks_of(bundle.stream([PCM], RATE_HZ))
    for number in ("0", None, 0.5, -1, 1 << 32):
        with pytest.raises(AudioError, match="no sequence number"):
            list(bundle.stream([Packet(number, PCM)], RATE_HZ))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "beginning",
    [
        b"RIFF\xff\xff\xff\xffWAVE",
        b"RF64\xff\xff\xff\xffWAVE",
        b"fLaC\x00\x00\x00\x22",
        b"OggS\x00\x02",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"FORM\x00\x00\x00\x00AIFF",
        b"caff\x00\x01\x00\x00",
    ],
)
def test_the_bytes_of_a_whole_file_are_no_samples(bundle: Bundle, beginning: bytes) -> None:
    data = beginning + RAW
    for hear in (
        lambda: bundle.score(data, RATE_HZ),
        lambda: list(bundle.stream([data], RATE_HZ)),
        lambda: list(bundle.stream([data[:1], data[1:3], data[3:]], RATE_HZ)),
        lambda: list(bundle.stream([Packet(0, data)], RATE_HZ)),
    ):
        with pytest.raises(AudioError, match="a whole file with a header"):
            hear()


def test_lists_of_whole_numbers_are_16_bit_and_lists_of_others_are_float(bundle: Bundle) -> None:
    expected = bundle.score(PCM, RATE_HZ)
    assert bundle.score(PCM.tolist(), RATE_HZ) == bundle.score(tuple(PCM.tolist()), RATE_HZ) == expected
    assert tasks_of(bundle.stream([PCM[:900].tolist(), [], PCM[900:].tolist()], RATE_HZ)) == tasks_of(
        bundle.stream([PCM], RATE_HZ)
    )
    sound = make_sound(3.0)
    assert bundle.score(sound.astype(float).tolist(), RATE_HZ) == bundle.score(sound, RATE_HZ)
    np.testing.assert_array_equal(to_wave([0, 0.5, -1]), np.float32([0, 0.5, -1]))
    with pytest.raises(AudioError, match="beyond 16 bits"):
        to_wave([0, 40000])
    for wrong in ([[1], [2, 3]], [None], ["1"], [True, False], [1j], [1 << 70], np.ma.masked_equal(PCM, PCM[0])):
        with pytest.raises(AudioError):
            to_wave(wrong)


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)], ids=["T, 1", "1, T"])
def test_one_channel_may_have_its_own_dimension(bundle: Bundle, shape: tuple[int, int]) -> None:
    assert bundle.score(PCM.reshape(shape), RATE_HZ) == bundle.score(PCM, RATE_HZ)
    pieces = [piece.reshape(shape) for piece in np.array_split(PCM, 7)]
    assert tasks_of(bundle.stream(pieces, RATE_HZ)) == tasks_of(bundle.stream([PCM], RATE_HZ))


@pytest.mark.parametrize(("shape", "axis"), [((1000, 2), 1), ((2, 1000), 0)])
def test_the_remedy_for_several_channels_can_be_typed(bundle: Bundle, shape: tuple[int, int], axis: int) -> None:
    pcm = np.full(shape, 1000, np.int16)
    with pytest.raises(AudioError) as caught:
        bundle.score(pcm, RATE_HZ)
    remedy = (caught.value.remedy or "").partition(": ")[2]
    assert f"axis={axis}" in remedy
    np.testing.assert_array_equal(to_wave(eval(remedy, {"pcm": pcm})), to_wave(np.full(1000, 1000, np.int16)))


def test_views_of_other_memory_are_read_and_left_alone(bundle: Bundle) -> None:
    expected = bundle.score(PCM, RATE_HZ)
    wide = np.zeros((PCM.size, 2), np.int16)
    wide[:, 0] = PCM
    frozen = PCM.copy()
    frozen.flags.writeable = False
    for pcm in (
        wide[:, 0],
        PCM[::-1][::-1],
        frozen,
        memoryview(PCM),
        PCM.astype(">i2"),
        array.array("h", PCM.tolist()),
    ):
        assert bundle.score(pcm, RATE_HZ) == expected
    assert not wide[:, 1].any()


def test_tensors(bundle: Bundle) -> None:
    import torch

    sound = make_sound(3.0)
    expected = bundle.score(sound, RATE_HZ)
    tensor = torch.from_numpy(sound)
    assert bundle.score(tensor, RATE_HZ) == bundle.score(tensor[None], torch.tensor(RATE_HZ)) == expected
    with pytest.raises(AudioError, match=r"pcm\.detach\(\)\.cpu\(\)\.numpy\(\)"):
        bundle.score(tensor.clone().requires_grad_(), RATE_HZ)


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [("int64", "astype('int16')"), ("float16", "astype('float32')"), ("uint8", "view('<i2')"), ("int8", "view('<i2')")],
)
def test_types_that_are_not_read_come_with_what_to_do(dtype: str, remedy: str) -> None:
    pcm = np.zeros(1000, dtype)
    with pytest.raises(AudioError) as caught:
        to_wave(pcm)
    assert remedy in str(caught.value)
    for expression in (part.rpartition(": ")[2] for part in str(caught.value.remedy).split(";")):
        to_wave(eval(expression, {"pcm": pcm}))


@pytest.mark.parametrize("pcm", [None, "sound.wav", {}, object(), 0.5, np.float32(0.5), iter([PCM]), Path("a.wav")])
def test_what_is_no_sound_is_named_by_its_type(bundle: Bundle, pcm: Any) -> None:
    for hear in (lambda: bundle.score(pcm, RATE_HZ), lambda: list(bundle.stream([PCM, pcm], RATE_HZ))):
        with pytest.raises(AudioError, match="no array of samples") as caught:
            hear()
        assert (type(pcm).__name__ in str(caught.value)) != ("number" in str(caught.value.given))


def test_a_stream_of_one_piece_is_told_from_one_of_numbers(bundle: Bundle) -> None:
    expected = tasks_of(bundle.stream([PCM], RATE_HZ))
    for chunks in (PCM, RAW, deque([PCM]), (piece for piece in [PCM])):
        assert tasks_of(bundle.stream(chunks, RATE_HZ)) == expected
    for chunks in (None, 3, [0.1, 0.2], "sound.wav"):
        with pytest.raises(AudioError):
            list(bundle.stream(chunks, RATE_HZ))  # type: ignore[arg-type]


def test_an_async_generator_is_refused_and_the_remedy_works(bundle: Bundle) -> None:
    import queue

    async def pieces() -> Any:
        for piece in np.array_split(PCM, 9):
            yield piece

    with pytest.raises(AudioError, match=r"queue\.Queue.*asyncio\.to_thread, over a generator"):
        bundle.stream(pieces(), RATE_HZ)  # type: ignore[arg-type]

    async def as_told() -> list[Any]:
        waiting: queue.Queue[Any] = queue.Queue()

        def arriving() -> Iterator[np.ndarray]:
            while (piece := waiting.get()) is not None:
                yield piece

        answers = asyncio.create_task(asyncio.to_thread(lambda: tasks_of(bundle.stream(arriving(), RATE_HZ))))
        async for piece in pieces():
            waiting.put(piece)
        waiting.put(None)
        return await answers

    assert asyncio.run(as_told()) == tasks_of(bundle.stream([PCM], RATE_HZ))


def test_what_a_generator_raises_comes_through_and_ends_the_stream(bundle: Bundle) -> None:
    class Unplugged(Exception):
        pass

    def microphone() -> Iterator[np.ndarray]:
        yield PCM[:SAMPLES]
        raise Unplugged

    stream = bundle.stream(microphone(), RATE_HZ)
    assert next(stream).windows == 1
    with pytest.raises(Unplugged):
        next(stream)
    assert list(stream) == []


def test_a_stream_is_for_one_thread_at_a_time_and_stays_where_it_is(bundle: Bundle) -> None:
    reached, going_on = threading.Event(), threading.Event()

    def microphone() -> Iterator[np.ndarray]:
        yield PCM[:SAMPLES]
        reached.set()
        going_on.wait(10)
        yield PCM[SAMPLES:]

    stream = bundle.stream(microphone(), RATE_HZ)
    next(stream)
    other = threading.Thread(target=next, args=(stream,))
    other.start()
    reached.wait(10)
    with pytest.raises(InputError, match="another thread"):
        next(stream)
    going_on.set()
    other.join()
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InputError, match="cannot be pickled or copied midway"):
            carry(stream)
    assert next(stream).windows == 3
    stream.close()
    assert list(stream) == []


def test_streams_of_one_bundle_run_side_by_side(bundle: Bundle) -> None:
    expected = tasks_of(bundle.stream([PCM], RATE_HZ))
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(tasks_of(bundle.stream(np.array_split(PCM, 31), RATE_HZ))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 4


# ------------------------------------------------------------------------------------------------------ other processes


def _score(bundle: Bundle, pcm: np.ndarray) -> Any:
    return bundle.score(pcm, RATE_HZ), bundle.precision, bundle.threads, os.getpid()


def test_a_bundle_goes_to_spawned_processes(bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loaded by a relative path, from another current folder than the processes have."""
    monkeypatch.chdir(bundle_dir.parent)
    bundle = load_bundle(bundle_dir.name, threads=2, precision="float", provider="cpu")
    monkeypatch.chdir(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer, precision, threads, process = pool.apply(_score, (bundle, PCM))
    assert answer == bundle.score(PCM, RATE_HZ)
    assert (precision, threads) == ("float", 2) and process != os.getpid()


def test_joblib_takes_a_bundle(bundle: Bundle) -> None:
    import joblib

    ((answer, *_),) = joblib.Parallel(n_jobs=2)([joblib.delayed(_score)(bundle, PCM)])
    assert answer == bundle.score(PCM, RATE_HZ)


def test_a_copy_in_the_same_process_is_the_bundle(bundle: Bundle) -> None:
    assert copy.deepcopy({"b": [bundle]})["b"][0] is copy.copy(bundle) is bundle


def test_a_pickled_bundle_is_checked_again_where_it_arrives(bundle_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle_dir, tmp_path / "bundle"))
    sent = pickle.dumps(load_bundle(folder))
    assert pickle.loads(sent).path == folder
    (folder / "more.json").write_text("{}")
    seal(folder)
    with pytest.raises(ArtifactError, match="has changed since it was loaded"):
        pickle.loads(sent)
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"model\.onnx was altered"):
        pickle.loads(sent)
    shutil.rmtree(folder)
    with pytest.raises(ArtifactError, match="call load_bundle in each process"):
        pickle.loads(sent)


def test_errors_cross_processes_as_they_are() -> None:
    for error in (
        AudioError("a", given=np.dtype("int8"), allowed=["b", "c"], remedy="d"),
        MissingCapability("a"),
        ArtifactError("a", given=ValueError("b")),
        InputError("a", given=threading.Lock()),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error) and again.remedy == error.remedy


# ------------------------------------------------------------------------------------------------------------- its path


def test_ways_to_name_a_bundle(bundle_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load_bundle(bundle_dir).info
    monkeypatch.setenv("HOME", str(bundle_dir.parent))
    monkeypatch.chdir(bundle_dir)
    link = tmp_path / "latest"
    link.symlink_to(bundle_dir)
    for path in (f"{bundle_dir}/", f"~/{bundle_dir.name}", Path("~") / bundle_dir.name, ".", link, f"{link}/."):
        assert load_bundle(path).info == expected
    for path in (None, 3, b"bundle", bundle_dir / "bundle.json", bundle_dir / "none", [bundle_dir]):
        with pytest.raises(ArtifactError):
            load_bundle(path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{"threads": "1"}, {"threads": 1.5}, {"threads": 0}, {"threads": True}, {"provider": None}, {"precision": 8}],
)
def test_options_of_another_type_are_refused(bundle_dir: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        load_bundle(bundle_dir, **options)


def test_arrays_are_not_copied_on_their_way_in() -> None:
    assert as_array(PCM) is PCM
