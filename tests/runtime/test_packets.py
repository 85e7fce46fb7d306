"""Packets that are lost, late, repeated or restarted: the time axis holds, and what is missing is told."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
import pytest

from acula_edge.errors import AudioError
from acula_edge.runtime import Bundle, Packet
from acula_edge.runtime.packets import SEQUENCE_MODULUS, Arrivals
from acula_edge.runtime.standard_input import pack, read_packets, read_samples
from tests.tiny_bundle import HOP, RATE_HZ, SAMPLES, make_sound

LENGTH = 100
PCM = np.round(make_sound(9.0) * 32767).astype(np.int16)


def packets(first: int = 0) -> list[Packet]:
    count = len(PCM) // LENGTH
    return [Packet((first + i) % SEQUENCE_MODULUS, PCM[i * LENGTH : (i + 1) * LENGTH]) for i in range(count)]


def heard(items: Iterable[Packet]) -> tuple[np.ndarray, Arrivals]:
    arrivals = Arrivals(items, RATE_HZ, restart_gap_s=2.0)
    return np.concatenate([np.zeros(0, np.int16), *arrivals]), arrivals


@pytest.mark.parametrize("first", [0, 7, SEQUENCE_MODULUS - 20])
def test_packets_in_order_are_the_sound_itself(first: int) -> None:
    pcm, arrivals = heard(packets(first))
    np.testing.assert_array_equal(pcm, PCM)
    assert arrivals.counts is not None
    assert arrivals.counts.to_dict() == {"received": 90, "lost": 0, "late": 0, "duplicate": 0, "restarts": 0}
    assert arrivals.lost_s(0.0, 9.0) == 0


@pytest.mark.parametrize("first", [0, SEQUENCE_MODULUS - 12])
def test_a_gap_is_filled_with_zeros_and_remembered(first: int) -> None:
    sent = packets(first)
    pcm, arrivals = heard(sent[:10] + sent[13:])
    expected = PCM.copy()
    expected[1000:1300] = 0
    np.testing.assert_array_equal(pcm, expected)
    assert arrivals.counts is not None and arrivals.counts.lost == 3
    assert arrivals.lost_s(0.0, 2.0) == pytest.approx(0.3)
    assert arrivals.lost_s(1.1, 1.2) == pytest.approx(0.1)
    assert arrivals.lost_s(1.3, 9.0) == 0


def test_late_and_repeated_packets_are_dropped_and_counted_apart() -> None:
    sent = packets()
    sent[20], sent[21] = sent[21], sent[20]
    sent.insert(40, sent[39])
    pcm, arrivals = heard(sent)
    assert len(pcm) == len(PCM)
    assert not pcm[2000:2100].any()
    assert arrivals.counts is not None
    assert arrivals.counts.to_dict() == {"received": 89, "lost": 1, "late": 1, "duplicate": 1, "restarts": 0}


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
def test_a_sender_that_starts_anew_leaves_a_gap_of_one_window(jump: int) -> None:
    sent = packets(2 * 10**6)
    again = [Packet(packet.sequence + jump, packet.pcm) for packet in sent[50:]]
    pcm, arrivals = heard(sent[:50] + again)
    assert len(pcm) == len(PCM) + 2 * RATE_HZ
    np.testing.assert_array_equal(pcm[7000:], PCM[5000:])
    assert arrivals.counts is not None and arrivals.counts.restarts == 1
    assert arrivals.lost_s(5.0, 7.0) == pytest.approx(2.0)


def test_arrays_and_packets_do_not_mix() -> None:
    with pytest.raises(AudioError, match="either"):
        heard([packets()[0], PCM[:10]])  # type: ignore[list-item]
    with pytest.raises(AudioError, match="sequence"):
        heard([Packet(-1, PCM[:10])])


def test_windows_with_a_gap_say_so_and_those_without_are_as_if_nothing_had_happened(bundle: Bundle) -> None:
    sent = packets()
    whole = {update.start_s: update for update in bundle.stream(sent, RATE_HZ)}
    broken = list(bundle.stream(sent[:40] + sent[44:], RATE_HZ))
    assert [update.start_s for update in broken] == list(whole)
    assert all(update.packets is not None for update in broken)
    for update in broken:
        overlap_s = max(0.0, min(update.end_s, 4.4) - max(update.start_s, 4.0))
        assert update.lost_s == pytest.approx(overlap_s)
        assert update.quality["lost"] == pytest.approx(overlap_s / (update.end_s - update.start_s))
        if overlap_s == 0:
            assert update.tasks == whole[update.start_s].tasks
        if overlap_s / 2 > 0.1:
            assert update.quality["reasons"] == [f"packets lost: {100 * overlap_s / 2:.3g} %, at most 10 %"]
            assert update.tasks["M"]["label"] is None
    assert sum(update.lost_s > 0 for update in broken) == 3


def test_a_short_gap_leaves_a_window_measurable(bundle: Bundle) -> None:
    sent = packets()
    update = next(iter(bundle.stream(sent[:5] + sent[6:], RATE_HZ)))
    assert update.lost_s == pytest.approx(0.1) and update.quality["measurable"]
    assert update.quality["duration_s"] == pytest.approx(1.9), "figures are of what was received"


def test_a_window_of_which_nothing_came_is_told_as_lost(bundle: Bundle) -> None:
    sent = packets()
    updates = list(bundle.stream([sent[0], *sent[30:]], RATE_HZ, hop_s=0.1))
    (update,) = [update for update in updates if update.start_s == 0.5]
    assert update.quality["reasons"] == ["packets lost: 100 %, at most 10 %"]


def test_gaps_keep_their_place_when_sound_is_resampled(bundle: Bundle) -> None:
    rate_hz = 4 * RATE_HZ
    pcm = np.round(make_sound(6.0, rate_hz=rate_hz) * 32767).astype(np.int16)
    sent = [Packet(i, pcm[i * 400 : (i + 1) * 400]) for i in range(60)]
    updates = list(bundle.stream(sent[:30] + sent[33:], rate_hz))
    assert all(
        update.lost_s == pytest.approx(max(0.0, min(update.end_s, 3.3) - max(update.start_s, 3.0)), abs=1e-9)
        for update in updates
    )


def test_packets_survive_the_pipe() -> None:
    sent = packets(SEQUENCE_MODULUS - 3)
    data = b"".join(map(pack, sent)) + pack(Packet(1, PCM[:9]))[:-1]
    read = list(read_packets(io.BytesIO(data)))
    assert [packet.sequence for packet in read] == [packet.sequence for packet in sent]
    np.testing.assert_array_equal(np.concatenate([packet.pcm for packet in read]), PCM)


class _Dribble(io.BytesIO):
    """Gives three bytes at a time, as a slow writer would."""

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(3)


def test_samples_come_whole_however_they_arrive() -> None:
    pieces = list(read_samples(_Dribble(PCM.tobytes() + b"\0")))
    np.testing.assert_array_equal(np.concatenate(pieces), PCM)


def test_the_hop_can_be_chosen(bundle: Bundle) -> None:
    starts = [update.start_s for update in bundle.stream([PCM], RATE_HZ, hop_s=0.25)]
    assert starts[:3] == [0.0, 0.25, 0.5] and len(starts) == 1 + (len(PCM) - SAMPLES) // 250
    assert next(iter(bundle.stream([PCM], RATE_HZ))).end_s == SAMPLES / RATE_HZ
    sparse = [update.start_s for update in bundle.stream([PCM], RATE_HZ, hop_s=3.0)]
    assert sparse[:3] == [0.0, 3.0, 6.0]
    assert HOP / RATE_HZ not in sparse
