"""Which conductor polls which node."""

from __future__ import annotations

from collections import Counter

from conductor.placement import owner
from drophammer.model import new_uuid

CONDUCTORS = [f"conductor-{number}" for number in range(5)]
NODES = [new_uuid() for _ in range(5000)]


def test_everybody_comes_to_the_same_answer_whatever_the_order() -> None:
    for node in NODES[:100]:
        assert owner(node, CONDUCTORS) == owner(node, CONDUCTORS[::-1])


def test_each_gets_about_as_many() -> None:
    counts = Counter(owner(node, CONDUCTORS) for node in NODES)
    assert set(counts) == set(CONDUCTORS)
    assert max(counts.values()) < 1.2 * len(NODES) / len(CONDUCTORS)


def test_only_the_nodes_of_one_that_leaves_move_and_to_all_the_others() -> None:
    before = {node: owner(node, CONDUCTORS) for node in NODES}
    after = {node: owner(node, CONDUCTORS[1:]) for node in NODES}
    moved = [node for node in NODES if before[node] != after[node]]
    assert {before[node] for node in moved} == {CONDUCTORS[0]}
    assert {after[node] for node in moved} == set(CONDUCTORS[1:])
    assert len(moved) < 1.2 * len(NODES) / len(CONDUCTORS)


def test_a_single_conductor_has_all_and_none_has_nothing() -> None:
    assert owner(NODES[0], ["only"]) == "only"
    assert owner(NODES[0], []) is None
