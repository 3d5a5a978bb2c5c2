"""The page as the door serves it: its files, their headers, and what it asks of models."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from door import Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.traits import EngineTraits
from argosy.web.site import File, Site
from engines import FakeEngine

INDEX, SCRIPT = b"<!doctype html><title>Argosy</title>", b"console.log('hello')"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(INDEX)
    (tmp_path / "assets" / "index-1a2b.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret").write_text("no part of the page")
    return tmp_path


@pytest.fixture
async def door(built: Path) -> AsyncIterator[Door]:
    async with Door(client_keys=["key-a"], page=built) as opened:
        yield opened


async def test_the_page_needs_no_key_and_runs_no_strangers_script(door: Door) -> None:
    told = await door.request("GET", "/")
    assert (told.status, told.body, told.headers["content-type"]) == (200, INDEX, "text/html; charset=utf-8")
    policy = told.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in told.headers["content-security-policy"]
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["cache-control"] == "no-cache"


async def test_a_page_that_has_not_changed_is_not_sent_again(door: Door) -> None:
    etag = (await door.request("GET", "/")).headers["etag"]
    told = await door.request("GET", "/", headers={"if-none-match": etag})
    assert (told.status, told.body) == (304, b"")
    assert (await door.request("GET", "/", headers={"if-none-match": '"other"'})).status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br", None), ("gzip;q=0", None), ("GZIP;q=0.5", "gzip"), ("", None)],
)
async def test_files_are_sent_as_the_browser_takes_them_and_kept_for_ever(
    door: Door, accepted: str, encoding: str | None
) -> None:
    told = await door.request("GET", "/assets/index-1a2b.js", headers={"accept-encoding": accepted})
    assert told.headers.get("content-encoding") == encoding
    assert (gzip.decompress(told.body) if encoding else told.body) == SCRIPT
    assert "immutable" in told.headers["cache-control"]
    assert told.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", ["../secret", "..%2fsecret", "%2e%2e%2fsecret", "index-1a2b.js.gz", "nothing.js"])
async def test_nothing_but_the_pages_files_is_served(door: Door, path: str) -> None:
    told = await door.request("GET", f"/assets/{path}")
    assert told.status == 404
    assert b"no part" not in told.body


async def test_a_head_request_of_the_page_has_no_body(door: Door) -> None:
    reader, _ = await door.say(b"HEAD / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    seen = await reader.read()
    assert seen.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(INDEX)}".encode() in seen
    assert seen.endswith(b"\r\n\r\n")


async def test_an_open_door_shows_its_page_under_its_own_names_only(built: Path) -> None:
    async with Door(page=built) as door:
        for path in ("/", "/assets/index-1a2b.js"):
            reader, _ = await door.say(f"GET {path} HTTP/1.1\r\nhost: evil.example\r\n\r\n".encode())
            assert (await reader.readline()).split()[1] == b"403", path


async def test_a_checkout_without_a_build_says_so_and_all_else_works(tmp_path: Path) -> None:
    async with Door(page=tmp_path) as door:
        told = await door.request("GET", "/")
        assert told.status == 200
        assert b"make web" in told.body
        assert error_of(await door.request("GET", "/assets/x.js"))["code"] == "unknown_url"
        assert (await door.request("GET", "/v1/models")).status == 200


async def test_models_are_told_with_their_states_lines_and_eyes() -> None:
    table = FleetTable(revision=1, deployments=[record("m", replicas=2, aliases=["n"]), record("off", stopped=True)])
    async with FakeEngine() as engine, Door(table=table) as door:
        await door.join(engine, "m.0", traits=EngineTraits(sees=False))
        told = json.loads((await door.request("GET", "/argosy/v1/models")).body)
    seen, off = told
    assert {name: seen[name] for name in ("name", "aliases", "state", "wanted", "ready", "waiting", "sees")} == {
        "name": "m",
        "aliases": ["n"],
        "state": "starting",
        "wanted": 2,
        "ready": 1,
        "waiting": 0,
        "sees": False,
    }
    assert (off["state"], off["sees"]) == ("stopped", None)


def test_the_better_encoding_comes_first() -> None:
    file = File({"br": b"b", "gzip": b"g", "": b"plain"}, {}, '"x"')
    assert file.encoded("gzip, deflate, br")[0] == "br"
    assert Site.read(Path("/nowhere")) == Site(None, {})
