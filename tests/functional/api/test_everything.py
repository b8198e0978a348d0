"""Every noun, read and written by what the routes say, with answers as they are documented.

The fixture ``api`` compares each answer with the OpenAPI document; here it is seen
that every route gives an answer worth comparing.
"""

from __future__ import annotations

import pytest

from api.routes import ROUTES
from api.schemas import name_of
from tests.functional.api.world import ANSWERS, bodies

READS = [route for route in ROUTES if route.method == "GET"]
# Their answers depend on more than the path; they have tests of their own.
ELSEWHERE = frozenset({"/v1/lookup", "/v1/nodes/validate"})


@pytest.fixture
def database(full_database):
    return full_database[0]


@pytest.fixture
def world(full_database, conductor, netboot):
    conductor.answers.update(ANSWERS)
    netboot.answers.update(ANSWERS)
    return full_database[1]


def named(route):
    return f"{route.method} {route.path}"


# The query arguments without which some routes lead nowhere.
NEEDED = {"method": "first_method_sync", "target": "provide"}


def queried(route):
    taken = route.handler.query or {}
    return {name: value for name, value in NEEDED.items() if name in taken}


@pytest.mark.parametrize(
    "route", [route for route in READS if route.path not in ELSEWHERE], ids=named
)
def test_every_read_answers_at_every_version_that_it_has(api, world, route) -> None:
    for version in sorted({route.since, max(route.since, 43), 80, 115}):
        if version >= route.since:
            answer = api.at(f"1.{version}").get(
                world.filled(route.path), query_string=queried(route)
            )
            assert answer.status_code in route.handler.statuses, answer.text
    if route.since > 1:
        answer = api.at(f"1.{route.since - 1}").get(world.filled(route.path))
        assert answer.status_code == route.below


@pytest.mark.parametrize("route", [r for r in READS if r.handler.shows is not None], ids=named)
def test_what_is_shown_is_all_that_is_documented(api, world, conformance, route) -> None:
    shown = api.get(world.filled(route.path)).json
    schema = conformance.document["components"]["schemas"][name_of(route.handler.shows)]
    assert set(shown) == set(schema["properties"])


@pytest.mark.parametrize("route", [r for r in READS if r.handler.lists is not None], ids=named)
def test_lists_show_every_field_when_asked_to(api, world, route) -> None:
    table, query = route.handler.lists, route.handler.query or {}
    if "fields" not in query:
        return
    for name in table.fields:
        answer = api.get(world.filled(route.path), query_string={"fields": name})
        assert answer.status_code == 200, (name, answer.text)


def test_every_noun_that_can_be_created_is_in_this_world(world) -> None:
    created = {route.path for route in ROUTES if route.handler.creates is not None}
    assert created <= set(bodies(""))


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "PATCH"], ids=named)
def test_every_patch_refuses_what_is_no_patch(api, world, route) -> None:
    path = world.filled(route.path)
    if route.handler.patches is None:
        assert api.patch(path, {}, query_string=queried(route)).status_code == 200
        return
    assert api.patch(path, []).status_code in (200, 409)
    for wrong in ({}, [1], [{"op": "move"}], [{"op": "remove", "path": "/uuid"}], "x"):
        assert api.patch(path, wrong).status_code == 400


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "DELETE"], ids=named)
def test_every_delete_ends_as_documented(api, world, route) -> None:
    answer = api.delete(world.filled(route.path), query_string=queried(route))
    assert answer.status_code in {*route.handler.statuses, 400, 409}, answer.text
