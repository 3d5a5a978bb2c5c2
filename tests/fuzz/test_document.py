"""Schemathesis on /openapi.json: what it lets, and what it does not, sent to every route of a door that wants keys.

A route's answers must be as the document tells them: status, type, body; and a body that it does not let be refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from case import Case, keep, text
from fuzzing import fuzz
from hypothesis import strategies as st
from live import ADMIN_KEY, CLIENT_KEY, JOIN_TOKEN, LiveDoor
from requests import Session
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from argosy.protocol.heartbeat import SIGNATURE_HEADER, sign

SECONDS = 5.0
# A filled table of the fleet, or a heartbeat, would be believed: this door has no other deployments to lose.
_KEYS = {"client": {"authorization": f"Bearer {CLIENT_KEY}"}, "admin": {"authorization": f"Bearer {ADMIN_KEY}"}}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as opened:
        yield opened


def test_document(locked: LiveDoor, session: Session) -> None:
    status, body = locked.ask("GET", "/openapi.json", headers=_KEYS["client"])
    assert status == 200
    schema = schemathesis.openapi.from_dict(json.loads(body))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 25
    drawn = st.one_of(
        each.as_strategy(generation_mode=mode) for each in operations for mode in GenerationMode if _can(each, mode)
    )

    def play(case: schemathesis.Case) -> None:
        headers = _headers(case)
        sent = case.as_transport_kwargs(base_url=locked.url)
        if "x-argosy-signature" in headers:
            data = sent["json"] if "json" in sent else sent.get("data", b"")
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            headers[SIGNATURE_HEADER] = sign(data, JOIN_TOKEN)
            sent.pop("json", None)
            sent["data"] = data
        sent["headers"] = {**sent.get("headers", {}), **headers}
        try:
            response = session.request(**sent, timeout=SECONDS, allow_redirects=False)
            assert response.headers["x-request-id"]
            assert response.status_code != 500
            checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
            if _body_alone_is_wrong(case):
                checks.append(negative_data_rejection)
            case.validate_response(response, checks=checks)
            locked.still_serves()
        except (AssertionError, FailureGroup) as error:
            error.add_note(f"kept as {keep(_kept(response.request), 'document')}")
            raise

    fuzz(locked, "document", drawn, play, share=0.2)


def _can(operation: Any, mode: GenerationMode) -> bool:
    """Where nothing is sent that could be wrong, nothing wrong can be drawn."""
    return mode.is_positive or bool(operation.body or operation.query or operation.headers)


def _body_alone_is_wrong(case: schemathesis.Case) -> bool:
    """Else a header or a query may be what is wrong, and the door overlooks those that it does not know."""
    wrong = {where for where, component in case.meta.components.items() if component.mode.is_negative}
    return wrong == {ParameterLocation.BODY}


def _headers(case: schemathesis.Case) -> dict[str, str]:
    locks = {name for lock in case.operation.definition.raw["security"] for name in lock}
    if "admin_key" in locks:
        return dict(_KEYS["admin"])
    return {SIGNATURE_HEADER: ""} if "signature" in locks else dict(_KEYS["client"])


def _kept(request: Any) -> Case:
    body = request.body or b""
    data = body if isinstance(body, bytes) else body.encode()
    lines = [f"{request.method} {request.path_url} HTTP/1.1", "host: localhost"]
    lines += [f"{name}: {value if isinstance(value, str) else text(value)}" for name, value in request.headers.items()]
    head = "\r\n".join([*lines, "", ""])
    return Case(door="locked", client=[head + text(data)], answers=1)
