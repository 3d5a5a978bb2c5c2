"""GET /openapi.json: the door's own OpenAPI 3.1 document. Bodies are told by the very structs that check and make them,
paths by the gateway's own list of routes, so neither can say otherwise than the door does. Made when it is asked for.

A route without words in operations.py is a KeyError (tests/gateway/test_openapi.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route

from argosy import __version__
from argosy.gateway.operations import (
    CONTROLLERS,
    EVENTS,
    JSON,
    OF_MODELS,
    OPERATIONS,
    PASSED_ON,
    AnthropicRefusal,
    Operation,
    Refusal,
)
from argosy.protocol import endpoints, heartbeat, peek
from argosy.protocol.surfaces import surface_of

_Object = dict[str, Any]

_LOCKS: Mapping[str, list[_Object]] = {
    "": [],
    "client": [{"client_key": []}, {"client_key_header": []}],
    "admin": [{"admin_key": []}],
    "join": [{"signature": []}],
}
_SCHEMES = {
    "client_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "Asked for once the gateway has client keys, as it does on every address but loopback.",
    },
    "client_key_header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
    "admin_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "The fleet's admin key. /metrics asks for it where client keys are set.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": heartbeat.SIGNATURE_HEADER,
        "description": "HMAC-SHA256 of the body by the fleet's join token, in hexadecimal.",
    },
}
_REFUSALS: Mapping[int | str, str] = {
    400: "What was sent makes no sense here; `param` names the field.",
    401: "No key, or another one.",
    403: "The door does not go by that name, or a page from elsewhere may not call it.",
    404: "No such model, deployment, replica or battle.",
    409: "It does not go with what is there; `code` says how.",
    413: "The body is too large.",
    429: "The line is full, or a limit of the key is reached.",
    502: "The engine failed.",
    503: "Nobody can serve this now; `code` says why.",
    504: "A time limit ran out.",
    "4XX": "The engine's own refusal.",
    "5XX": "The engine's own failure, in its own words.",
}
_REQUEST_ID = {"schema": {"type": "string"}, "description": "The request's name in the gateway's log."}


def document(routes: Iterable[BaseRoute]) -> bytes:
    """The document as JSON. `routes`: all that the gateway answers."""
    listed = dict(_listed(routes))
    shapes = [shape for each in listed.values() for shape in (each.answer, each.body) if _is_shape(shape)]
    shapes += [Refusal, AnthropicRefusal]
    schemas, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    told = dict(zip(map(repr, shapes), schemas, strict=True))
    refusals = {
        f"{envelope.__name__}{status}": _response(meaning, {JSON: {"schema": told[repr(envelope)]}})
        for envelope in (Refusal, AnthropicRefusal)
        for status, meaning in _REFUSALS.items()
    }
    for path, kind in peek.KINDS.items():
        _want(components[kind.__name__], ("model", *peek.REQUIRED[path]))
    paths: dict[str, _Object] = {}
    for place, operation in listed.items():
        method, path = place.split(" ")
        paths.setdefault(path, {})[method.lower()] = _told(place, operation, told)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Argosy",
            "version": __version__,
            "description": "Many language models behind one OpenAI-compatible door.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "responses": refusals, "securitySchemes": _SCHEMES},
    }
    # What looks into a request is the request to whoever reads this.
    return msgspec.json.encode(whole).replace(b'Peek"', b'Request"')


def _listed(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, Operation]]:
    """ "GET /path" → what it does. Raises KeyError for a route that has no words here."""
    for route in routes:
        assert isinstance(route, Route)
        if route.path == PASSED_ON:
            yield from CONTROLLERS.items()
            continue
        path = re.sub(r"\{(\w+):path\}", r"{\1}", route.path)
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            yield f"{method} {path}", OPERATIONS[f"{method} {path}"]


def _told(place: str, operation: Operation, schemas: Mapping[str, _Object]) -> _Object:
    path = place.partition(" ")[2]
    answers = {str(status): _answer(operation, schemas) for status in (operation.status, *operation.also)}
    for status in operation.refusals:
        answers[str(status)] = {"$ref": f"#/components/responses/{_envelope_of(path).__name__}{status}"}
    told: _Object = {"summary": operation.summary, "operationId": re.sub(r"\W+", "_", place).strip("_").lower()}
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas[repr(operation.body)]}}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": "May hold /."}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    for where, given in (("query", operation.query), ("header", operation.headers)):
        parameters += [
            {"name": name, "in": where, "schema": schema, "description": meaning}
            for name, (schema, meaning) in given.items()
        ]
    if parameters:
        told["parameters"] = parameters
    return {**told, "responses": answers, "security": _LOCKS[operation.lock]}


def _envelope_of(path: str) -> type[Refusal] | type[AnthropicRefusal]:
    return AnthropicRefusal if surface_of(path) is surface_of(endpoints.MESSAGES) else Refusal


def _answer(operation: Operation, schemas: Mapping[str, _Object]) -> _Object:
    if _is_shape(operation.answer):
        return _response("The answer.", {JSON: {"schema": schemas[repr(operation.answer)]}})
    content: _Object = {operation.answer: {}}
    if operation.streamed:
        content[EVENTS] = {}
    headers = {name: {"schema": {"type": "string"}, "description": told} for name, told in _headers(operation)}
    return _response("The answer.", content, headers)


def _headers(operation: Operation) -> Iterable[tuple[str, str]]:
    if operation.refusals is OF_MODELS:
        yield "server-timing", "Milliseconds in line (queue), at the engine (upstream), in the gateway."
    yield from operation.answer_headers.items()


def _response(meaning: str, content: _Object, headers: Mapping[str, _Object] | None = None) -> _Object:
    return {"description": meaning, "headers": {"x-request-id": _REQUEST_ID, **(headers or {})}, "content": content}


def _want(schema: _Object, required: tuple[str, ...]) -> None:
    """What `peek` finds missing by itself: its structs take every field for one that may be left out."""
    schema["required"] = list(required)
    for name in required:
        told = dict(schema["properties"][name])
        told.pop("default", None)
        kinds = [each for each in told.pop("anyOf", []) if each != {"type": "null"}]
        schema["properties"][name] = {**told, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}
    schema["properties"]["model"]["minLength"] = 1


def _is_shape(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)
