"""Microversions: negotiation and the table."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from api import versions
from api.node_fields import NODE
from api.port_fields import PORT
from api.routes import ROUTES

OLD, NEW = versions.REQUEST_HEADER, versions.SERVICE_HEADER


def test_the_table_has_every_number_once() -> None:
    assert [number for number, _ in versions.CHANGES] == list(range(1, 116))


def test_no_header_means_1_1() -> None:
    assert versions.negotiate(Headers()) == 1


@pytest.mark.parametrize("asked", ["latest", "LATEST", "Latest"])
def test_latest_means_the_highest(asked: str) -> None:
    assert versions.negotiate(Headers({OLD: asked})) == 115


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({OLD: "1.31"}, 31),
        ({NEW: "baremetal 1.31"}, 31),
        ({NEW: "compute 2.1, baremetal 1.31"}, 31),
        ({NEW: "compute 2.1"}, 1),
        ({NEW: "compute 2.1", OLD: "1.9"}, 9),
        ({NEW: "baremetal 1.31", OLD: "1.9"}, 31),
    ],
)
def test_the_general_header_wins_if_it_is_about_us(headers: dict[str, str], expected: int) -> None:
    assert versions.negotiate(Headers(headers)) == expected


@pytest.mark.parametrize("asked", ["1.0", "1.116", "2.1", "0.5", "1.999999"])
def test_a_version_out_of_range_is_refused_with_the_range(asked: str) -> None:
    with pytest.raises(versions.VersionRefused) as caught:
        versions.negotiate(Headers({OLD: asked}))
    assert "1.1 to 1.115" in caught.value.description
    assert caught.value.readable


@pytest.mark.parametrize("asked", ["", "x", "1", "1.", "1.x", "-1.1", "1.1.1", "1." + "9" * 5000])
def test_what_is_no_version_is_refused(asked: str) -> None:
    with pytest.raises(versions.VersionRefused) as caught:
        versions.negotiate(Headers({OLD: asked}))
    assert not caught.value.readable


def test_no_field_or_route_is_newer_than_the_newest_version() -> None:
    fields = [*NODE.fields.values(), *PORT.fields.values()]
    since = [entry.since for entry in fields] + [route.since for route in ROUTES]
    assert max(since) <= versions.MAXIMUM
