"""Checks answers against the OpenAPI document that the API serves about itself."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from api import openapi, schemas
from api.app import Api
from api.paths import normal
from api.routes import ROUTES

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Conformance:
    """One document, its schemas compiled as they are needed."""

    def __init__(self) -> None:
        self.document = openapi.document(ROUTES)
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        error = schemas.ERRORS["Error"]["properties"]["error_message"]["contentSchema"]
        self._inner = jsonschema_rs.validator_for({"$schema": DRAFT, **error})

    def check(self, app: Api, answer: TestResponse) -> None:
        """Fail unless the answer is one that the document has for its request."""
        request = answer.request
        if request.method in ("HEAD", "OPTIONS"):
            return
        path = normal(request.path, request.headers)
        try:
            name, _ = app.url_map.bind("h").match(path, request.method)
        except HTTPException:
            self._check_shape("Error", answer)
            return
        method, _, template = str(name).partition(" ")
        told = self.document["paths"][template][method.lower()]["responses"]
        status = answer.status_code
        where = f"{method} {template}: {status} {answer.text[:500]}"
        assert str(status) in told, where
        content = self._resolved(told[str(status)]).get("content")
        if content is None:
            assert answer.data == b"", where
            assert "Content-Type" not in answer.headers, where
            return
        assert answer.mimetype in content, where
        if answer.mimetype == openapi.JSON:
            # Most refusals have one shape, whoever refuses.
            shared = "$ref" in told[str(status)]
            key = str(status) if shared else f"{method} {template} {status}"
            self._validator(key, content[answer.mimetype]["schema"]).validate(answer.json)
            self._check_inner(answer.json)

    def _check_shape(self, name: str, answer: TestResponse) -> None:
        self._validator(name, schemas.ref(name)).validate(answer.json)
        self._check_inner(answer.json)

    def _check_inner(self, body: Any) -> None:
        """The text of a refusal is JSON once more."""
        if isinstance(body, dict) and "error_message" in body:
            self._inner.validate(json.loads(body["error_message"]))

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        return self.document["components"]["responses"][part["$ref"].rpartition("/")[2]]

    def _validator(self, key: str, schema: dict[str, Any]) -> jsonschema_rs.Validator:
        if key not in self._validators:
            whole = {"$schema": DRAFT, "components": self.document["components"], **schema}
            self._validators[key] = jsonschema_rs.validator_for(whole, validate_formats=True)
        return self._validators[key]
