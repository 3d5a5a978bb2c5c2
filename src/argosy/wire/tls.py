"""TLS of a gateway: the context it serves with, and how the processes of its own fleet know it again.

A fleet reaches its gateway by an address (https://127.0.0.1:8000) that no certificate names. So the gateway records the
SHA-256 of its certificate beside its address, in a file that the fleet's user alone can write, and a connection to that
very address is good when it shows that very certificate. Anywhere else the usual authorities decide.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

from argosy.errors import ConnectError, InputError
from argosy.state import FleetFolder, ProcessRecord, read_json
from argosy.wire.origin import Origin, split_url

Pins = Callable[[Origin], str | None]  # the certificate's SHA-256 that an origin must show; None: see the authorities
_END = "-----END CERTIFICATE-----"


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Of PEM files: the certificate with its chain behind it, and its key. Raises InputError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # The empty password keeps OpenSSL from asking the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError(
            f"the TLS certificate {certificate} with the key {key} cannot be used: {error}"
            " (PEM files are wanted, the key without a password)"
        ) from None
    return context


def fingerprint(certificate: str) -> str:
    """The SHA-256 of the first certificate in a PEM file that `server_context` took."""
    text = Path(certificate).read_text(encoding="latin-1")
    first = text[text.index(_END.replace("END", "BEGIN")) : text.index(_END) + len(_END)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()


def fleet_pins(*folders: FleetFolder) -> Pins:
    """Of the gateways that these fleets have recorded, as the files say when a connection is made."""

    def pin(origin: Origin) -> str | None:
        for folder in folders:
            record = read_json(folder.gateway, ProcessRecord)
            replaced = read_json(folder.replaced_gateways, list[ProcessRecord]) or []
            for each in ([record] if record else []) + replaced:
                if each.certificate and each.address and _same(split_url(each.address)[0], origin):
                    return each.certificate
        return None

    return pin


def pinned_context() -> ssl.SSLContext:
    """For a connection that `check_pin` looks at before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_pin(shown: ssl.SSLObject, pin: str, origin: Origin) -> None:
    """Raises ConnectError when another certificate was shown."""
    certificate = shown.getpeercert(binary_form=True) or b""
    if hashlib.sha256(certificate).hexdigest() != pin:
        raise ConnectError(f"{origin} shows another certificate than the gateway that is recorded there")


def _same(recorded: Origin, asked: Origin) -> bool:
    host = "127.0.0.1" if asked.host == "localhost" else asked.host
    return (recorded.scheme, recorded.host, recorded.port) == (asked.scheme, host, asked.port)
