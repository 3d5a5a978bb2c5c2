"""Every port that a fleet listens on, and every route behind it, asked by whoever has no key or the key of another."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import psutil
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from argosy.app.composition import compose_gateway
from argosy.app.settings import GatewaySecrets, GatewaySettings
from argosy.config.environment import Environment
from argosy.engines.echo import Options
from argosy.engines.echo_server import Echo
from argosy.errors import ConnectError
from argosy.fleet.api import Pull, controller_app
from argosy.fleet.controller import Controller
from argosy.gateway.keys import ClientKeys
from argosy.protocol.admin import FleetTable
from argosy.wire.client import Client
from argosy.worker.listener import Listeners, Target
from command import Argosy

PUBLIC = {"/", "/health", "/ready", "/assets/hello"}
# Of llama.cpp's own server: https://github.com/ggml-org/llama.cpp/tree/master/tools/server
LLAMA_CPP = {
    "GET": "/v1/health /models /v1/models /api/tags /api/show /props /slots /metrics /lora-adapters /v1",
    "POST": "/completion /completions /chat/completions /api/chat /v1/responses /v1/messages /v1/rerank /rerank /infill"
    " /embedding /embeddings /tokenize /detokenize /apply-template /props /slots/0 /lora-adapters /models/load",
}
CLIENT_KEY, ADMIN_KEY, JOIN_TOKEN = "the-client-key", "the-admin-key", "the-join-token"
FLEET = "gateway: {port: 0}\ndeployments:\n  hello: {engine: echo}\n"


def walked(app: object) -> set[tuple[str, str]]:
    """Every method and path of an application, out of its own list."""
    assert isinstance(app, Starlette)
    found = set()
    for route in app.routes:
        assert isinstance(route, Route)
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}:path}}", "hello").replace(f"{{{name}}}", "hello")
        found |= {(method, path) for method in route.methods or () if method != "HEAD"}
    return found


async def every_route() -> set[tuple[str, str]]:
    """Of all processes together: whatever listens is asked for all of them."""
    settings = GatewaySettings(
        host="127.0.0.1",
        port=0,
        client_keys=ClientKeys({}),
        allowed_hosts=(),
        max_body_bytes=1,
        grace_seconds=1,
        table=FleetTable(revision=0),
    )
    gateway = compose_gateway(
        settings,
        GatewaySecrets(admin_key="", join_token=""),
        {},
        on_end=lambda _: None,
        on_visit=lambda _: None,
        on_table=lambda _: None,
    )
    nobody = cast(Controller, None)
    apps = [
        Starlette(routes=gateway.routes),
        controller_app(
            nobody, name="", admin_key="", environment=Environment.read({}), pull=cast(Pull, None), machines=list
        ),
        Echo("", None, Options()).app(),
    ]
    found = set().union(*map(walked, apps))
    found |= {(method, path) for method, paths in LLAMA_CPP.items() for path in paths.split()}
    return found | {("GET", path) for path in ("/docs", "/openapi.json", "/debug", "/argosy", "/argosy/v1/")}


def listening(argosy: Argosy) -> dict[str, int]:
    """Address → pid, of every socket that any process of the fleet listens on."""
    found = {}
    for who in argosy.everything():
        for each in psutil.Process(who.pid).net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN:
                found[f"http://127.0.0.1:{each.laddr.port}"] = who.pid
                assert each.laddr.ip == "127.0.0.1", f"{who.pid} listens on {each.laddr.ip}"
    return found


async def answered(address: str, public: set[str], *, headers: dict[str, str]) -> list[tuple[str, str, int]]:
    """Routes that answer otherwise than by asking for a key or by not being there."""
    client, open_to_all = Client(), []
    for method, path in sorted(await every_route()):
        try:
            told = await client.request(method, address + path, headers=headers, body=b"", seconds=20)
        except ConnectError as error:
            raise AssertionError(f"{address} does not listen") from error
        if told.status not in (401, 403, 404, 405) and path not in public:
            open_to_all.append((method, path, told.status))
    await client.close()
    return open_to_all


def walk(address: str, public: set[str], *keys: str) -> None:
    for key in ("", *keys):
        headers = {"authorization": f"Bearer {key}", "x-api-key": key} if key else {}
        assert asyncio.run(answered(address, public, headers=headers)) == [], (address, key)


@contextmanager
def fleet(argosy: Argosy, text: str) -> Iterator[dict[str, int]]:
    secrets = {"API_KEY": CLIENT_KEY, "ADMIN_KEY": ADMIN_KEY, "JOIN_TOKEN": JOIN_TOKEN}
    argosy.variables = {**argosy.variables, **{f"ARGOSY_{name}": value for name, value in secrets.items()}}
    argosy.run("up", "-d", argosy.file(text))
    yield listening(argosy)
    argosy.run("down")


def test_nothing_but_what_is_public_answers_without_its_key(argosy: Argosy) -> None:
    with fleet(argosy, FLEET) as found:
        engine = argosy.replicas_now()["hello.0"]["engine_pid"]
        assert set(found.values()) == {argosy.pid("gateway"), argosy.pid("controller"), engine}, "no other listens"
        for address, pid in found.items():
            # The gateway has doors for both keys: tests/gateway/test_locks.py tells which opens which.
            keys = {argosy.pid("gateway"): [JOIN_TOKEN], argosy.pid("controller"): [JOIN_TOKEN, CLIENT_KEY]}
            walk(address, PUBLIC, *keys.get(pid, [JOIN_TOKEN, CLIENT_KEY, ADMIN_KEY]))


@pytest.mark.model
def test_llama_cpp_answers_nobody_but_the_gateway(argosy: Argosy, smollm2: Path) -> None:
    shutil.copy(smollm2, argosy.folder / "model.gguf")
    with fleet(argosy, "gateway: {port: 0}\ndeployments:\n  hello: {source: model.gguf}\n") as found:
        engine = argosy.replicas_now()["hello.0"]["engine_pid"]
        for address in [each for each, pid in found.items() if pid == engine]:
            walk(address, PUBLIC | {"/v1/health"}, CLIENT_KEY, ADMIN_KEY, JOIN_TOKEN)


async def test_a_workers_listener_wants_the_engines_key_for_every_path() -> None:
    routes = sorted(await every_route())
    paths = frozenset(path for _, path in routes)
    client = Client()
    engine = Target("http://127.0.0.1:1", "the-engines-key", paths)  # nobody is there: what gets so far is a 502
    listeners = Listeners(client, lambda: engine, replica="m.0", join_token="token")
    address = listeners.address_on("127.0.0.1")
    for method, path in routes:
        for key in ("", CLIENT_KEY, ADMIN_KEY, JOIN_TOKEN, "the-engines-ke"):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            assert (await client.request(method, address + path, headers=headers, seconds=5)).status == 401
    right = {"authorization": f"Bearer {engine.key}"}
    assert (await client.request("GET", f"{address}/health", headers=right, seconds=5)).status == 502
    assert (await client.request("GET", f"{address}/elsewhere", headers=right, seconds=5)).status == 404
    await listeners.close()
    await client.close()
