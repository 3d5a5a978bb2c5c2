"""Pages of other origins in browsers (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol): which may call the
door and read its answers. Off unless gateway.cors_origins names some. Keys go by header, so cookies are never allowed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from argosy.wire.request_cycle import RequestCycle

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGI = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[MutableMapping[str, Any]]], Send], Awaitable[None]]
_PREFLIGHT_SECONDS = b"600"
_READABLE = b", ".join(
    [
        b"x-request-id",
        b"retry-after",
        b"server-timing",
        *(
            f"x-ratelimit-{name}-{kind}".encode()
            for kind in ("requests", "tokens")
            for name in ("limit", "remaining", "reset")
        ),
    ]
)


class Cors:
    """`origins`: https://app.example, or * for all."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = {origin.encode() for origin in origins}

    async def __call__(
        self,
        app: ASGI,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Send,
    ) -> None:
        """Has `app` answer, and tells the browser that the page may read it; answers a preflight itself."""
        asked = {name: value for name, value in scope["headers"] if name in _ASKED} if scope["type"] == "http" else {}
        told = self._told(asked.get(b"origin", b""))
        if len(told) > 1 and scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            headers = [
                *told,
                (b"access-control-allow-methods", b"GET, POST, PUT, OPTIONS"),
                # What the page asks for: SDKs send a dozen headers of their own, and the key is what counts.
                (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"authorization")),
                (b"access-control-max-age", _PREFLIGHT_SECONDS),
            ]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        def send_told(message: MutableMapping[str, Any]) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            return send(message)

        await app(scope, receive, send_told)

    def tell(self, request: RequestCycle) -> None:
        """Has the answer of a hot path tell the same."""
        lines = b"".join([b"%b: %b\r\n" % each for each in self._told(request.head.fields.get(b"origin", b""))])
        request.told = (*request.told, lambda: lines)

    def _told(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        told = [(b"vary", b"origin")]
        if origin and not self._origins.isdisjoint((origin.lower(), b"*")):
            told += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _READABLE)]
        return told


_ASKED = (b"origin", b"access-control-request-method", b"access-control-request-headers")
