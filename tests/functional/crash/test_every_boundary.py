"""kill -9 at every moment of every flow: the end is as if nothing had happened."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.functional.crash.stories import BLIND, STORIES
from tests.functional.crash.story import Play, Story
from tests.functional.crash.world import World

NAMES = [story.name for story in STORIES]
IN_RAMDISK = [
    story
    for story in STORIES
    if story.name
    in (
        "automated cleaning",
        "manual cleaning in the ramdisk",
        "deployment of a UEFI machine",
        "service in the ramdisk",
    )
]
Stage = Callable[..., Play]


def undisturbed(play: Stage, story: Story) -> tuple[dict[str, Any], list[str]]:
    """The end of the story, and the boundaries on the way there."""
    one = play(story)
    end = one.run()
    assert end["unfinished"] == []
    assert len(end["history"]) == len(end["operations"])
    return end, one.life_boundaries()


def perform(play: Stage, story: Story, boundaries: list[str], **told: Any) -> dict[str, Any]:
    """The end with deaths on the way; what goes wrong names the place."""
    number = told["deaths"][0]
    try:
        return play(story, **told).run()
    except AssertionError as error:
        raise AssertionError(f"{told} ({boundaries[number - 1 : number]}): {error}") from error


def compare(play: Stage, story: Story, deaths: Sequence[Sequence[int]], **told: Any) -> None:
    expected, boundaries = undisturbed(play, story)
    for numbers in deaths:
        if numbers[0] > len(boundaries):
            break
        found = perform(play, story, boundaries, deaths=numbers, **told)
        wrong = {
            key: (expected[key], found[key]) for key in expected if expected[key] != found[key]
        }
        assert not wrong, f"death at {numbers}, before {boundaries[numbers[0] - 1]}"


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_a_death_now_and_then_leaves_nothing_undone_and_nothing_done_twice(
    play: Stage, story: Story
) -> None:
    """A sample of what the slow tests go through: each story dies elsewhere."""
    first = 1 + NAMES.index(story.name) % 7
    compare(play, story, [(number,) for number in range(first, 100, 17)])


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_a_death_anywhere_leaves_nothing_undone_and_nothing_done_twice(
    play: Stage, story: Story
) -> None:
    compare(play, story, [(number,) for number in range(1, 200)])


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_who_takes_over_may_die_as_well(play: Stage, story: Story) -> None:
    deaths = [(number, number % 5 + 1, number % 3 + 1) for number in range(1, 200)]
    compare(play, story, deaths, successor="one")


def test_work_that_was_cut_off_hours_ago_is_not_late_but_goes_on(play: Stage) -> None:
    story = next(one for one in STORIES if one.name.startswith("adoption and rebuild"))
    deaths = [(number,) for number in range(6, 100, 10)]
    compare(play, story, deaths, successor="one", pause=7200)


@pytest.mark.parametrize("story", IN_RAMDISK, ids=[story.name for story in IN_RAMDISK])
def test_a_ramdisk_that_is_restarted_while_nobody_looks_is_never_told_the_same_again(
    play: Stage, story: Story
) -> None:
    expected, boundaries = undisturbed(play, story)
    failed = 0
    for number in around(boundaries, ".execute_"):
        told = {"deaths": (number,), "meanwhile": World.restart_machine, "may_fail": True}
        found = perform(play, story, boundaries, **told)
        assert Counter(found["effects"]) <= Counter(expected["effects"]), f"death at {number}"
        if found["node"]["provision_state"] != expected["node"]["provision_state"]:
            assert "restarted" in found["node"]["last_error"], f"death at {number}"
            failed += 1
    assert failed


def test_what_nobody_can_know_is_not_done_again_but_said(play: Stage) -> None:
    """A controller that answers no questions, and a conductor that died telling it something."""
    expected, boundaries = undisturbed(play, BLIND)
    assert expected["effects"] == ["raid:delete_configuration", "raid:create_configuration"]
    told = around(boundaries, "raid ")
    ends = []
    for number in told:
        found = perform(play, BLIND, boundaries, deaths=(number,), may_fail=True)
        assert Counter(found["effects"]) <= Counter(expected["effects"])
        assert len(found["history"]) == 1
        ends.append(found["node"]["provision_state"])
        if ends[-1] == "clean failed":
            error = found["node"]["last_error"]
            assert "Whether it was done is not known, and it is not done twice." in error
            assert re.search("was told to (delete|create) its volumes .* at N-N-NTN:N", error)
            assert found["node"]["fault"] == "clean failure"
    # Before the mark and behind the result nothing is lost; between them, nobody knows.
    assert ends == ["manageable", "clean failed", "clean failed", "manageable"] * 2


def around(boundaries: list[str], what: str) -> list[int]:
    """Deaths before the mark, between mark and command, before its result, and behind that."""
    places = [number for number, name in enumerate(boundaries, 1) if what in name]
    return sorted({place + beside for place in places for beside in (-1, 0, 1, 2)})
