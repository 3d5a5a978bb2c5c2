from __future__ import annotations

import pytest

from argosy.config.client_keys import ClientKey, digest, numbered
from argosy.errors import ForbiddenError, UnauthorizedError
from argosy.gateway.auth import Gatekeeper, Headers, Principal, host_name

KEYED = Gatekeeper(numbered(["key-a", "key-b"]), "admin", ["127.0.0.1"])
OPEN = Gatekeeper(None, "admin", ["127.0.0.1"], allowed_hosts=["Models.Example:8000"])


def asks(
    door: Gatekeeper,
    authorization: bytes = b"",
    host: bytes = b"",
    origin: bytes = b"",
    *,
    address: str = "10.0.0.9",
    headers: Headers = (),
) -> Principal:
    return door.client(authorization, host, origin, address, headers)


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("Localhost:8000", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("::1", "[::1]"),
        ("", ""),
    ],
)
def test_a_host_is_its_name_without_its_port(authority: str, name: str) -> None:
    assert host_name(authority) == name


def test_each_client_key_is_a_principal_of_its_own() -> None:
    for _ in range(2):
        assert asks(KEYED, b"Bearer key-a", b"any.example", b"http://any.example").name == "key-1"
        assert asks(KEYED, b"bearer  key-b ").name == "key-2"


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Bearer key", b"Bearer KEY-A", b"Basic key-a", b"key-a", b"Bearer admin"],
)
def test_no_key_and_wrong_keys_are_refused(authorization: bytes) -> None:
    for _ in range(2):
        with pytest.raises(UnauthorizedError) as told:
            asks(KEYED, authorization, b"localhost")
        assert (told.value.status, told.value.code) == (401, "invalid_api_key")
        assert b"key-a" not in str(told.value).encode()


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:8000", b"[::1]:8000", b"models.example", b"models.example:9"]
)
def test_an_open_door_answers_to_its_own_names(host: bytes) -> None:
    for _ in range(2):
        assert asks(OPEN, host=host) == Principal("10.0.0.9")
        assert asks(OPEN, b"Bearer whatever", host, b"http://localhost:3000") == Principal("10.0.0.9")


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1.evil.example", b"", b"localhost.", b"models.example.evil"]
)
def test_an_open_door_answers_to_no_other_name(host: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ForbiddenError) as told:
            asks(OPEN, host=host)
        assert (told.value.status, told.value.code) == (403, "wrong_host")


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"file://", b"http://localhost.evil.example", b"x"]
)
def test_an_open_door_takes_nothing_from_pages_of_elsewhere(origin: bytes) -> None:
    for door in (OPEN, Gatekeeper(None, "admin", ["::1"])):
        asks(door, host=b"localhost")
        with pytest.raises(ForbiddenError) as told:
            asks(door, host=b"localhost", origin=origin)
        assert told.value.code == "wrong_origin"


def test_a_door_on_ipv6_loopback_goes_by_its_address() -> None:
    asks(Gatekeeper(None, "admin", ["::1"]), host=b"[::1]:8000", origin=b"http://[::1]:8000")


def test_an_open_doors_clients_are_known_by_their_address() -> None:
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        assert asks(OPEN, host=b"localhost", address=address).name == address


def test_a_key_may_come_as_x_api_key() -> None:
    sent = [(b"accept", b"*/*"), (b"x-api-key", b"key-b")]
    assert asks(KEYED, headers=sent).name == "key-2"
    assert asks(KEYED, b"Basic of-a-proxy", headers=sent).name == "key-2"
    for authorization, key in ((b"", b"key-c"), (b"", b""), (b"Bearer key-c", b"key-b")):
        with pytest.raises(UnauthorizedError):
            asks(KEYED, authorization, headers=[(b"x-api-key", key)])


def test_the_digest_of_nothing_lets_nobody_in() -> None:
    door = Gatekeeper({"nothing": ClientKey(sha256=digest(b""))}, "admin", [])
    for authorization in (b"", b"Bearer", b"Bearer ", b"Basic x"):
        with pytest.raises(UnauthorizedError):
            asks(door, authorization)


def test_other_keys_hold_at_once_and_those_that_are_gone_do_not() -> None:
    door = Gatekeeper(None, "admin", [])
    asks(door, host=b"localhost")
    door.take({"alice": ClientKey(sha256=digest(b"a"))})
    with pytest.raises(UnauthorizedError):
        asks(door, host=b"localhost")
    assert asks(door, b"Bearer a", b"any.example").name == "alice"
    door.take({"bob": ClientKey(sha256=digest(b"b"))})
    with pytest.raises(UnauthorizedError):
        asks(door, b"Bearer a")
    door.take({})
    with pytest.raises(UnauthorizedError):
        asks(door, b"Bearer b")


def test_what_a_key_has_used_outlives_a_change_of_the_file() -> None:
    now = [0.0]
    key = ClientKey(sha256=digest(b"a"), requests_per_minute=2)
    door = Gatekeeper({"alice": key}, "admin", [], clock=lambda: now[0])
    before = asks(door, b"Bearer a").meter
    assert before is not None
    assert before.enter(0.0) is before.enter(0.0) is None
    door.take({"alice": key, "bob": ClientKey(sha256=digest(b"b"))})
    after = asks(door, b"Bearer a").meter
    assert after is before and after.enter(0.0) is not None
    assert asks(door, b"Bearer b").meter is None


def test_a_key_is_for_the_models_that_its_globs_name() -> None:
    door = Gatekeeper({"a": ClientKey(sha256=digest(b"a"), models=("qwen*", "org/m"))}, "admin", [])
    principal = asks(door, b"Bearer a")
    assert principal.may_use("qwen-7b", "qwen-7b")
    assert principal.may_use("gpt-4", "qwen-7b"), "an alias of one that it is for"
    assert principal.may_use("qwen", "big"), "an alias that it is for"
    for model in ("gpt-4", "Qwen", "xqwen", "org/m2", "org"):
        assert not principal.may_use(model, model)


def test_allowed_hosts_hold_with_a_key_too() -> None:
    door = Gatekeeper(numbered(["key-a"]), "admin", ["10.0.0.5"], allowed_hosts=["models.example"])
    for host in (b"models.example", b"10.0.0.5:8000", b"localhost"):
        assert asks(door, b"Bearer key-a", host, b"https://app.example").name == "key-1"
    with pytest.raises(ForbiddenError, match="allowed_hosts"):
        asks(door, b"Bearer key-a", b"evil.example")


def test_an_open_door_takes_pages_of_origins_that_may_call() -> None:
    for origins in (["https://app.example"], ["*"]):
        door = Gatekeeper(None, "admin", [], origins=origins)
        assert asks(door, host=b"localhost", origin=b"https://APP.example").name
    for origin in (b"https://app.example.evil", b"http://app.example", b"https://app.example:1", b"null"):
        with pytest.raises(ForbiddenError):
            asks(Gatekeeper(None, "admin", [], origins=["https://app.example"]), host=b"localhost", origin=origin)


def test_only_the_admin_key_opens_the_fleets_surface() -> None:
    KEYED.check_admin(b"Bearer admin")
    KEYED.check_admin(b"bearer admin")
    for wrong in (
        b"",
        b"admin",
        b"Bearer",
        b"Bearer ",
        b"Bearer key-a",
        b"Basic admin",
        b"Bearer admin2",
        b"Bearer \xff",
    ):
        with pytest.raises(UnauthorizedError):
            KEYED.check_admin(wrong)
