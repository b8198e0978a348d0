"""No parser of what strangers send raises anything but its own errors: random bytes, and
examples that are cut off or changed in places. ``make fuzz`` does it for longer, and smarter.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import parsers


@pytest.mark.parametrize("name", parsers.PARSERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_it_is_given_it_reads_or_refuses(name: str, data: st.DataObject) -> None:
    seeds = parsers.PARSERS[name].seeds
    raw = bytearray(data.draw(st.sampled_from(seeds) if seeds else st.binary(max_size=600)))
    changes = st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=8)), max_size=6)
    for at, piece in data.draw(changes):
        raw[at : at + len(piece)] = piece
    parsers.read(name, bytes(raw))


@pytest.mark.parametrize("name", parsers.PARSERS)
def test_its_examples_are_cut_off_at_every_byte(name: str) -> None:
    for seed in parsers.PARSERS[name].seeds:
        for length in range(len(seed) + 1):
            parsers.read(name, seed[:length])
