"""The page's built files, read once: which there are, their encodings and headers. Knows nothing of requests' roads.

`make web` and the wheel's build put them into DIST (sources: web/ at the top of the repository). Their names in assets/
carry a hash of what is in them, so a browser may keep those for ever; index.html names the ones of now.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

DIST = Path(__file__).parent / "dist"
ASSETS = "/assets/"
# Scripts, styles, pictures and answers of this door alone; no script in the page's text; nobody frames it.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))  # the better one first
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class File:
    """One file. `bodies`: its bytes by their content encoding, "" for as they are."""

    bodies: dict[str, bytes]
    headers: dict[str, str]
    etag: str

    def encoded(self, accepted: str) -> tuple[str, bytes]:
        """The smallest that a client takes. `accepted`: its Accept-Encoding."""
        taken = {part.partition(";")[0].strip().lower() for part in accepted.split(",") if not _refused(part)}
        return next(
            ((encoding, body) for encoding, body in self.bodies.items() if encoding in taken), ("", self.bodies[""])
        )


@dataclass(frozen=True)
class Site:
    """`index`: None where nobody has built the page. `assets`: by name."""

    index: File | None
    assets: dict[str, File]

    @classmethod
    def read(cls, dist: Path = DIST) -> Site:
        index = dist / "index.html"
        if not index.is_file():
            return cls(None, {})
        packed = {suffix for _, suffix in _ENCODINGS}
        assets = {
            path.name: _file(path, {"cache-control": "public, max-age=31536000, immutable"})
            for path in sorted((dist / "assets").iterdir())
            if path.suffix not in packed
        }
        return cls(
            _file(index, {"cache-control": "no-cache", "content-security-policy": CONTENT_SECURITY_POLICY}), assets
        )


def _file(path: Path, headers: dict[str, str]) -> File:
    body = path.read_bytes()
    bodies = {
        encoding: packed.read_bytes()
        for encoding, suffix in _ENCODINGS
        if (packed := path.with_name(path.name + suffix)).is_file()
    }
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    told = {**_GUARDS, **headers, "content-type": kind, "vary": "accept-encoding"}
    return File({**bodies, "": body}, told, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _refused(part: str) -> bool:
    """`gzip;q=0`"""
    weight = part.partition(";")[2].replace(" ", "")
    return weight.startswith("q=0") and not weight.strip("q=0.")
