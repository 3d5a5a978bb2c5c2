from __future__ import annotations

import pytest

from argosy.errors import ForbiddenError, UnauthorizedError
from argosy.gateway.auth import ANYBODY, Gatekeeper, host_name

KEYED = Gatekeeper(["key-a", "key-b"], "admin", ["127.0.0.1"])
OPEN = Gatekeeper([], "admin", ["127.0.0.1", "Models.Example:8000"])


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
        assert KEYED.client(b"Bearer key-a", b"any.example", b"http://any.example").name == "key-1"
        assert KEYED.client(b"bearer  key-b ", b"", b"").name == "key-2"


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Bearer key", b"Bearer KEY-A", b"Basic key-a", b"key-a", b"Bearer admin"],
)
def test_no_key_and_wrong_keys_are_refused(authorization: bytes) -> None:
    for _ in range(2):
        with pytest.raises(UnauthorizedError) as told:
            KEYED.client(authorization, b"localhost", b"")
        assert (told.value.status, told.value.code) == (401, "invalid_api_key")
        assert b"key-a" not in str(told.value).encode()


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:8000", b"[::1]:8000", b"models.example", b"models.example:9"]
)
def test_an_open_door_answers_to_its_own_names(host: bytes) -> None:
    for _ in range(2):
        assert OPEN.client(b"", host, b"") is ANYBODY
        assert OPEN.client(b"Bearer whatever", host, b"http://localhost:3000") is ANYBODY


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1.evil.example", b"", b"localhost.", b"models.example.evil"]
)
def test_an_open_door_answers_to_no_other_name(host: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ForbiddenError) as told:
            OPEN.client(b"", host, b"")
        assert (told.value.status, told.value.code) == (403, "wrong_host")


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"file://", b"http://localhost.evil.example", b"x"]
)
def test_an_open_door_takes_nothing_from_pages_of_elsewhere(origin: bytes) -> None:
    for door in (OPEN, Gatekeeper([], "admin", ["::1"])):
        door.client(b"", b"localhost", b"")
        with pytest.raises(ForbiddenError) as told:
            door.client(b"", b"localhost", origin)
        assert told.value.code == "wrong_origin"


def test_a_door_on_ipv6_loopback_goes_by_its_address() -> None:
    assert Gatekeeper([], "admin", ["::1"]).client(b"", b"[::1]:8000", b"http://[::1]:8000") is ANYBODY


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
