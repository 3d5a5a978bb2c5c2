"""A gateway with a certificate: its own fleet reaches it, and nobody is reached who only pretends to be it."""

from __future__ import annotations

import json
import shutil
import ssl
import urllib.request
from pathlib import Path

from argosy.state import ProcessRecord, read_json
from command import Argosy, kill
from waiting import until

PEM = Path(__file__).parents[1] / "gateway" / "localhost.pem"


def served(argosy: Argosy) -> str:
    shutil.copy(PEM, argosy.folder / "door.pem")
    argosy.file(
        "gateway: {port: 0, tls_certificate: door.pem, tls_key: door.pem}\ndeployments: {hello: {engine: echo}}\n"
    )
    assert "https://127.0.0.1:" in argosy.run("up", "-d", "fleet.yaml").stdout
    record = read_json(argosy.fleet().gateway, ProcessRecord)
    assert record is not None and record.address is not None and record.address.startswith("https://")
    return record.address


def models(address: str) -> list[str]:
    """As a client that trusts the certificate sees them."""
    trusting = ssl.create_default_context(cafile=str(PEM))
    with urllib.request.urlopen(f"{address}/v1/models", context=trusting, timeout=10) as answer:
        return [model["id"] for model in json.load(answer)["data"]]


def test_a_fleet_behind_a_certificate_serves_and_is_led(argosy: Argosy) -> None:
    address = served(argosy)
    assert models(address) == ["hello"]
    assert argosy.run("chat", "hello", "Still here").stdout.strip() == "Still here"
    assert argosy.run("chat", "--url", address.replace("127.0.0.1", "localhost"), "hello", "Hi").stdout.strip() == "Hi"
    assert address in argosy.run("ps").stdout
    # The controller hears it: what is in flight and ready comes from its answers.
    assert until(lambda: [each for each in argosy.ps()["deployments"] if each["ready"]])
    kill(argosy.pid("gateway"))
    until(lambda: (record := read_json(argosy.fleet().gateway, ProcessRecord)) and record.identity.alive)
    until(lambda: "Again" in argosy.run("chat", "hello", "Again", code=None).stdout, what="another gateway answers")
    argosy.run("scale", "hello", "2")
    until(lambda: argosy.ps()["deployments"][0]["ready"] == 2, seconds=20)
    argosy.run("down")


def test_a_worker_of_this_machine_joins_by_the_address_or_by_localhost(argosy: Argosy) -> None:
    address = served(argosy).replace("127.0.0.1", "localhost")
    with argosy.attached("worker", "--engine", "echo", "--name", "joined", "--join", address):
        assert until(lambda: sorted(models(address)) == ["hello", "joined"], seconds=20)
        assert argosy.run("chat", "joined", "Hi").stdout.strip() == "Hi"
        assert "replica.ready" in argosy.run("logs", "joined").stdout
    argosy.run("down")


def test_whoever_shows_another_certificate_hears_no_key(argosy: Argosy) -> None:
    address = served(argosy)
    record = read_json(argosy.fleet().gateway, ProcessRecord)
    assert record is not None and record.certificate is not None
    file = argosy.fleet().gateway
    file.write_text(file.read_text().replace(record.certificate, "0" * 64))
    told = argosy.run("chat", "hello", "Hi", code=1)
    assert f"{address} shows another certificate than the gateway that is recorded there" in told.stderr
    argosy.run("down")


def test_a_certificate_that_cannot_be_used_is_a_fault_of_the_file(argosy: Argosy) -> None:
    (argosy.folder / "bad.pem").write_text("no certificate")
    shutil.copy(PEM, argosy.folder / "door.pem")
    for fields, told in (
        ("tls_certificate: bad.pem, tls_key: bad.pem", "gateway.tls_certificate: the TLS certificate"),
        ("tls_certificate: door.pem", "gateway.tls_key: missing (tls_certificate needs it)"),
        ("tls_key: door.pem", "gateway.tls_certificate: missing (tls_key needs it)"),
        ("tls_certificate: absent.pem, tls_key: door.pem", "gateway.tls_certificate: no such file"),
    ):
        argosy.file(f"gateway: {{{fields}}}\ndeployments: {{hello: {{engine: echo}}}}\n")
        assert told in argosy.run("check", "fleet.yaml", code=2).stderr
