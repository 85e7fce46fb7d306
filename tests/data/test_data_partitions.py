"""Published partitions: followed as they are, or mended so that every person is on one side; leaks counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acula_edge.data.leaks import count_leaks, find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import PublishedSplit
from acula_edge.data.splits import assign_splits
from acula_edge.recipe import SplitConfig

CLEAN, PUBLISHED, FOLDS = SplitConfig(), SplitConfig(rule="published"), SplitConfig(rule="folds")


def recording(subject: int, take: int) -> Recording:
    return Recording(f"p{subject}_{take}", f"/p{subject}_{take}", f"d/p{subject}", "d", 4000, 1.0)


def partition(sides: dict[str, str], by_person: bool = True) -> dict[str, PublishedSplit]:
    return {"d": PublishedSplit({f"d/{k}": {"*": v} for k, v in sides.items()}, "a list", True, by_person)}


def found(recordings: list[Recording]) -> dict[str, str]:
    return {one.recording: one.split for one in recordings}


@pytest.fixture
def leaky() -> tuple[list[Recording], dict[str, str]]:
    """Twenty persons, two recordings each: p0 in test and train, p1 in val and train, p2 not in the list."""
    recordings = [recording(subject, take) for subject in range(20) for take in range(2)]
    sides = {one.recording: "train" for one in recordings}
    sides.update({f"p{n}_{t}": "test" for n in range(12, 20) for t in range(2)}, p0_0="test", p1_0="val", p3_0="val")
    del sides["p2_0"], sides["p2_1"]
    return recordings, sides


def test_the_published_rule_follows_the_list_and_counts_its_leaks(leaky) -> None:
    recordings, sides = leaky
    assigned = assign_splits(recordings, PUBLISHED, partition(sides))
    assert found(assigned) == {**sides, "p2_0": "unused", "p2_1": "unused"}
    leaks = {leak.sides: (leak.persons, leak.of_persons) for leak in count_leaks(assigned)}
    assert leaks == {("test", "train"): (1, 19), ("train", "val"): (2, 19)}
    assert "d: 1 of 19 persons are in test and train" in [str(leak) for leak in count_leaks(assigned)]


def test_the_clean_rule_keeps_the_test_set_and_puts_every_person_on_one_side(leaky) -> None:
    recordings, sides = leaky
    assigned = assign_splits(recordings, CLEAN, partition(sides))
    assert find_leaks(assigned) == [] and count_leaks(assigned) == []
    split = found(assigned)
    assert {name for name, side in split.items() if side == "test"} == {n for n, s in sides.items() if s == "test"}
    assert split["p0_1"] == "unused"  # the rest of a test person
    assert split["p2_0"] == split["p2_1"] != "test"  # not named: may be learned from
    validated = {one.subject for one in assigned if one.split == "val"}
    assert len(validated) == 1  # 2 of 22 recordings were validation: one of eleven persons


def test_a_partition_that_divides_persons_is_kept_to_the_letter() -> None:
    recordings = [recording(subject, take) for subject in range(10) for take in range(2)]
    sides = {one.recording: ("test", "val", "train")[min(int(one.recording[1]) // 2, 2)] for one in recordings}
    for config in (CLEAN, PUBLISHED):
        assert found(assign_splits(recordings, config, partition(sides))) == sides


def test_other_partitions_are_dealt_by_person_unless_they_are_to_be_followed(leaky) -> None:
    recordings, sides = leaky
    dealt = assign_splits(recordings, FOLDS)
    assert assign_splits(recordings, CLEAN, partition(sides, by_person=False)) == dealt
    assert [one.split for one in assign_splits(recordings, FOLDS, partition(sides))] == [one.split for one in dealt]
    assert assign_splits(recordings, PUBLISHED) == dealt


def test_a_recording_that_any_task_holds_out_is_held_out_of_training() -> None:
    recordings = [recording(subject, 0) for subject in range(4)]
    splits = {
        "d/p0_0": {"T8": "train", "T9": "test"},
        "d/p1_0": {"T8": "val", "T9": "train"},
        "d/p2_0": {"T8": "train"},
    }
    assigned = assign_splits(recordings, PUBLISHED, {"d": PublishedSplit(splits, "a rule", True, False)})
    assert [one.split for one in assigned] == ["test", "val", "train", "unused"]
    assert [one.split_for("T8") for one in assigned] == ["train", "val", "train", "unused"]
    assert [one.split_for("T9") for one in assigned] == ["test", "train", "unused", "unused"]


def test_leaks_are_counted_in_a_task_s_own_partition() -> None:
    one, two = recording(0, 0), recording(0, 1)
    listed = [
        replace(one, split="test", splits={"T8": "train", "T9": "test"}),
        replace(two, split="test", splits={"T8": "test", "T9": "test"}),
    ]
    assert [(leak.task, leak.sides, leak.persons) for leak in count_leaks(listed)] == [("T8", ("test", "train"), 1)]
    equal = [replace(recording(n, 0), split=side, sha256="1f") for n, side in enumerate(("train", "test"))]
    assert [(leak.persons, leak.equal_files) for leak in count_leaks(equal)] == [(0, 1)]
    unused = [replace(recording(0, n), split=side, sha256="1f") for n, side in enumerate(("unused", "test"))]
    assert count_leaks(unused) == [] and find_leaks(unused) == []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from(("train", "val", "test", None)), min_size=1, max_size=4), min_size=5))
def test_mending_never_leaks_and_never_moves_a_test_recording(persons: list[list[str | None]]) -> None:
    recordings = [recording(n, take) for n, takes in enumerate(persons) for take in range(len(takes))]
    sides = {f"p{n}_{t}": side for n, takes in enumerate(persons) for t, side in enumerate(takes) if side is not None}
    assigned = assign_splits(recordings, CLEAN, partition(sides))
    assert find_leaks(assigned) == []
    assert {one.recording for one in assigned if one.split == "test"} == {n for n, s in sides.items() if s == "test"}
