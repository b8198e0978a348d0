"""``/v1/images``: what netboot answers goes out as it is documented."""

from __future__ import annotations

import pytest

from tests.functional.api.world import ANSWERS


def test_images_are_those_of_netboot(api, netboot) -> None:
    netboot.answers.update(ANSWERS)
    answer = api.get("/v1/images")
    assert answer.status_code == 200
    assert answer.json == ANSWERS["images"]
    assert netboot.next() == ("images", {})


def test_an_import_is_asked_for_and_looked_at(api, netboot) -> None:
    netboot.answers.update(ANSWERS)
    asked = api.post("/v1/images/import")
    assert asked.status_code == 202
    assert asked.json["asked"] == 1
    assert netboot.next() == ("import_images", {})
    assert api.get("/v1/images/import").json == ANSWERS["import_status"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/images"), ("GET", "/v1/images/import"), ("POST", "/v1/images/import")],
)
def test_without_a_netboot_that_is_said(api, method, path) -> None:
    answer = api.call(method, path)
    assert answer.status_code == 503
    assert "No netboot is running" in api.fault(answer)
