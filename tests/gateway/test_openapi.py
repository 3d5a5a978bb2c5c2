"""The door's own OpenAPI document: every route is in it, and bodies are told as they are checked."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest
import schemathesis
from door import Door
from jsonschema_rs import Draft202012Validator
from starlette.applications import Starlette
from starlette.routing import Route

from argosy.config.environment import Environment
from argosy.errors import BadRequestError
from argosy.fleet.api import Pull, controller_app
from argosy.fleet.controller import Controller
from argosy.gateway.operations import CONTROLLERS
from argosy.protocol.endpoints import CHAT, EMBEDDINGS, MESSAGES, TOKENIZE
from argosy.protocol.peek import KINDS, peek


async def document() -> dict[str, Any]:
    async with Door() as door:
        answer = await door.request("GET", "/openapi.json")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        return cast(dict[str, Any], json.loads(answer.body))


def places(routes: Any) -> set[str]:
    """ "GET /path/{name}" of every route, the catch-all of the controller's left out."""
    found = set()
    for route in routes:
        assert isinstance(route, Route)
        if "{rest:path}" not in route.path:
            path = re.sub(r":path\}", "}", route.path)
            found |= {f"{method} {path}" for method in route.methods or () if method != "HEAD"}
    return found


async def test_it_is_an_openapi_document_of_every_route() -> None:
    told = await document()
    schemathesis.openapi.from_dict(told).validate()
    assert told["openapi"] == "3.1.0"
    async with Door() as door:
        routes = places(door.gateway.routes)
    assert len(routes) > 20
    listed = {f"{method.upper()} {path}" for path, methods in told["paths"].items() for method in methods}
    assert listed == routes | set(CONTROLLERS)


def test_what_is_passed_on_is_what_the_controller_has() -> None:
    app = controller_app(
        cast(Controller, None),
        name="",
        admin_key="",
        environment=Environment.read({}),
        pull=cast(Pull, None),
        machines=list,
    )
    assert isinstance(app, Starlette)
    own = {"GET /argosy/v1/fleet", "PUT /argosy/v1/fleet"}  # in the gateway's own list
    assert places(app.routes) == set(CONTROLLERS) | own


async def test_every_reference_leads_somewhere_and_every_operation_says_its_lock() -> None:
    told = await document()
    for where in re.findall(r'"#/([^"]+)"', json.dumps(told)):
        found: Any = told
        for step in where.split("/"):
            found = found[step]
    for path, methods in told["paths"].items():
        for each in methods.values():
            assert bool(each["security"]) is (path not in ("/", "/assets/{name}", "/health", "/ready")), path


@pytest.mark.parametrize(
    ("path", "body", "good"),
    [
        (CHAT, {"model": "m", "messages": [{"role": "user"}]}, True),
        (CHAT, {"model": "m", "messages": [{"role": "user"}], "temperature": None, "unknown": [1]}, True),
        (CHAT, {"messages": [{"role": "user"}]}, False),
        (CHAT, {"model": "", "messages": [{"role": "user"}]}, False),
        (CHAT, {"model": "m", "messages": None}, False),
        (CHAT, {"model": "m", "messages": []}, False),
        (CHAT, {"model": "m", "messages": [{"role": "nobody"}]}, False),
        (CHAT, {"model": "m", "messages": [{"role": "user"}], "temperature": 3}, False),
        (CHAT, {"model": "m", "messages": [{"role": "user"}], "max_tokens": 0}, False),
        (CHAT, {"model": "m", "messages": [{"role": "user"}], "tools": [{"type": "function"}]}, False),
        (EMBEDDINGS, {"model": "m", "input": ["a", "b"]}, True),
        (EMBEDDINGS, {"model": "m", "input": [[]]}, False),
        (MESSAGES, {"model": "m", "messages": [{"role": "tool"}]}, False),
        (TOKENIZE, {"model": "m"}, True),
        (TOKENIZE, {}, False),
    ],
)
async def test_it_takes_the_bodies_that_the_door_takes(path: str, body: Any, good: bool) -> None:
    told = await document()
    validator = Draft202012Validator({**told, "$ref": f"#/components/schemas/{KINDS[path].__name__[:-4]}Request"})
    try:
        peek(path, json.dumps(body).encode())
        taken = True
    except BadRequestError:
        taken = False
    assert (validator.is_valid(body), taken) == (good, good)
