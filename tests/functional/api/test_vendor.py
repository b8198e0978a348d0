"""Vendor methods of nodes and drivers."""

from __future__ import annotations

import pytest

from drophammer.errors import Invalid, Unavailable

NODE = "/v1/nodes/rack-1/vendor_passthru"
DRIVER = "/v1/drivers/fake-hardware/vendor_passthru"
HTTP = ["GET", "POST", "PUT", "PATCH", "DELETE"]
METHODS = {
    "first_method": {
        "http_methods": ["POST"],
        "async": True,
        "description": "Something.",
        "attach": False,
        "require_exclusive_lock": True,
    }
}


@pytest.fixture(autouse=True)
def node(api):
    return api.node(name="rack-1")


def answer(conductor, **parts):
    told = {"async": False, "result": None, "attach": False, **parts}
    conductor.answers.update(vendor_call=told, driver_vendor_call=told)


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("form", ["{}/first_method", "{}?method=first_method"])
@pytest.mark.parametrize(
    ("base", "method"), [(NODE, "vendor_call"), (DRIVER, "driver_vendor_call")]
)
def test_a_method_is_called_by_path_or_query(api, conductor, http, form, base, method) -> None:
    answer(conductor, result={"a": [1]})
    done = api.call(http, form.format(base), {"bar": "baz"})
    assert (done.status_code, done.json) == (200, {"a": [1]})
    asked, sent = conductor.next()
    of = sent.pop("node_id", None) or sent.pop("driver")
    assert of == "fake-hardware" or isinstance(of, int)
    assert asked == method
    assert sent == {"method": "first_method", "http_method": http, "arguments": {"bar": "baz"}}


@pytest.mark.parametrize("base", [NODE, DRIVER])
def test_what_goes_on_behind_the_answer_is_202(api, conductor, base) -> None:
    answer(conductor, **{"async": True})
    done = api.post(f"{base}/first_method")
    assert (done.status_code, done.data) == (202, b"")
    assert conductor.next()[1]["arguments"] == {}


def test_a_result_may_be_a_file(api, conductor) -> None:
    answer(conductor, attach=True, result="licence text ä")
    done = api.get(f"{NODE}/licence")
    assert (done.status_code, done.data.decode()) == (200, "licence text ä")
    assert done.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("base", [NODE, DRIVER])
def test_no_result_is_null(api, conductor, base) -> None:
    answer(conductor)
    done = api.get(f"{base}/first_method")
    assert (done.status_code, done.json) == (200, None)


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("path", [NODE, f"{NODE}?method=", DRIVER])
def test_a_call_names_its_method(api, conductor, http, path) -> None:
    refused = api.call(http, path)
    assert refused.status_code == 400
    assert "method" in api.fault(refused)
    assert conductor.nothing_came()


@pytest.mark.parametrize("body", [[], "x", 7])
def test_arguments_are_an_object(api, conductor, body) -> None:
    import json

    assert api.post(f"{NODE}/first_method", json.dumps(body)).status_code == 400
    assert conductor.nothing_came()


def test_a_refusal_of_the_conductor_passes(api, conductor) -> None:
    conductor.answers["vendor_call"] = Invalid("no such method")
    assert api.post(f"{NODE}/x").status_code == 400
    conductor.answers["driver_vendor_call"] = Unavailable("no worker")
    assert api.post(f"{DRIVER}/x").status_code == 503


def test_methods_are_listed(api, conductor) -> None:
    conductor.answers.update(vendor_methods=METHODS, driver_vendor_methods=METHODS)
    assert api.get(f"{NODE}/methods").json == METHODS
    assert api.get(f"{DRIVER}/methods").json == METHODS


def test_what_is_not_there_is_404(api) -> None:
    assert api.post("/v1/nodes/nobody/vendor_passthru/x").status_code == 404
    assert api.post("/v1/drivers/nothing/vendor_passthru/x").status_code == 404
    assert api.get("/v1/drivers/nothing/vendor_passthru/methods").status_code == 404
