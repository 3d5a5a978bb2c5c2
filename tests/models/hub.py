"""A hub on loopback: what the Hugging Face hub, ModelScope and a plain web server answer, and how their lines break."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LARGE = 1000  # bytes; from there a file is kept as the hubs keep large ones, by its SHA-256


@dataclass
class Repository:
    """`token`: who may have it; `gated`: and only after the licence was accepted, which nobody did."""

    files: Mapping[str, bytes]
    revisions: tuple[str, ...] = ("main", "master", "v1", COMMIT)
    token: str | None = None
    gated: bool = False
    listed_sha256: Mapping[str, str] = field(default_factory=dict)  # a lie about a file's content


class Hub:
    """`cuts`: how many answers with a large body end half way. `stalling`: they wait there, for `go_on`."""

    def __init__(
        self,
        repositories: Mapping[str, Repository] | None = None,
        *,
        web: Mapping[str, bytes] | None = None,
        cuts: int = 0,
        stalling: bool = False,
        refusing: int | None = None,
    ) -> None:
        self.repositories = dict(repositories or {})
        self.web = dict(web or {})
        self.cuts = cuts
        self.refusing = refusing  # an HTTP status for whatever is asked
        self.halfway, self.go_on = threading.Event(), threading.Event()
        if not stalling:
            self.go_on.set()
        self.asked: list[str] = []  # method, path, and the Range where there is one
        self.sent = Counter[str]()  # body bytes of each path
        hub = self

        class Handler(_Handler):
            owner = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        ranged = f" {self.headers['Range']}" if self.headers["Range"] else ""
        self.owner.asked.append(f"{self.command} {unquote(self.path)}{ranged}")
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if self.owner.refusing:
            self.answer(self.owner.refusing)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self.hugging_face_info(found[1], found[2])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.hugging_face_file(found[1], found[3])
        elif found := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo(/files)?", path):
            self.modelscope(found[1], parse_qs(parts.query), listing=bool(found[2]))
        elif path in self.owner.web:
            self.content(self.owner.web[path], {"ETag": f'"{_sha256(self.owner.web[path])}"'})
        else:
            self.answer(404)

    def hugging_face_info(self, name: str, revision: str) -> None:
        repository = self.allowed(name, "Bearer")
        if repository is None:
            return
        if revision not in repository.revisions:
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for path, content in repository.files.items():
            sibling = {"rfilename": path, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
            if len(content) >= _LARGE:
                sha256 = repository.listed_sha256.get(path, _sha256(content))
                sibling["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 130}
            siblings.append(sibling)
        self.answer_json({"id": name, "modelId": name, "sha": COMMIT, "tags": [], "siblings": siblings})

    def hugging_face_file(self, name: str, path: str) -> None:
        repository = self.allowed(name, "Bearer")
        if repository is None:
            return
        if repository.gated:
            self.answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted"})
        elif path not in repository.files:
            self.answer(404, {"X-Error-Code": "EntryNotFound"})
        else:
            content = repository.files[path]
            linked = {"X-Linked-Etag": f'"{_sha256(content)}"', "X-Linked-Size": str(len(content))}
            self.content(content, {"ETag": f'"{_sha256(content)}"', "X-Repo-Commit": COMMIT, **linked})

    def modelscope(self, name: str, query: Mapping[str, list[str]], *, listing: bool) -> None:
        repository = self.allowed(name, "modelscope")
        if repository is None:
            return
        if query["Revision"][0] not in repository.revisions:
            self.answer_json({"Code": 10010205001, "Message": "revision not found", "Success": False}, 404)
        elif listing:
            files = [
                {
                    "Path": path,
                    "Name": path.split("/")[-1],
                    "Type": "blob",
                    "Size": len(content),
                    "Sha256": repository.listed_sha256.get(path, _sha256(content)),
                }
                for path, content in repository.files.items()
            ]
            self.answer_json({"Code": 200, "Success": True, "Data": {"Files": files}})
        else:
            self.content(repository.files[query["FilePath"][0]], {})

    def allowed(self, name: str, hub: str) -> Repository | None:
        repository = self.owner.repositories.get(name)
        shown = (self.headers["Authorization"] or self.headers["Cookie"] or "") if repository else ""
        if repository is None:
            if hub == "modelscope":
                self.answer_json({"Code": 10010205001, "Message": "model not found", "Success": False}, 404)
            else:  # as for one that may not be seen
                self.answer(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return None
        if repository.token is not None and repository.token not in shown:
            known = (
                {"X-Error-Code": "RepoNotFound"}
                if not shown
                else {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
            self.answer(401, known)
            return None
        return repository

    def content(self, content: bytes, headers: Mapping[str, str]) -> None:
        """With ranges, If-Range, and the faults of this hub."""
        start = 0
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if ranged and self.headers["If-Range"] in (None, headers.get("ETag")):
            start = int(ranged[1])
        if start >= len(content) > 0:
            self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = start + (len(content) - start) // 2
        self.send(content[start:half])
        if len(content) >= _LARGE:
            self.owner.halfway.set()
            self.owner.go_on.wait(30)
            if self.owner.cuts > 0:
                self.owner.cuts -= 1
                self.close_connection = True
                self.connection.close()
                return
        self.send(content[half:])

    def send(self, block: bytes) -> None:
        try:
            self.wfile.write(block)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the test killed who asked
        else:
            self.owner.sent[urlsplit(self.path).path] += len(block)

    def answer_json(self, value: object, status: int = 200) -> None:
        self.answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Silent."""

    log_error = log_request


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
